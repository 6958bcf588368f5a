//! x86-64 Linux by raw system calls: no libc function is on the path, only its constants.

use core::ptr::{self, NonNull};

use crate::Cond;
use crate::contract::{Access, Advice, Platform, Protect, Run, Unmapped, whole_pages};

pub mod syscall;
mod word;

pub use word::{set_thread_word, thread_word};

use syscall::{Word, answer, number, syscall2, syscall3, syscall5, syscall6};

/// The kernel's pages, asked for by the `syscall` instruction.
///
/// Mappings are anonymous and private: after a fork, parent and child each have their own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Native;

/// Fixed by the architecture.
const PAGE: usize = 4096;

#[expect(clippy::cast_possible_truncation, reason = "system call numbers are small and positive")]
const fn call(number: libc::c_long) -> usize {
    number as usize
}

const fn bits(flags: libc::c_int) -> Word {
    number(flags as usize)
}

fn done(word: Word) -> Result<(), Cond> {
    answer(word).map(drop)
}

/// `munmap` says `EINVAL` for what was never a run: that is an address, not a size.
fn unmap_cond(cond: Cond) -> Cond {
    if cond == Cond::BadSize { Cond::BadAddress } else { cond }
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
        let mut bytes = [0; size_of::<u64>()];
        let (at, len) = (bytes.as_mut_ptr(), bytes.len());
        // Early after the start of the machine there is none, and nobody waits for it.
        let flags = number(libc::GRND_NONBLOCK as usize);
        // SAFETY: the kernel writes into the array, at most as many bytes as it has.
        let word = unsafe { syscall3(call(libc::SYS_getrandom), at, number(len), flags) };
        (answer(word).ok()?.addr() == len).then(|| u64::from_ne_bytes(bytes))
    }
}

// SAFETY: the kernel hands out pages that nobody else has.
unsafe impl Platform for Native {
    #[inline]
    fn page_size(&self) -> usize {
        PAGE
    }

    fn map(&self, len: usize) -> Result<Run, Cond> {
        let len = whole_pages(len, PAGE)?;
        // SAFETY: a new anonymous private mapping at an address of the kernel's choice touches
        // nothing that exists.
        let word = unsafe {
            syscall6(
                call(libc::SYS_mmap),
                ptr::null_mut(),
                number(len),
                bits(libc::PROT_READ | libc::PROT_WRITE),
                bits(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS),
                number(usize::MAX),
                number(0),
            )
        };
        let start = NonNull::new(answer(word)?).ok_or(Cond::FailAssert)?;
        Ok(Run { start, len, zeroed: true })
    }

    unsafe fn unmap(&self, start: NonNull<u8>, len: usize) -> Result<Unmapped, Cond> {
        let len = whole_pages(len, PAGE)?;
        // SAFETY: the caller owns these pages and uses them no more.
        let word = unsafe { syscall2(call(libc::SYS_munmap), start.as_ptr(), number(len)) };
        done(word).map_err(unmap_cond)?;
        Ok(Unmapped::Returned)
    }

    unsafe fn remap(&self, start: NonNull<u8>, old: usize, new: usize) -> Result<Run, Cond> {
        let (old, len) = (whole_pages(old, PAGE)?, whole_pages(new, PAGE)?);
        // SAFETY: the caller owns the old run; the kernel moves it or leaves it as it is.
        let word = unsafe {
            syscall5(
                call(libc::SYS_mremap),
                start.as_ptr(),
                number(old),
                number(len),
                bits(libc::MREMAP_MAYMOVE),
                ptr::null_mut(),
            )
        };
        let start = NonNull::new(answer(word)?).ok_or(Cond::FailAssert)?;
        Ok(Run { start, len, zeroed: false })
    }
}

// SAFETY: an answer outside the error range is the kernel's word that it did all of it.
unsafe impl Protect for Native {
    unsafe fn protect(&self, start: NonNull<u8>, len: usize, access: Access) -> Result<(), Cond> {
        let access = match access {
            Access::None => libc::PROT_NONE,
            Access::Read => libc::PROT_READ,
            Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        };
        // SAFETY: the caller owns the pages and does not use them in a way that is now forbidden.
        done(unsafe { syscall3(call(libc::SYS_mprotect), start.as_ptr(), number(len), bits(access)) })
    }

