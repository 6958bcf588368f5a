//! A source that refuses when it is told to, and knows what it got back.

use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;
use std::alloc::{alloc_zeroed, dealloc};

use kmem::{Cond, Source};

/// The process's memory, in blocks that move when they are resized.
///
/// What came back is overwritten and kept, so that whoever looks at it still is found out.
#[derive(Default)]
pub struct Fickle {
    refuses_alloc: Cell<bool>,
    refuses_free: Cell<bool>,
    live: Cell<usize>,
    given_back: RefCell<Vec<Gone>>,
}

/// A block that came back, with what was in it then.
struct Gone {
    block: NonNull<u8>,
    layout: Layout,
    #[cfg(feature = "shred")]
    bytes: Vec<u8>,
}

impl Drop for Gone {
    fn drop(&mut self) {
        unsafe { dealloc(self.block.as_ptr(), some(self.layout)) };
    }
}

impl Fickle {
    #[cfg(feature = "shred")]
    pub fn refuse(&self, alloc: bool, free: bool) {
        self.refuses_alloc.set(alloc);
        self.refuses_free.set(free);
    }

    /// Blocks that are out.
    pub fn live(&self) -> usize {
        self.live.get()
    }

    /// Whether a block that came back had a byte in it then, so often in a row that it is no accident.
    #[cfg(feature = "shred")]
    pub fn came_back_with(&self, byte: u8) -> bool {
        self.given_back.borrow().iter().any(|gone| gone.bytes.windows(8).any(|bytes| bytes == [byte; 8]))
    }
}

fn some(layout: Layout) -> Layout {
    Layout::from_size_align(layout.size().max(1), layout.align()).expect("one byte at the least")
}

unsafe impl Source for Fickle {
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        if self.refuses_alloc.get() {
            return Err(Cond::NoRoom);
        }
        let block = NonNull::new(unsafe { alloc_zeroed(some(layout)) }).ok_or(Cond::NoRoom)?;
        self.live.set(self.live.get() + 1);
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        if self.refuses_free.get() {
            return Err(Cond::NoRoom);
        }
        let gone = Gone {
            block,
            layout,
            #[cfg(feature = "shred")]
            bytes: (0..layout.size()).map(|at| unsafe { block.add(at).read_volatile() }).collect(),
        };
        unsafe { block.write_bytes(0xdd, layout.size()) };
        self.given_back.borrow_mut().push(gone);
        self.live.set(self.live.get() - 1);
        Ok(())
    }
}
