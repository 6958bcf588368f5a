//! Which [`Local`] the calling thread uses.
//!
//! With the feature `std` each thread has one of its own from its first call to its end, and then the next thread
//! that begins has it, with everything in it. Without, and for a thread that is past its end, one that nobody uses is
//! borrowed for the length of a call. A module with one thread has a heap of another kind.

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, Ordering, fence};

use super::ground::Process;
#[cfg(feature = "std")]
use super::hardened;
use crate::Cond;
use crate::spans::Local;

/// Nobody has it.
const VACANT: u8 = 0;
/// A thread's own.
#[cfg(feature = "std")]
const OWN: u8 = 1;
/// Somebody has it for the length of a call.
const LENT: u8 = 2;

/// All there ever were.
static ALL: AtomicPtr<Local> = AtomicPtr::new(ptr::null_mut());

/// A local that nobody has, for whom it is from now on.
fn occupy(state: u8) -> Result<&'static Local, Cond> {
    let mut next = NonNull::new(ALL.load(Ordering::Acquire));
    while let Some(local) = next {
        // SAFETY: what is on the list stays for ever.
        let local: &Local = unsafe { local.as_ref() };
        if local.state.compare_exchange(VACANT, state, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return Ok(local);
        }
        next = NonNull::new(local.sibling.load(Ordering::Relaxed));
    }
    use kmem_platform::{Native, Platform};

    let run = Native.map(size_of::<Local>())?;
    let place = run.start.cast::<Local>();
    if !run.zeroed {
        // SAFETY: the pages are ours, and at least as long and as aligned.
        unsafe { place.write_bytes(0, 1) };
    }
    // SAFETY: as above, all zero, and they stay.
    let local: &Local = unsafe { Local::found(place) };
    local.state.store(state, Ordering::Relaxed);
    let mut first = ALL.load(Ordering::Relaxed);
    loop {
        local.sibling.store(first, Ordering::Relaxed);
        match ALL.compare_exchange_weak(first, place.as_ptr(), Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return Ok(local),
            Err(now) => first = now,
        }
    }
}

/// Looks at each local, whoever has it.
pub(super) fn each(mut look: impl FnMut(&Local)) {
    let mut next = NonNull::new(ALL.load(Ordering::Acquire));
    while let Some(local) = next {
        // SAFETY: what is on the list stays for ever.
        let local: &Local = unsafe { local.as_ref() };
        look(local);
        next = NonNull::new(local.sibling.load(Ordering::Relaxed));
    }
}

/// Somebody put something into the mail of a local, or had the local until now: if nobody has it, its mail is looked
/// through.
pub(super) fn look_after(local: &Local) {
    // Either who sends sees that nobody has it, or who had it sees what came.
    fence(Ordering::SeqCst);
    while local.is_idle()
        && local.has_mail()
        && local.state.compare_exchange(VACANT, LENT, Ordering::Acquire, Ordering::Relaxed).is_ok()
    {
        local.receive(&Process);
        local.state.store(VACANT, Ordering::Release);
        fence(Ordering::SeqCst);
    }
}

/// Nobody has a local any more.
fn leave(local: &Local) {
    local.state.store(VACANT, Ordering::Release);
    look_after(local);
}

/// Does something with each local that nobody has.
pub(super) fn with_vacant(mut work: impl FnMut(&Local)) {
    let mut next = NonNull::new(ALL.load(Ordering::Acquire));
    while let Some(local) = next {
        // SAFETY: what is on the list stays for ever.
        let local: &Local = unsafe { local.as_ref() };
        if local.state.compare_exchange(VACANT, LENT, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            work(local);
            leave(local);
        }
        next = NonNull::new(local.sibling.load(Ordering::Relaxed));
    }
}

/// Does something with a local that nobody has, whoever calls.
fn lend<R>(work: impl FnOnce(&Local) -> R) -> Result<R, Cond> {
    let local = occupy(LENT)?;
    let answer = work(local);
    leave(local);
    Ok(answer)
}

#[cfg(feature = "std")]
mod own {
    extern crate std;

    use std::thread_local;

    use super::*;

    thread_local! {
        /// Dropped at the end of the thread.
        static END: End = const { End };
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64", not(kmem_backend = "libc")))]
    mod word {
        use kmem_platform::{set_thread_word, thread_word};

        use super::Local;

        #[inline(always)]
        pub(super) fn get() -> *const Local {
            thread_word().cast()
        }

        pub(super) fn set(local: *const Local) {
            set_thread_word(local.cast_mut().cast());
        }
    }

    #[cfg(not(all(
        target_os = "linux",
        target_arch = "x86_64",
        target_pointer_width = "64",
        not(kmem_backend = "libc")
    )))]
    mod word {
        use core::cell::Cell as Var;
        use core::ptr;
        use std::thread_local;

        use super::{Local, std};

        thread_local! {
            static LOCAL: Var<*const Local> = const { Var::new(ptr::null()) };
        }

        #[inline(always)]
        pub(super) fn get() -> *const Local {
            LOCAL.get()
        }

        pub(super) fn set(local: *const Local) {
            LOCAL.set(local);
        }
    }

    struct End;

    impl Drop for End {
        fn drop(&mut self) {
            let Some(local) = here() else { return };
            word::set(ptr::null());
            hardened::drain(local);
            local.send_all(look_after);
            // What the system refuses to take stays for who has it next.
            let _ = local.flush(&Process);
            leave(local);
        }
    }

    /// The local of the calling thread, if it has one already.
    #[inline(always)]
    pub(crate) fn here() -> Option<&'static Local> {
        // SAFETY: null or a local, which stays for ever.
        unsafe { word::get().as_ref() }
    }

    /// Does something with the local of the calling thread.
    #[inline]
    pub(crate) fn with<R>(work: impl FnOnce(&Local) -> R) -> Result<R, Cond> {
        match here() {
            Some(local) => Ok(work(local)),
            None => begin(work),
        }
    }

    #[cold]
    fn begin<R>(work: impl FnOnce(&Local) -> R) -> Result<R, Cond> {
        fork::prepare();
        let local = occupy(OWN)?;
        word::set(local);
        // Where the end of a thread is noted by allocating, that allocates from this local already.
        if END.try_with(|_| {}).is_err() {
            // Past its end nothing would hand it over.
            word::set(ptr::null());
            leave(local);
            return lend(work);
        }
        Ok(work(local))
    }
}

#[cfg(not(feature = "std"))]
mod own {
    use super::*;

    /// No thread has one.
    #[inline(always)]
    pub(crate) fn here() -> Option<&'static Local> {
        None
    }

    /// Does something with a local that nobody has.
    pub(crate) fn with<R>(work: impl FnOnce(&Local) -> R) -> Result<R, Cond> {
        lend(work)
    }
}

pub(super) use own::{here, with};

/// What a child that is forked while another thread holds the lock needs: that none does.
#[cfg(feature = "std")]
mod fork {
    #[cfg(unix)]
    pub(super) fn prepare() {
        use kmem_platform::AtFork;

        use crate::process::ground;

        unsafe extern "C" fn before() {
            core::mem::forget(ground::pool());
        }

        unsafe extern "C" fn after() {
            // SAFETY: this thread took the lock before it forked, and its guard was forgotten.
            unsafe { ground::unlock() };
        }

        // SAFETY: no code of the caller's, which might fork, runs under the lock.
        static FORK: AtFork = unsafe { AtFork::new(before, after) };
        FORK.prepare();
    }

    #[cfg(not(unix))]
    pub(super) const fn prepare() {}
}