    unsafe fn lock(&self, start: NonNull<u8>, len: usize) -> Result<(), Cond> {
        // SAFETY: locking changes no byte.
        done(unsafe { syscall2(call(libc::SYS_mlock), start.as_ptr(), number(len)) }).map_err(|_| Cond::BadLock)
    }

    unsafe fn unlock(&self, start: NonNull<u8>, len: usize) -> Result<(), Cond> {
        // SAFETY: unlocking changes no byte.
        done(unsafe { syscall2(call(libc::SYS_munlock), start.as_ptr(), number(len)) })
    }

    unsafe fn advise(&self, start: NonNull<u8>, len: usize, advice: Advice) -> Result<(), Cond> {
        let advice = match advice {
            Advice::DontDump => libc::MADV_DONTDUMP,
            Advice::WipeOnFork => libc::MADV_WIPEONFORK,
            Advice::HugePage => libc::MADV_HUGEPAGE,
            Advice::Discard => libc::MADV_DONTNEED,
        };
        // SAFETY: of these only `Discard` changes a byte, which the caller does not need.
        done(unsafe { syscall3(call(libc::SYS_madvise), start.as_ptr(), number(len), bits(advice)) })
    }
}

#[cfg(test)]
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "a test states one reason for a row of calls")]
mod tests {
    use super::syscall::{error_number, syscall0, syscall1, syscall4};
    use super::*;

    /// One real call of each arity, with an answer that depends on every argument.
    #[test]
    fn every_arity_reaches_the_kernel_whole() {
        // SAFETY: getpid only answers.
        let pid = unsafe { syscall0(call(libc::SYS_getpid)) };
        assert_eq!(pid.addr(), std::process::id() as usize);

        // SAFETY: getpgid only answers.
        let group = unsafe { syscall1(call(libc::SYS_getpgid), pid) };
        assert_eq!(error_number(group), None);
        // SAFETY: as before, with a process that cannot be.
        let none = unsafe { syscall1(call(libc::SYS_getpgid), number(usize::from(u16::MAX) << 12)) };
        assert_eq!(error_number(none), Some(libc::ESRCH));

        let run = Native.map(3 * PAGE).expect("three pages");
        let at = run.start.as_ptr();
        // 2: one page out of three goes, the others stay.
        // SAFETY: the first page is ours and unused.
        assert_eq!(unsafe { syscall2(call(libc::SYS_munmap), at, number(PAGE)) }.addr(), 0);
        let at = at.wrapping_add(PAGE);
        // 3: mincore writes one byte a page for exactly the pages that are mapped.
        let mut resident = [0xaa_u8; 3];
        // SAFETY: mincore writes into the vector, which has room for two pages and one more.
        let word = unsafe { syscall3(call(libc::SYS_mincore), at, number(2 * PAGE), resident.as_mut_ptr()) };
        assert_eq!(word.addr(), 0);
        assert_eq!((resident[0] & 0xfe, resident[1] & 0xfe, resident[2]), (0, 0, 0xaa));

        // 4: pread from a file at an offset; all four arguments decide what arrives.
        let file = std::fs::File::open("/proc/self/exe").expect("own executable");
        let mut magic = [0_u8; 4];
        let handle = usize::try_from(std::os::fd::AsRawFd::as_raw_fd(&file)).expect("a descriptor");
        // SAFETY: pread writes three bytes into the array.
        let read =
            unsafe { syscall4(call(libc::SYS_pread64), number(handle), magic.as_mut_ptr(), number(3), number(1)) };
        assert_eq!((read.addr(), &magic), (3, b"ELF\0"));

        // 5: mremap to a fixed new place: the fifth argument is that place.
        let room = Native.map(4 * PAGE).expect("room");
        // SAFETY: the page is ours.
        unsafe { at.write(77) };
        // SAFETY: the old pages and the room that they move onto are ours.
        let moved = unsafe {
            syscall5(
                call(libc::SYS_mremap),
                at,
                number(2 * PAGE),
                number(2 * PAGE),
                bits(libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED),
                room.start.as_ptr(),
            )
        };
        assert_eq!(moved, room.start.as_ptr());
        // SAFETY: the page has moved there.
        assert_eq!(unsafe { moved.read() }, 77);

        // 6: mmap of a file at an offset: the sixth argument is that offset.
        let length = file.metadata().expect("metadata").len();
        assert!(length > 2 * PAGE as u64, "the test program has more than two pages");
        // SAFETY: a new private read-only mapping at the kernel's choice of address.
        let second = unsafe {
            syscall6(
                call(libc::SYS_mmap),
                ptr::null_mut(),
                number(PAGE),
                bits(libc::PROT_READ),
                bits(libc::MAP_PRIVATE),
                number(handle),
                number(PAGE),
            )
        };
        let second = answer(second).expect("second page of the file");
        let mut expected = std::vec![0_u8; PAGE];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut expected, PAGE as u64).expect("second page");
        // SAFETY: the mapping is one readable page, and stays until the end of this block.
        let mapped = unsafe { core::slice::from_raw_parts(second, PAGE) };
        assert!(mapped == expected.as_slice());

