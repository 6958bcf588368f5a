//! What other threads free, on its way home.

use loom::sync::Arc;
use loom::thread;

use crate::atomic::{self, AtomicPtr, AtomicU16, AtomicU32, Ordering};

#[path = "../../../src/spans/mail.rs"]
#[allow(clippy::module_inception, reason = "the file under test")]
mod mail;

use mail::{EMPTY, Letter, receive, send};

const CELLS: usize = 3;

/// A span whose cells are all live; the owner's mail.
struct Span {
    list: AtomicU32,
    next: AtomicPtr<Span>,
    marks: [AtomicU16; CELLS],
}

impl Letter for Span {
    fn list(&self) -> &AtomicU32 {
        &self.list
    }

    fn next(&self) -> &AtomicPtr<Self> {
        &self.next
    }
}

impl Span {
    fn new() -> Self {
        let marks = std::array::from_fn(|_| AtomicU16::new(u16::MAX));
        Self { list: AtomicU32::new(EMPTY), next: AtomicPtr::new(std::ptr::null_mut()), marks }
    }
}

struct Owner {
    mail: AtomicPtr<Span>,
    spans: [Span; 2],
}

impl Owner {
    fn send(&self, span: usize, cell: u16) -> bool {
        send(&self.spans[span], cell, &self.spans[span].marks[cell as usize], 1, &self.mail)
    }

    /// Two cells, the first of which leads to the second.
    fn send_both(&self, span: usize, cells: [u16; 2]) -> bool {
        let marks = &self.spans[span].marks;
        marks[cells[0] as usize].store(cells[1], Ordering::Relaxed);
        send(&self.spans[span], cells[0], &marks[cells[1] as usize], 2, &self.mail)
    }

    /// Takes everything in; which cells of which span came home.
    fn receive(&self, home: &mut Vec<(usize, u16)>) {
        receive(&self.mail, |span: &Span, first, count| {
            let number = usize::from(!std::ptr::eq(span, &raw const self.spans[0]));
            let mut cell = first;
            for _ in 0..count {
                home.push((number, cell));
                cell = span.marks[cell as usize].load(Ordering::Relaxed);
            }
            assert_eq!(u32::from(cell), EMPTY, "a list is as long as it says");
        });
    }
}

/// Two threads free cells of two spans while the owner takes in what has come: each comes home once.
#[test]
fn what_two_threads_free_comes_home_once() {
    loom::model(|| {
        let mail = AtomicPtr::new(std::ptr::null_mut());
        let owner = Arc::new(Owner { mail, spans: [Span::new(), Span::new()] });
        let other = Arc::clone(&owner);
        let first = thread::spawn(move || {
            other.send(0, 0);
            other.send(1, 0);
        });
        let other = Arc::clone(&owner);
        let second = thread::spawn(move || {
            other.send_both(0, [1, 2]);
        });
        let mut home = Vec::new();
        owner.receive(&mut home);
        first.join().unwrap();
        second.join().unwrap();
        owner.receive(&mut home);
        home.sort_unstable();
        assert_eq!(home, [(0, 0), (0, 1), (0, 2), (1, 0)]);
        assert!(owner.mail.load(Ordering::Relaxed).is_null());
    });
}
