//! A test for each function on any managed pointer: over all six kinds.

use std::ptr::NonNull;

use kmem::{Cond, Fixed, Headers, Heap, Kind, Lin, Pool, Ptr, Tree, refs};

use crate::common::{differs, layout, raw_bytes, room, write_pattern};

const SIZE: usize = 100;

/// A store of each kind and bytes of nobody's.
struct Six<'a> {
    heap: Heap<Fixed<'a>>,
    lin: Lin<Fixed<'a>, Headers>,
    pool: Pool<Fixed<'a>, Headers>,
    tree: Tree<Heap<Fixed<'a>>>,
    local: NonNull<u8>,
}

impl Six<'_> {
    /// A pointer of each kind, each to bytes that are known by its number.
    fn pointers(&self) -> [Ptr; 6] {
        let wanted = layout(SIZE, 16);
        let root = self.tree.root().expect("there is room");
        let made = [
            Ok(kmem::stat(self.local.as_ptr(), SIZE)),
            self.lin.alloc_ptr(wanted),
            self.heap.alloc_ptr(wanted),
            self.pool.alloc_ptr(),
            refs::alloc_ptr(&self.heap, wanted),
            self.tree.alloc_ptr(root, wanted),
        ];
        let made = made.map(|ptr| ptr.expect("there is room"));
        for (ptr, kind) in made.iter().zip(Kind::ALL) {
            assert_eq!((ptr.kind(), ptr.size(), ptr.is_tainted()), (kind, Some(SIZE), false));
            write_pattern(payload(*ptr), 0..SIZE, kind as u64);
        }
        made
    }

    /// Live cells in all the stores; the tree's root is none.
    fn live(&self) -> usize {
        self.heap.check().expect("the heap is whole");
        self.lin.check().expect("the region is whole");
        self.pool.check().expect("the pool is whole");
        self.tree.check().expect("the tree is whole");
        let root = usize::from(self.tree.stats().live > 0);
        self.heap.stats().live + self.lin.stats().live + self.pool.stats().live + self.tree.stats().live - root
    }
}

fn payload(ptr: Ptr) -> NonNull<u8> {
    NonNull::new(ptr.payload()).expect("it points somewhere")
}

fn is_whole(ptr: Ptr) -> bool {
    differs(payload(ptr), SIZE, ptr.kind() as u64).is_none()
}

/// Whether the bytes are zero, but for the words at both ends that a store may use when they are free.
#[cfg(feature = "shred")]
fn is_gone(ptr: Ptr) -> bool {
    let ends = if ptr.kind() == Kind::None { 0 } else { 16 };
    raw_bytes(payload(ptr), SIZE)[ends..SIZE - ends].iter().all(|byte| *byte == 0)
}