        // SAFETY: all three are ours and used no more.
        unsafe {
            assert_eq!(syscall2(call(libc::SYS_munmap), second, number(PAGE)).addr(), 0);
            assert_eq!(syscall2(call(libc::SYS_munmap), moved, number(4 * PAGE)).addr(), 0);
        }
    }

    #[test]
    fn the_error_range_is_4095_numbers_and_no_address() {
        assert_eq!(error_number(number(usize::MAX)), Some(1));
        assert_eq!(error_number(number(usize::MAX - 4094)), Some(4095));
        assert_eq!(error_number(number(usize::MAX - 4095)), None);
        assert_eq!(error_number(number(0)), None);
        assert_eq!(answer(number(usize::MAX - 11)).err(), Some(Cond::NoRoom));
        assert_eq!(answer(number(usize::MAX - 999)).err(), Some(Cond::FailAssert));
    }

    /// Success of `munmap` must be told as success, and the pages must be gone.
    #[test]
    fn unmapping_succeeds_and_says_so() {
        // Another thread may map something at the same place at once, though not each time.
        let is_gone = || {
            let run = Native.map(PAGE).expect("a page");
            // SAFETY: the page is ours and unused.
            assert_eq!(unsafe { Native.unmap(run.start, run.len) }, Ok(Unmapped::Returned));
            let (at, mut resident) = (run.start.as_ptr(), 0_u8);
            // SAFETY: mincore writes one byte for one page, or nothing.
            let word = unsafe { syscall3(call(libc::SYS_mincore), at, number(PAGE), &raw mut resident) };
            error_number(word) == Some(libc::ENOMEM)
        };
        assert!((0..100).any(|_| is_gone()), "the page is still mapped");
    }

    #[test]
    fn unmapping_what_is_no_run_is_refused() {
        let run = Native.map(PAGE).expect("a page");
        let inside = run.start.map_addr(|a| a.saturating_add(1));
        // SAFETY: the kernel refuses an address inside a page before it does anything.
        assert_eq!(unsafe { Native.unmap(inside, PAGE) }, Err(Cond::BadAddress));
        // SAFETY: the page is ours and unused.
        assert_eq!(unsafe { Native.unmap(run.start, PAGE) }, Ok(Unmapped::Returned));
    }

    #[test]
    fn protection_is_granted_or_refused_in_words() {
        let run = Native.map(2 * PAGE).expect("two pages");
        let second = run.start.map_addr(|a| a.saturating_add(PAGE));
        // SAFETY: the pages are ours, and the second is not used once it is forbidden.
        unsafe {
            assert_eq!(Native.protect(second, PAGE, Access::None), Ok(()));
            assert_eq!(Native.lock(run.start, PAGE), Ok(()));
            assert_eq!(Native.unlock(run.start, PAGE), Ok(()));
            assert_eq!(Native.advise(run.start, PAGE, Advice::DontDump), Ok(()));
            assert_eq!(Native.advise(run.start, PAGE, Advice::WipeOnFork), Ok(()));
            run.start.write(1);
            assert_eq!(Native.unmap(run.start, run.len), Ok(Unmapped::Returned));
            assert_eq!(Native.protect(run.start, PAGE, Access::Read), Err(Cond::NoRoom));
        }
    }
}
