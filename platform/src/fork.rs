//! What a child needs that is forked while another thread has a lock of the whole process: that none has.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, Ordering};

type Step = unsafe extern "C" fn();

unsafe extern "C" {
    fn pthread_atfork(prepare: Option<Step>, parent: Option<Step>, child: Option<Step>) -> c_int;
}

/// What is done around each fork: before it, and after it in parent and child.
///
/// ```
/// use kmem_platform::{AtFork, Locked};
///
/// static COUNT: Locked<u32> = Locked::new(0);
///
/// unsafe extern "C" fn before() {
///     core::mem::forget(COUNT.lock());
/// }
///
/// unsafe extern "C" fn after() {
///     // SAFETY: this thread locked it before it forked, and its guard was forgotten.
///     unsafe { COUNT.unlock() };
/// }
///
/// // SAFETY: whoever forks has not locked it.
/// static FORK: AtFork = unsafe { AtFork::new(before, after) };
///
/// FORK.prepare();
/// *COUNT.lock() += 1;
/// ```
#[derive(Debug)]
pub struct AtFork {
    asked: AtomicBool,
    before: Step,
    after: Step,
}

impl AtFork {
    /// Says what is to be done.
    ///
    /// # Safety
    ///
    /// Any thread that forks may call the first, and then the second.
    pub const unsafe fn new(before: Step, after: Step) -> Self {
        Self { asked: AtomicBool::new(false), before, after }
    }

    /// Has it done from now on, if it is not yet. Refused by the system, a child is as safe as without.
    #[inline]
    pub fn prepare(&self) {
        if !self.asked.load(Ordering::Relaxed) && !self.asked.swap(true, Ordering::Relaxed) {
            self.ask();
        }
    }

    #[cold]
    fn ask(&self) {
        // SAFETY: the functions stay, and may be called so.
        unsafe { pthread_atfork(Some(self.before), Some(self.after), Some(self.after)) };
    }
}
