//! Headers that were overwritten by who ran over the end of the cell in front.

use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use kmem::inspect::Inspect;
use kmem::{Cell, Cond, Heap, Kind, Lin, Node, RefCell, Source, Store, Tree, refs, tree};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::fickle::Fickle;
use crate::{LAYOUT, bytes};

const BYTES: [u8; 7] = [0, 1, 5, 0x2a, 0x41, 0x4c, 0xff];

fn overwrite(payload: NonNull<u8>, len: usize, byte: u8) {
    unsafe { payload.sub(len).write_bytes(byte, len) };
}

/// Overwrites so many bytes in front of a payload, and puts them back when it goes.
struct Overwritten(NonNull<u8>, Vec<u8>);

impl Overwritten {
    fn new(payload: NonNull<u8>, len: usize, byte: u8) -> Self {
        let start = unsafe { payload.sub(len) };
        let kept = (0..len).map(|at| unsafe { start.add(at).read() }).collect();
        overwrite(payload, len, byte);
        Self(start, kept)
    }
}

impl Drop for Overwritten {
    fn drop(&mut self) {
        unsafe { self.0.copy_from_nonoverlapping(NonNull::from(&*self.1).cast(), self.1.len()) };
    }
}

const HEADER: usize = size_of::<Cell>();
const NODE: usize = size_of::<Node>();

/// Whatever went from header to header went past the region's end, or for ever round in it.
#[test]
fn a_region_goes_no_further_than_a_header_that_was_overwritten() {
    for byte in BYTES {
        let mut lin = Lin::with_headers_in(Fickle::default());
        let mark = lin.mark().unwrap();
        let [first, second, third] = [(); 3].map(|()| lin.alloc(LAYOUT).unwrap().cast::<u8>());
        unsafe { third.write_bytes(0xab, LAYOUT.size()) };
        let overwritten = Overwritten::new(second, HEADER, byte);
        assert_eq!(lin.look_over(), Err(Cond::FailAssert));
        assert_eq!(unsafe { lin.rewind(mark) }, Err(Cond::FailAssert));
        assert!(lin.locate(first).is_ok() && lin.locate(third).is_ok() && lin.check().is_err());
        assert_eq!(lin.stats().live, 1, "those that can be reached");
        let mut records = 0;
        lin.inspect(&mut |_| records += 1);
        assert_eq!(records, 5, "the chunk, its front, the mark, the first cell, and what is free");
        drop(overwritten);
        assert_eq!(lin.look_over(), Ok(()));
        assert_eq!(unsafe { lin.rewind(mark) }, Ok(()));

        // Who cannot be told of it loses nothing but what is there, of which nobody knows what was secret.
        let [_, second, third] = [(); 3].map(|()| lin.alloc(LAYOUT).unwrap().cast::<u8>());
        unsafe { third.write_bytes(0xab, LAYOUT.size()) };
        overwrite(second, HEADER, byte);
        lin.reset();
        lin.check().unwrap();
        assert_eq!((lin.stats().live, lin.locate(third)), (0, Err(Cond::BadAddress)));
        #[cfg(feature = "shred")]
        assert_eq!(crate::common::raw_bytes(third, LAYOUT.size()), [0; LAYOUT.size()]);
        // Nor can it when it ends.
        overwrite(lin.alloc(LAYOUT).unwrap().cast::<u8>(), HEADER, byte);
    }
}

/// A mark is a record in the region, whose links may have gone too.
#[test]
fn a_region_follows_no_mark_that_was_overwritten() {
    let lin = Lin::with_headers_in(Fickle::default());
    let (first, second) = (lin.mark().unwrap(), lin.mark().unwrap());
    let record = second.to_parts().0.cast_mut().cast::<u8>();
    let cell = lin.alloc(LAYOUT).unwrap().cast::<u8>();
    // By a pointer that is good for all of the chunk.
    let record = unsafe { cell.sub(cell.addr().get() - record.addr()) };
    let len = 4 * size_of::<usize>();
    let overwritten = Overwritten::new(unsafe { record.add(len) }, len, 0x41);
    assert_eq!(unsafe { lin.rewind(first) }, Err(Cond::FailAssert));
    drop(overwritten);
    assert_eq!(unsafe { lin.rewind(first) }, Ok(()));
}

/// A node passed for a counted cell where its source's header said so.
#[test]
fn a_node_is_no_counted_cell_though_its_block_is_marked_as_one() {
    let tree = Tree::managed_in(Lin::with_headers_in(Fickle::default()));
    let node = unsafe { child_of(&tree, tree.root().unwrap()) };
    let block = unsafe { node.sub(NODE) };
    unsafe { block.sub(HEADER).write(Kind::Ref as u8) };
    let payload = unsafe { block.add(size_of::<RefCell>()) };
    assert_eq!(refs::locate_in(tree.source(), payload), Err(Cond::FailAssert));
    unsafe { block.sub(HEADER).write(Kind::Tree as u8) };
}

unsafe fn child_of<S: Source>(tree: &Tree<S>, parent: NonNull<u8>) -> NonNull<u8> {
    unsafe { tree.alloc(parent, LAYOUT) }.unwrap().cast()
}

