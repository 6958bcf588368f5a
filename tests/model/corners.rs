//! Corners that random operations reach too seldom to rely on.

use core::alloc::Layout;
use core::cell::Cell;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use kmem::{Cond, Fixed, Head, Heap, Kind, Lin, Pool, Ptr, Source, Tree, dup, free, refs, zero_object};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const SMALL: Layout = Layout::new::<[u64; 3]>();

unsafe fn count(_: NonNull<u8>, context: *mut ()) {
    // SAFETY: every context here is a counter that outlives the tree.
    let counter = unsafe { context.cast::<Cell<usize>>().as_ref() }.expect("a counter");
    counter.set(counter.get() + 1);
}

unsafe fn refuse(_: NonNull<u8>, _: *mut ()) -> bool {
    true
}

fn address(counter: &Cell<usize>) -> *mut () {
    (&raw const *counter).cast_mut().cast()
}

/// The root's guard is asked and its destructor runs, also when other nodes had theirs before and went.
#[test]
fn what_hangs_on_the_root_outlives_what_hangs_on_others() {
    let mut bytes = [MaybeUninit::uninit(); 4096];
    let (ran, mut tree) = (Cell::new(0), Tree::fixed(&mut bytes));
    let root = tree.root().expect("room");
    // SAFETY: live nodes of this tree; the counter outlives it.
    unsafe {
        let child = tree.alloc(root, SMALL).expect("room").cast();
        tree.on_release(child, count, address(&ran)).expect("room");
        tree.on_release(root, count, address(&ran)).expect("room");
        tree.set_guard(root, Some((refuse, core::ptr::null_mut()))).expect("room");
        tree.free(child).expect("its guard does not refuse");
        assert_eq!(ran.get(), 1);
        assert_eq!(tree.destroy(), Err(Cond::InUse), "the root's guard was not asked");
        tree.set_guard(root, None).expect("a guard comes off");
    }
    tree.destroy().expect("nobody refuses");
    assert_eq!(ran.get(), 2, "the root's destructor did not run");
}

/// A pointer as C makes it from what [`refs::alloc_with`] gave: its fields are `repr(C)`.
fn counted(payload: NonNull<u8>, size: usize, store: &Head) -> Ptr {
    let mut ptr = Ptr::FAIL;
    let words = (&raw mut ptr).cast::<usize>();
    // SAFETY: a pointer object is four words: the kind in the first byte, then address, store and size.
    unsafe {
        words.cast::<u8>().write(Kind::Ref as u8);
        words.add(1).write(payload.addr().get());
        words.add(2).write((&raw const *store).addr());
        words.add(3).write(size);
    }
    ptr
}

/// A counted cell with a destructor is found by its pointer, whatever its alignment.
#[test]
fn counted_cells_with_destructors_are_managed_at_every_alignment() {
    let mut bytes = vec![MaybeUninit::uninit(); 64 << 10];
    let heap = Heap::fixed(&mut bytes);
    for align in [1, 16, 32, 64, 256, 4096] {
        let (ran, layout) = (Cell::new(0), Layout::from_size_align(40, align).expect("a layout"));
        // SAFETY: the destructor may be called once with the counter; the cell is live until it is freed.
        unsafe {
            let payload = refs::alloc_with(&heap, layout, count, address(&ran)).expect("room").cast();
            let ptr = counted(payload, 40, kmem::Store::head(&heap));
            assert_eq!(dup(&ptr), Err(Cond::Mismatch), "a value was copied, or not found, at alignment {align}");
            assert_eq!(zero_object(&ptr), Err(Cond::Mismatch));
            assert_eq!(refs::upref(payload), Ok(2));
            assert_eq!((free(ptr), ran.get()), (Ok(()), 0), "alignment {align}");
            assert_eq!((free(ptr), ran.get()), (Ok(()), 1));
            assert_eq!(free(ptr), Err(Cond::BadAddress), "a double free");
        }
        assert_eq!(heap.stats().live, 0);
    }
}

