//! Unix over `libc`: the same contract where there is no backend by system calls.

use core::ptr::{self, NonNull};

use crate::Cond;
use crate::contract::{Access, Advice, Platform, Protect, Run, Unmapped, whole_pages};

/// The system's pages, asked for through `libc`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Native;

/// The error number that the last call left behind.
fn last_cond() -> Cond {
    cfg_if::cfg_if! {
        if #[cfg(any(target_vendor = "apple", target_os = "freebsd"))] {
            use libc::__error as location;
        } else if #[cfg(any(target_os = "openbsd", target_os = "netbsd", target_os = "android"))] {
            use libc::__errno as location;
        } else {
            use libc::__errno_location as location;
        }
    }
    // SAFETY: it only tells where this thread's error number is.
    let errno = unsafe { location() };
    // SAFETY: which is always readable.
    let errno = unsafe { *errno };
    Cond::from_errno(errno)
}

fn done(result: libc::c_int) -> Result<(), Cond> {
    if result == 0 { Ok(()) } else { Err(last_cond()) }
}

impl Native {
    /// A number that nobody can foretell, if the system has one to give now.
    ///
    /// ```
    /// use kmem_platform::Native;
    ///
    /// let numbers = [Native.random(), Native.random()];
    /// assert!(numbers[0].is_none() || numbers[0] != numbers[1]);
    /// ```
    #[must_use]
    pub fn random(&self) -> Option<u64> {
        let mut bytes = [0_u8; size_of::<u64>()];
        // The one way that every Unix has.
        // SAFETY: the name ends with a zero.
        let file = unsafe { libc::open(c"/dev/urandom".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
        if file < 0 {
            return None;
        }
        // SAFETY: it writes into the array, at most as many bytes as it has.
        let read = unsafe { libc::read(file, bytes.as_mut_ptr().cast(), bytes.len()) };
        // SAFETY: just opened, and used by nobody else.
        unsafe { libc::close(file) };
        (usize::try_from(read) == Ok(bytes.len())).then(|| u64::from_ne_bytes(bytes))
    }
}

// SAFETY: the system hands out pages that nobody else has.
unsafe impl Platform for Native {
    fn page_size(&self) -> usize {
        // SAFETY: sysconf only answers.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).unwrap_or(4096)
    }

    fn map(&self, len: usize) -> Result<Run, Cond> {
        let len = whole_pages(len, self.page_size())?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
        // SAFETY: a new anonymous private mapping touches nothing that exists.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(last_cond());
        }
        let start = NonNull::new(start.cast()).ok_or(Cond::FailAssert)?;
        Ok(Run { start, len, zeroed: true })
    }

    unsafe fn unmap(&self, start: NonNull<u8>, len: usize) -> Result<Unmapped, Cond> {
        let len = whole_pages(len, self.page_size())?;
        // SAFETY: the caller owns these pages and uses them no more.
        done(unsafe { libc::munmap(start.as_ptr().cast(), len) })
            .map_err(|cond| if cond == Cond::BadSize { Cond::BadAddress } else { cond })?;
        Ok(Unmapped::Returned)
    }

    unsafe fn remap(&self, start: NonNull<u8>, old: usize, new: usize) -> Result<Run, Cond> {
        let (old, len) = (whole_pages(old, self.page_size())?, whole_pages(new, self.page_size())?);
        cfg_if::cfg_if! {
            if #[cfg(any(target_os = "linux", target_os = "android"))] {
                // SAFETY: the caller owns the old run; the kernel moves it or leaves it as it is.
                let moved = unsafe { libc::mremap(start.as_ptr().cast(), old, len, libc::MREMAP_MAYMOVE) };
                if moved == libc::MAP_FAILED {
                    return Err(last_cond());
                }
                let start = NonNull::new(moved.cast()).ok_or(Cond::FailAssert)?;
                Ok(Run { start, len, zeroed: false })
            } else {
                // Elsewhere a run can lose its end, and not grow.
                let left_over = old.checked_sub(len).ok_or(Cond::NoRoom)?;
                // SAFETY: the rest of the caller's run, from a page on.
                let rest = unsafe { start.add(len) };
                if left_over > 0 {
                    // SAFETY: which the caller uses no more.
                    unsafe { self.unmap(rest, left_over) }?;
                }
                Ok(Run { start, len, zeroed: false })
            }
        }
    }
}

// SAFETY: an answer of 0 is the system's word that it did all of it.
unsafe impl Protect for Native {
    unsafe fn protect(&self, start: NonNull<u8>, len: usize, access: Access) -> Result<(), Cond> {
        let access = match access {
            Access::None => libc::PROT_NONE,
            Access::Read => libc::PROT_READ,
            Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        };
        // SAFETY: the caller owns the pages and does not use them in a way that is now forbidden.
        done(unsafe { libc::mprotect(start.as_ptr().cast(), len, access) })
    }

    unsafe fn lock(&self, start: NonNull<u8>, len: usize) -> Result<(), Cond> {
        // SAFETY: locking changes no byte.
        done(unsafe { libc::mlock(start.as_ptr().cast(), len) }).map_err(|_| Cond::BadLock)
    }

    unsafe fn unlock(&self, start: NonNull<u8>, len: usize) -> Result<(), Cond> {
        // SAFETY: unlocking changes no byte.
        done(unsafe { libc::munlock(start.as_ptr().cast(), len) })
    }

    unsafe fn advise(&self, start: NonNull<u8>, len: usize, advice: Advice) -> Result<(), Cond> {
        cfg_if::cfg_if! {
            if #[cfg(any(target_os = "linux", target_os = "android"))] {
                let advice = match advice {
                    Advice::DontDump => libc::MADV_DONTDUMP,
                    Advice::WipeOnFork => 18, // MADV_WIPEONFORK, which not every libc names
                    Advice::HugePage => libc::MADV_HUGEPAGE,
                    Advice::Discard => libc::MADV_DONTNEED,
                };
                // SAFETY: of these only `Discard` changes a byte, which the caller does not need.
                done(unsafe { libc::madvise(start.as_ptr().cast(), len, advice) })
            } else {
                let _ = (start, len, advice);
                Err(Cond::BadSize)
            }
        }
    }
}