/// That a tree notices that a node's header was overwritten, whoever comes to it from wherever.
fn notices<S: Store>(mut tree: Tree<S>, in_front: usize) {
    let root = tree.root().unwrap();
    let (top, second, low, third);
    unsafe {
        top = child_of(&tree, root);
        second = child_of(&tree, top);
        low = child_of(&tree, second);
        third = child_of(&tree, top);
        child_of(&tree, third);
        child_of(&tree, root);
    }
    let gone = Err(Cond::FailAssert);
    for byte in BYTES {
        for len in [NODE, NODE + in_front] {
            let overwritten = Overwritten::new(second, len, byte);
            unsafe {
                assert_eq!(tree.free_if_whole(top, false), gone);
                assert_eq!(tree.look_over(root), gone);
                assert_eq!(tree.look_over_all(), gone);
                assert_eq!(tree.look_at_children(top), gone);
                assert_eq!(tree.look_at_children(third), Ok(()));
                assert_eq!(tree.free_if_whole(second, false), gone);
                assert_eq!(tree.set_quota(top, Some(1 << 20)), gone);
                assert_eq!(tree.move_to(third, low), gone);
                assert_eq!(tree.alloc(second, LAYOUT).map(drop), gone);
                assert_eq!(tree.name(second).map(drop), gone);
                assert_eq!(tree::context_of(second), Err(Cond::FailAssert));
            }
            assert!(matches!(tree.locate(second), Err(Cond::FailAssert | Cond::BadAddress)));
            assert_eq!(tree.destroy_if_whole(), gone);
            drop(overwritten);
            tree.check().unwrap();
        }
        if in_front > 0 {
            let overwritten = Overwritten::new(unsafe { second.sub(NODE) }, in_front, byte);
            assert_eq!(unsafe { tree.free_if_whole(top, false) }, gone);
            assert_eq!(tree.destroy_if_whole(), gone);
            drop(overwritten);
        }
    }
    unsafe { tree.set_quota(top, Some(1 << 20)) }.unwrap();
    for byte in BYTES {
        let overwritten = Overwritten::new(second, NODE, byte);
        unsafe {
            assert_eq!(tree.alloc(low, LAYOUT).map(drop), gone);
            assert_eq!(tree.resize(low, 100).map(drop), gone);
            assert_eq!(tree.move_to(low, third), gone);
            assert_eq!(tree.free(low), gone);
            assert_eq!(tree.free_children(low), Ok(()), "there are none");
        }
        drop(overwritten);
        tree.check().unwrap();
    }
    tree.destroy_if_whole().unwrap();
    assert_eq!(tree.stats().live, 0);
}

#[test]
fn a_tree_follows_no_header_that_was_overwritten() {
    notices(Tree::managed_in(Heap::new_in(Fickle::default())), 0);
    notices(Tree::managed_in(Lin::with_headers_in(Fickle::default())), HEADER);
    let mut room = [MaybeUninit::uninit(); 8192];
    notices(Tree::fixed(&mut room), HEADER);
}

/// A tree was looked for by what the root's header says, though that was overwritten.
#[test]
fn a_tree_is_found_by_a_node_though_the_roots_header_was_overwritten() {
    let tree = Tree::managed_in(Heap::new_in(Fickle::default()));
    let mut about = 7_u32;
    tree.set_context((&raw mut about).cast());
    let root = tree.root().unwrap();
    let node = unsafe { child_of(&tree, root) };
    let _overwritten = Overwritten::new(root, NODE, 0x41);
    assert_eq!(unsafe { tree::context_of(node) }, Ok((&raw mut about).cast()));
}

/// A node whose block the source had not taken back passed for a live one, or one that was overwritten.
#[test]
fn a_node_that_its_source_has_not_taken_back_has_gone() {
    let heap = Heap::new_in(Fickle::default());
    let mut tree = Tree::managed_in(&heap);
    let root = tree.root().unwrap();
    let node = unsafe { child_of(&tree, root) };
    unsafe { tree.set_name(node, Some(c"a name")) }.unwrap();
    // A heap that is looked at takes nothing back.
    let mut done = false;
    heap.inspect(&mut |_| {
        if !core::mem::replace(&mut done, true) {
            unsafe { tree.free(node) }.unwrap();
        }
    });
    assert!(tree.stats().held > tree.stats().bytes);
    assert_eq!(tree.locate(node), Err(Cond::BadAddress));
    assert_eq!(unsafe { tree::context_of(node) }, Err(Cond::BadAddress));
    assert_eq!(unsafe { tree.name(node) }, Err(Cond::BadAddress));
    assert_eq!(heap.locate(unsafe { node.sub(NODE) }).map(|found| found.kind), Ok(Kind::Tree));
    tree.destroy().unwrap();
    assert_eq!(heap.stats().live, 0);
}

struct Going<'t> {
    tree: &'t Tree<Heap<Fickle>>,
    root: NonNull<u8>,
    runs: usize,
}

/// Releases the root, and has other things where it was; then acts on its own node.
unsafe fn act(node: NonNull<u8>, context: *mut ()) {
    let going = unsafe { &mut *context.cast::<Going<'_>>() };
    going.runs += 1;
    unsafe { going.tree.free(going.root) }.unwrap();
    for size in (16..400).step_by(16) {
        let cell = going.tree.source().alloc(bytes(size)).unwrap().cast::<u8>();
        unsafe { cell.write_bytes(0x41, size) };
    }
    assert_eq!(unsafe { tree::context_of(node) }, Err(Cond::InUse));
    assert_eq!(unsafe { going.tree.free(node) }, Err(Cond::InUse));
    assert!(going.tree.locate(node).is_err());
    assert_eq!(unsafe { going.tree.name(node) }, Ok(Some(c"a name")));
}

/// The node went on to name a root that was no more.
#[test]
fn a_node_that_is_going_has_no_root() {
    let tree = Tree::managed_in(Heap::new_in(Fickle::default()));
    let root = tree.root().unwrap();
    let mut going = Going { tree: &tree, root, runs: 0 };
    unsafe {
        let node = child_of(&tree, root);
        tree.set_name(node, Some(c"a name")).unwrap();
        tree.on_release(node, act, ptr::from_mut(&mut going).cast()).unwrap();
        tree.free(node).unwrap();
    }
    assert_eq!((going.runs, tree.stats().live), (1, 0));
}