/// What is written in a counted cell is never taken for the front of another one.
#[test]
fn payloads_that_look_like_a_front_are_not_believed() {
    const FRONT: usize = 2 * kmem::MIN_ALIGN;
    let mut bytes = vec![MaybeUninit::uninit(); 16 << 10];
    let (heap, ran) = (Heap::fixed(&mut bytes), Cell::new(0));
    // SAFETY: live counted cells; the destructor may be called once with the counter.
    unsafe {
        let real = refs::alloc_with(&heap, SMALL, count, address(&ran)).expect("room").cast::<u8>();
        refs::upref(real).expect("counted");
        let plain = refs::alloc(&heap, Layout::new::<[u64; 20]>()).expect("room").cast::<u8>();
        // A whole front with a destructor, two references, where the front of such a cell would stand.
        plain.copy_from_nonoverlapping(real.sub(FRONT), FRONT);
        let inside = plain.add(FRONT);
        let ptr = counted(inside, 24, kmem::Store::head(&heap));
        for answer in [zero_object(&ptr), dup(&ptr).map(drop), free(ptr), free(ptr)] {
            assert_eq!(answer, Err(Cond::BadAddress), "bytes inside a cell were taken for a front");
        }
        assert_eq!(refs::header(inside).refs(), 2, "bytes inside a cell were changed");
        assert_eq!(refs::downref(plain), Ok(0));
        assert_eq!(refs::downref(real), Ok(1));
        assert_eq!(refs::downref(real), Ok(0));
    }
    assert_eq!((ran.get(), heap.stats().live), (1, 0));
}

/// What is said to be the most that a store holds is the most, although sources give whole pages.
#[cfg(feature = "platform")]
#[test]
fn limits_are_kept_over_pages() {
    let limit = 5 * kmem::platform::Platform::page_size(&kmem::platform::Native) / 2;
    let heap = Heap::new_in(kmem::Pages::new()).first_block(4096).limit(limit);
    let lin = Lin::new_in(kmem::Pages::new()).first_block(4096).limit(limit);
    let mut refusals = 0;
    for _ in 0..limit / 64 {
        for answer in [heap.alloc(Layout::new::<[u8; 100]>()), lin.alloc(Layout::new::<[u8; 100]>())] {
            refusals += usize::from(answer.inspect_err(|cond| assert_eq!(*cond, Cond::NoRoom)).is_err());
        }
    }
    assert!(refusals > 0, "nothing was refused");
    assert!(heap.stats().held <= limit, "the heap holds {} of {limit}", heap.stats().held);
    assert!(lin.stats().held <= limit, "the region holds {} of {limit}", lin.stats().held);
}

/// Room in the caller's bytes that could not come back alone comes back when all is given back.
#[test]
fn fixed_bytes_are_whole_again_when_all_is_given_back() {
    let mut bytes = [MaybeUninit::uninit(); 1024];
    let source = Fixed::new(&mut bytes);
    let blocks = [(); 3].map(|()| source.alloc(SMALL).expect("room").cast());
    for at in [1, 0, 2] {
        // SAFETY: live blocks of this source, used no more.
        unsafe { source.free(blocks[at], SMALL) }.expect("taken back");
    }
    assert_eq!(source.used(), 0);
}

/// A store that is made and destroyed over and over in the same bytes finds the same room each time.
#[test]
fn stores_come_and_go_in_fixed_bytes() {
    let mut bytes = vec![MaybeUninit::uninit(); 256 << 10];
    let source = Fixed::new(&mut bytes);
    for round in 0..20 {
        let lin = Lin::new_in(&source);
        let pool = Pool::new_in(SMALL, &source);
        for cell in 0..1000 {
            lin.alloc(SMALL).unwrap_or_else(|cond| panic!("lin, round {round}, cell {cell}: {cond}"));
            pool.alloc().unwrap_or_else(|cond| panic!("pool, round {round}, cell {cell}: {cond}"));
        }
    }
}
