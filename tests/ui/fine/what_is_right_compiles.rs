// What the other cases come near to, done right. (A case that runs has the others built, not only
// checked, so that what is refused late is seen too.)
use core::alloc::Layout;
use core::fmt::Display;
use core::mem::MaybeUninit;
use kmem::{AtomicRef, Cond, Global, Heap, KeyTree, Lin, Managed, Owned, Pages, Pool, Ref, unsize};

fn main() -> Result<(), Cond> {
    let mut lin = Lin::new_in(Pages::new());
    *lin.put(7)? += 1;
    lin.reset();
    let sum = lin.scope(|mut outer| {
        let numbers = outer.put_slice(3, |n| n)?;
        outer.scope(|inner| {
            let text = Owned::new_in(String::from("dropped in time"), &inner)?;
            Ok::<usize, Cond>(text.len() + numbers.len())
        })
    })?;
    assert_eq!(sum, 18);
    lin.destroy()?;

    let heap = Heap::new_in(Pages::new());
    let shown: Owned<'_, dyn Display, _> = unsize!(Owned::new_in(7, &heap)?, dyn Display);
    assert_eq!(shown.to_string(), "7");
    drop(shown);
    let mut one = Ref::new_in(7, &heap)?;
    *Ref::get_mut(&mut one).expect("the only one") += 1;
    let mut cell = Managed::counted(&heap, Layout::new::<u64>())?;
    cell.bytes_mut()?.fill(1);
    drop((one, cell));
    drop(heap);

    let there = AtomicRef::new_in(7, &Global)?;
    let here = there.clone();
    assert_eq!(std::thread::spawn(move || *there).join().expect("no panic"), *here);

    let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    let key = tree.insert(None, String::from("value"))?;
    assert_eq!(tree[key], "value");
    tree.free(key)?;
    assert!(tree.get(key).is_none());

    let mut bytes = [MaybeUninit::uninit(); 4096];
    let pool = Pool::fixed(Layout::new::<u64>(), &mut bytes);
    drop(Owned::new_in(7_u64, &pool)?);
    drop(pool);
    bytes.fill(MaybeUninit::new(1));
    Ok(())
}