fn with_six(test: fn(&Six<'_>)) {
    let (mut a, mut b, mut c, mut d, mut local) = (room(4096), room(4096), room(4096), room(4096), [0_u8; SIZE]);
    let six = Six {
        heap: Heap::fixed(&mut a),
        lin: Lin::fixed_with_headers(&mut b),
        pool: Pool::fixed_with_headers(layout(SIZE, 16), &mut c),
        tree: Tree::fixed(&mut d),
        local: NonNull::from(&mut local).cast(),
    };
    test(&six);
}

pub fn free() {
    with_six(|six| {
        let pointers = six.pointers();
        assert_eq!(six.live(), 5);
        for (left, ptr) in [5, 4, 3, 2, 1, 0].into_iter().zip(pointers) {
            unsafe { kmem::free(ptr) }.expect("a live cell");
            assert_eq!(six.live(), left, "{ptr:?}");
            assert!(ptr.kind() != Kind::None || is_whole(ptr), "releasing what was never allocated does nothing");
        }
        assert_eq!(unsafe { kmem::free(Ptr::FAIL) }, Err(Cond::BadAddress));
        // A tainted cell is shredded, static memory zeroed.
        #[cfg(feature = "shred")]
        for mut ptr in six.pointers() {
            unsafe { kmem::taint(&mut ptr) }.expect("a live cell");
            unsafe { kmem::free(ptr) }.expect("a live cell");
            assert!(is_gone(ptr), "{ptr:?}");
        }
    });
}

#[cfg(feature = "shred")]
pub fn shred() {
    with_six(|six| {
        let (pointers, neighbours) = (six.pointers(), six.pointers());
        let counted = payload(pointers[Kind::Ref as usize]);
        unsafe { refs::upref(counted) }.expect("far from the most");
        for ptr in pointers {
            unsafe { kmem::shred(ptr) }.expect("a live cell");
            assert_eq!(is_gone(ptr), ptr.kind() != Kind::Ref, "{ptr:?}");
        }
        for ptr in &neighbours[1..] {
            assert!(is_whole(*ptr), "{ptr:?} is another's");
        }
        assert_eq!(six.live(), 6);
        unsafe { kmem::free(pointers[Kind::Ref as usize]) }.expect("the last reference");
        assert!(is_gone(pointers[Kind::Ref as usize]), "the last reference shreds");
        assert_eq!(unsafe { kmem::shred(Ptr::FAIL) }, Err(Cond::BadAddress));
    });
}

pub fn stat() {
    let mut local = [9_u8; SIZE];
    let sized = kmem::stat(local.as_mut_ptr(), SIZE);
    let unsized_ = kmem::stat_unsized(local.as_mut_ptr());
    assert_eq!(
        (sized.kind(), sized.size(), unsized_.kind(), unsized_.size()),
        (Kind::None, Some(SIZE), Kind::None, None)
    );
    assert!(sized.payload() == local.as_mut_ptr() && sized.cell().is_null() && unsized_.cell().is_null());
    assert_eq!((unsafe { kmem::free(sized) }, unsafe { kmem::free(unsized_) }, local), (Ok(()), Ok(()), [9; SIZE]));
    // In a constant too.
    const NOWHERE: Ptr = kmem::stat(std::ptr::null_mut(), 0);
    assert_eq!(unsafe { kmem::free(NOWHERE) }, Ok(()));
}

#[cfg(feature = "shred")]
pub fn taint() {
    with_six(|six| {
        for mut ptr in six.pointers() {
            let untainted = ptr;
            unsafe { kmem::taint(&mut ptr) }.expect("a live cell");
            assert!(ptr.is_tainted() && !untainted.is_tainted() && is_whole(ptr), "the bytes stay until release");
            // The cell is marked, so that an older copy of the pointer shreds it too; static memory has no cell.
            unsafe { kmem::free(untainted) }.expect("a live cell");
            assert_eq!(is_gone(ptr), ptr.kind() != Kind::None, "{ptr:?}");
        }
        assert_eq!(six.live(), 0);
        let mut failed = Ptr::FAIL;
        assert_eq!((unsafe { kmem::taint(&mut failed) }, failed), (Err(Cond::BadAddress), Ptr::FAIL));
        // A store that is tainted as a whole answers for a pointer that is not.
        six.heap.taint();
        six.lin.taint();
        six.pool.taint();
        six.tree.taint();
        for ptr in six.pointers() {
            unsafe { kmem::free(ptr) }.expect("a live cell");
            assert_eq!(is_gone(ptr), ptr.kind() != Kind::None, "{ptr:?}");
        }
    });
}

pub fn zero() {
    let mut local = [9_u8; SIZE];
    let inner = NonNull::from(&mut local[3..50]).cast();
    unsafe { kmem::zero(inner, 47) };
    assert_eq!(
        (local[..3].to_vec(), local[3..50].to_vec(), local[50..].to_vec()),
        (vec![9; 3], vec![0; 47], vec![9; 50])
    );
    unsafe { kmem::zero(inner, 0) };
}

pub fn zero_object() {
    with_six(|six| {
        let (pointers, neighbours) = (six.pointers(), six.pointers());
        for ptr in &pointers[1..] {
            unsafe { kmem::zero_object(ptr) }.expect("a live cell");
            assert_eq!(raw_bytes(payload(*ptr), SIZE), [0; SIZE], "{ptr:?}");
        }
        assert!(is_whole(pointers[0]) && neighbours.into_iter().all(is_whole), "no other byte");
        unsafe { kmem::zero_object(&pointers[0]) }.expect("its size is known");
        assert_eq!((raw_bytes(six.local, SIZE), six.live()), (vec![0; SIZE], 10));
        assert_eq!(unsafe { kmem::zero_object(&Ptr::FAIL) }, Err(Cond::BadAddress));
    });
}

pub fn copy() {
    let mut local = *b"abcdefghij";
    let at = NonNull::from(&mut local).cast::<u8>();
    unsafe { kmem::copy(at.add(2), at, 6) };
    assert_eq!(&local, b"ababcdefij", "the two may overlap");
    unsafe { kmem::copy(at, at.add(4), 6) };
    assert_eq!(&local, b"cdefijefij", "either way");
    unsafe { kmem::copy(at, at.add(1), 0) };
    assert_eq!(&local, b"cdefijefij");
}

pub fn dup() {
    with_six(|six| {
        #[cfg_attr(not(feature = "shred"), expect(unused_mut, reason = "only taint changes them"))]
        let [local, mut cells @ ..] = six.pointers();
        assert_eq!(unsafe { kmem::dup(&local) }, Err(Cond::Mismatch), "it has no store to be a sibling in");
        assert_eq!(unsafe { kmem::dup(&Ptr::FAIL) }, Err(Cond::BadAddress));
        let untainted = cells;
        let under = payload(cells[4]);
        unsafe { six.tree.alloc(under, layout(8, 8)) }.expect("there is room");
        unsafe { refs::upref(payload(cells[3])) }.expect("far from the most");
        assert_eq!(six.live(), 6);
        for tainted in [false, true] {
            #[cfg(feature = "shred")]
            if tainted {
                cells.iter_mut().for_each(|ptr| unsafe { kmem::taint(ptr) }.expect("a live cell"));
            }
            let before = six.live();
            // Those from before know nothing of the taint: their cells do.
            let copies = untainted.map(|ptr| unsafe { kmem::dup(&ptr) }.expect("there is room"));
            assert_eq!(six.live(), before + 5);
            for (ptr, copy) in cells.iter().zip(copies) {
                assert!(copy.payload() != ptr.payload() && is_whole(copy) && is_whole(*ptr));
                assert_eq!(
                    (copy.kind(), copy.size(), copy.cell()),
                    (ptr.kind(), ptr.size(), ptr.cell()),
                    "in the same store"
                );
                assert_eq!(copy.is_tainted(), tainted && cfg!(feature = "shred"), "taint is inherited");
            }
            assert_eq!(unsafe { refs::header(payload(copies[3])) }.refs(), 1, "the new one has one reference");
            let node = unsafe { six.tree.header(payload(copies[4])) };
            assert_eq!((node.parent(), node.child()), (six.tree.root().ok(), None), "under the same parent, childless");
            for ptr in copies {
                unsafe { kmem::free(ptr) }.expect("a live cell");
                #[cfg(feature = "shred")]
                assert_eq!(is_gone(ptr), tainted, "{ptr:?}");
            }
        }
    });
}
