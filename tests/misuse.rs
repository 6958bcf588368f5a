//! What a program does wrong with the raw face is seen by AddressSanitizer (`--cfg kmem_asan`) and by valgrind
//! (`--cfg kmem_valgrind`), which the stores tell of their cells. Each misuse is done by this program run again, which
//! must end at it.
#![cfg(all(any(kmem_asan, kmem_valgrind), feature = "platform"))]
#![allow(clippy::undocumented_unsafe_blocks, clippy::multiple_unsafe_ops_per_block, reason = "they are all wrong")]

use core::alloc::Layout;
use core::hint::black_box;
use core::ptr::NonNull;
use std::process::Command;

use kmem::{Heap, Lin, Pages, Pool, Tree};

const SIZE: usize = 40;
const CELL: Layout = Layout::new::<[u8; SIZE]>();

fn read(at: NonNull<[u8]>, byte: usize) {
    black_box(unsafe { at.cast::<u8>().add(byte).read_volatile() });
}

fn heap() -> Heap<Pages> {
    Heap::new_in(Pages::new())
}

/// A name and a misuse.
const MISUSES: [(&str, fn()); 9] = [
    ("a heap's cell is read after it was freed", || {
        let heap = heap();
        let cell = heap.alloc(CELL).unwrap();
        unsafe { heap.free(cell.cast()) }.unwrap();
        read(cell, 30);
    }),
    ("a heap's cell is read one byte too far", || {
        let heap = heap();
        read(heap.alloc(CELL).unwrap(), SIZE);
    }),
    ("a region's cell is read after a reset", || {
        let mut lin = Lin::new_in(Pages::new());
        let cell = lin.alloc(CELL).unwrap();
        lin.reset();
        read(cell, 0);
    }),
    ("a region's cell is read after a rewind", || {
        let lin = Lin::with_headers_in(Pages::new());
        let mark = lin.mark().unwrap();
        let cell = lin.alloc(CELL).unwrap();
        unsafe { lin.rewind(mark) }.unwrap();
        read(cell, 0);
    }),
    ("a region's cell is read one byte too far", || {
        let lin = Lin::new_in(Pages::new());
        read(lin.alloc(CELL).unwrap(), SIZE);
    }),
    ("a pool's cell is read after it was freed", || {
        let pool = Pool::new_in(CELL, Pages::new());
        let cell = pool.alloc().unwrap();
        unsafe { pool.free(cell.cast()) }.unwrap();
        read(cell, 30);
    }),
    ("a pool's cell is read after a reset", || {
        let mut pool = Pool::with_headers_in(CELL, Pages::new());
        let cell = pool.alloc().unwrap();
        pool.reset();
        read(cell, 30);
    }),
    ("a pool's cell is read one byte too far", || {
        let pool = Pool::new_in(CELL, Pages::new());
        read(pool.alloc().unwrap(), SIZE);
    }),
    ("a node is read after it was freed", || {
        let heap = heap();
        let tree = Tree::new_in(&heap);
        let node = unsafe { tree.alloc(tree.root().unwrap(), CELL) }.unwrap();
        unsafe { tree.free(node.cast()) }.unwrap();
        read(node, 30);
    }),
];

const NAMED: &str = "KMEM_MISUSE";
/// What the checker calls it.
const REPORT: &str = if cfg!(kmem_asan) { "use-after-poison" } else { "Invalid read of size 1" };

/// This program under the checker: the sanitizer is in it, valgrind is around it.
fn watched() -> Command {
    let program = std::env::current_exe().expect("the program has a place");
    if cfg!(kmem_asan) {
        return Command::new(program);
    }
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--error-exitcode=1", "--exit-on-first-error=yes"]).arg(program);
    valgrind
}

#[test]
fn every_misuse_is_seen() {
    if let Ok(name) = std::env::var(NAMED) {
        let (_, misuse) = MISUSES.iter().find(|(known, _)| *known == name).expect("a misuse of this name");
        misuse();
        return;
    }
    let mut unseen = Vec::new();
    for (name, _) in MISUSES {
        let output = watched().env(NAMED, name).output().expect("it can be run again");
        let words = String::from_utf8_lossy(&output.stderr);
        if output.status.success() || !words.contains(REPORT) {
            unseen.push(name);
        }
    }
    assert!(unseen.is_empty(), "not seen: {unseen:#?}");
}
