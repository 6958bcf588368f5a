//! The atomic count of shared values, and the way home of what another thread freed, in every order in which threads
//! can meet.
#![cfg(test)]

pub use kmem_platform::Cond;

#[path = "../../../src/typed/count.rs"]
#[allow(dead_code, reason = "the plain count is not looked at here")]
mod count;
mod mail;
#[path = "../../../src/seeded.rs"]
mod seeded;

use loom::cell::UnsafeCell;
use loom::sync::{Arc, atomic};
use loom::thread;

use count::{Atomic, Count};

/// A value with its counts, as a shared handle has them; the handles are played by hand.
struct Block {
    strong: Atomic,
    weak: Atomic,
    /// The value; loom notices who reads and writes it unordered.
    value: UnsafeCell<u32>,
    /// Times that it was dropped, and that its block was given back.
    dropped: UnsafeCell<u32>,
    freed: UnsafeCell<u32>,
}

impl Block {
    fn new(strong: usize) -> Arc<Self> {
        let cell = || UnsafeCell::new(0);
        let (strong, weak) = (Atomic::new(strong), Atomic::new(1));
        Arc::new(Self { strong, weak, value: cell(), dropped: cell(), freed: cell() })
    }

    fn read(&self) -> u32 {
        // SAFETY: loom watches.
        self.value.with(|value| unsafe { *value })
    }

    fn write(&self, number: u32) {
        // SAFETY: loom watches.
        self.value.with_mut(|value| unsafe { *value = number });
    }

    /// A strong handle goes.
    fn drop_strong(&self) {
        if self.strong.down() {
            self.write(u32::MAX);
            // SAFETY: loom watches.
            self.dropped.with_mut(|times| unsafe { *times += 1 });
            self.drop_weak();
        }
    }

    /// A weak handle goes.
    fn drop_weak(&self) {
        if self.weak.down_alone() {
            // SAFETY: loom watches.
            self.freed.with_mut(|times| unsafe { *times += 1 });
        }
    }

    /// The only handle changes the value, as `get_mut` does.
    fn change(&self) -> bool {
        if !self.weak.close() {
            return false;
        }
        let alone = self.strong.is_one();
        self.weak.open();
        if alone {
            self.write(7);
        }
        alone
    }

    fn ends(&self) -> (u32, u32) {
        // SAFETY: loom watches.
        (self.dropped.with(|times| unsafe { *times }), self.freed.with(|times| unsafe { *times }))
    }
}

#[test]
fn the_last_owner_sees_what_the_others_did_and_drops_once() {
    loom::model(|| {
        let block = Block::new(2);
        let there = block.clone();
        let other = thread::spawn(move || {
            assert_eq!(there.read(), 0);
            there.drop_strong();
        });
        block.read();
        block.drop_strong();
        other.join().unwrap();
        assert_eq!(block.ends(), (1, 1));
    });
}

#[test]
fn clones_made_at_once_are_all_counted() {
    loom::model(|| {
        let block = Block::new(2);
        let there = block.clone();
        let other = thread::spawn(move || {
            there.strong.up_held().unwrap();
            there.drop_strong();
            there.drop_strong();
        });
        block.strong.up_held().unwrap();
        block.drop_strong();
        block.read();
        block.drop_strong();
        other.join().unwrap();
        assert_eq!(block.ends(), (1, 1));
    });
}

#[test]
fn a_weak_handle_gets_the_value_whole_or_not_at_all() {
    loom::model(|| {
        let block = Block::new(1);
        block.weak.up().unwrap();
        let there = block.clone();
        let other = thread::spawn(move || {
            if there.strong.up().is_ok() {
                assert_eq!(there.read(), 0, "a value that was dropped");
                there.drop_strong();
            }
            there.drop_weak();
        });
        block.drop_strong();
        other.join().unwrap();
        assert_eq!(block.ends(), (1, 1));
    });
}

#[test]
fn only_who_is_alone_changes_the_value() {
    loom::model(|| {
        let block = Block::new(2);
        let there = block.clone();
        let other = thread::spawn(move || {
            there.read();
            there.drop_strong();
        });
        let changed = block.change();
        assert_eq!(block.read(), if changed { 7 } else { 0 });
        block.drop_strong();
        other.join().unwrap();
        assert_eq!(block.ends(), (1, 1));
    });
}

#[test]
fn who_comes_from_a_weak_handle_is_not_overlooked() {
    loom::model(|| {
        let block = Block::new(1);
        block.weak.up().unwrap();
        let there = block.clone();
        let other = thread::spawn(move || {
            if there.strong.up().is_ok() {
                there.read();
                there.drop_strong();
            }
            there.drop_weak();
        });
        block.change();
        block.drop_strong();
        other.join().unwrap();
        assert_eq!(block.ends(), (1, 1));
    });
}
