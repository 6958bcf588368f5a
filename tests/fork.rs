//! Forking while another thread allocates: the child has the stores of the thread that forked, whole.
#![cfg(all(target_os = "linux", feature = "platform"))]
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "each cell is freed once by the lines that took it"
)]

#[path = "common/say.rs"]
mod say;

use core::alloc::Layout;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use kmem::platform::Locked;
use kmem::{Broken, Heap, Lin, Pages, Pool, Tree};

use say::say;

const FORKS: usize = 1000;
const CELL: Layout = Layout::new::<[u64; 6]>();
/// A child that hangs ends by a signal after so many seconds.
const PATIENCE: libc::c_uint = 20;

/// A store of every kind, with something in it.
struct Stores {
    heap: Heap<Pages>,
    lin: Lin<Pages>,
    pool: Pool<Pages>,
    tree: Tree<Pages>,
}

impl Stores {
    fn new() -> Self {
        Self {
            heap: Heap::new_in(Pages::new()),
            lin: Lin::new_in(Pages::new()),
            pool: Pool::new_in(CELL, Pages::new()),
            tree: Tree::new_in(Pages::new()),
        }
    }

    /// Takes and gives back in every store, in an order that leaves something behind now and then.
    fn work(&mut self, round: usize) {
        let sizes = [8, 100, 3000, 200_000];
        let layout = Layout::from_size_align(sizes[round % 4], 16).expect("a layout");
        let root = self.tree.root().expect("room");
        unsafe {
            let cell = self.heap.alloc(layout).expect("room").cast::<u8>();
            cell.write_bytes(1, layout.size());
            let kept = self.pool.alloc().expect("room").cast::<u8>();
            let node = self.tree.alloc(root, CELL).expect("room").cast();
            self.tree.alloc(node, CELL).expect("room");
            self.lin.alloc(CELL).expect("room");
            self.heap.free(cell).expect("taken back");
            self.tree.free(node).expect("taken back");
            if round % 8 < 7 {
                self.pool.free(kept).expect("taken back");
            } else {
                self.lin.reset();
            }
        }
    }

    fn prove(&self) -> Result<(), Broken> {
        self.heap.check()?;
        self.lin.check()?;
        self.pool.check()?;
        self.tree.check()
    }
}

/// What the child does: proves what it has inherited, uses it, and proves it again.
fn child(mine: &mut Stores, shared: &Heap<Pages>) -> bool {
    let whole = mine.prove().is_ok() && shared.check().is_ok();
    (0..20).for_each(|round| mine.work(round));
    let cell = shared.alloc(CELL).expect("room");
    unsafe { shared.free(cell.cast()) }.expect("taken back");
    whole && mine.prove().is_ok() && shared.check().is_ok() && mine.heap.destroy().is_ok()
}

#[test]
fn a_child_has_whole_stores_though_another_thread_allocates() {
    let shared = Locked::new(Heap::new_in(Pages::new()));
    let (stop, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut own = Stores::new();
            while !stop.load(Ordering::Relaxed) {
                let round = rounds.fetch_add(1, Ordering::Relaxed);
                own.work(round);
                let heap = shared.lock();
                let cell = heap.alloc(CELL).expect("room");
                unsafe { heap.free(cell.cast()) }.expect("taken back");
            }
            own.prove().expect("the other thread's stores are whole");
        });
        let mut mine = Stores::new();
        let mut failed = Vec::new();
        for round in 0..FORKS {
            mine.work(round);
            // Whoever forks holds the lock, so that it is the child's when it wakes up.
            let heap = shared.lock();
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                unsafe { libc::alarm(PATIENCE) };
                let well = child(&mut mine, &heap);
                unsafe { libc::_exit(libc::c_int::from(!well)) };
            }
            assert!(pid > 0, "no fork");
            drop(heap);
            let mut status = 0;
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            if status != 0 {
                failed.push((round, status));
            }
            mine.prove().expect("the parent's stores are whole");
        }
        stop.store(true, Ordering::Relaxed);
        assert_eq!(failed, [], "(fork, status) of children that failed");
        shared.lock().check().expect("the shared heap is whole");
    });
    let rounds = rounds.into_inner();
    say(&format!("{FORKS} forks while another thread allocated {rounds} times"));
    assert!(rounds > FORKS / 2, "the other thread hardly allocated: {rounds}");
}
