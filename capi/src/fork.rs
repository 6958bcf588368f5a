//! What a child needs that is forked while another thread has a lock of the whole process: that none has.

/// Has the locks taken by whoever forks, before the first is locked.
#[cfg(unix)]
#[inline]
pub fn prepare() {
    use kmem::platform::AtFork;

    use crate::{process, registry};

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

    // SAFETY: no code of the caller's, which might fork, runs under the locks.
    static FORK: AtFork = unsafe { AtFork::new(before, after) };
    FORK.prepare();
}

#[cfg(not(unix))]
pub const fn prepare() {}
