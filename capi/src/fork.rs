//! What a child needs that is forked while another thread has a lock of the whole process: that none has.

#[cfg(unix)]
use core::sync::atomic::{AtomicBool, Ordering};

#[cfg(unix)]
use crate::{process, registry};

/// Has the locks taken by whoever forks, before the first is locked.
#[cfg(unix)]
#[inline]
pub fn prepare() {
    static DONE: AtomicBool = AtomicBool::new(false);
    if !DONE.load(Ordering::Relaxed) && !DONE.swap(true, Ordering::Relaxed) {
        ask();
    }
}

#[cfg(not(unix))]
pub const fn prepare() {}

#[cfg(unix)]
#[cold]
fn ask() {
    unsafe extern "C" {
        fn pthread_atfork(
            prepare: Option<unsafe extern "C" fn()>,
            parent: Option<unsafe extern "C" fn()>,
            child: Option<unsafe extern "C" fn()>,
        ) -> core::ffi::c_int;
    }

    unsafe extern "C" fn before() {
        // In the order in which one thread has both.
        process::lock();
        registry::lock();
    }

    unsafe extern "C" fn after() {
        // SAFETY: this thread locked before it forked.
        unsafe { registry::unlock() };
        // SAFETY: as above.
        unsafe { process::unlock() };
    }

    // Refused, a child is as safe as without.
    // SAFETY: the functions stay, and each does no more than lock or unlock.
    unsafe { pthread_atfork(Some(before), Some(after), Some(after)) };
}
