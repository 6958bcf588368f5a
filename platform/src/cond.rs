//! Conditions: why something was refused.

use core::fmt;

/// Why something was refused (libk's `kmcond`; its `ok` is Rust's `Ok`).
///
/// A call that returns a condition has left everything as it was. The numbers are those of the C
/// header, where 0 is `kmcond_ok`.
///
/// ```
/// use kmem_platform::Cond;
///
/// assert_eq!(Cond::NoRoom.name(), "no_room");
/// assert_eq!(Cond::NoRoom.to_string(), "no_room: there is no more memory to be had here");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cond {
    /// The memory could not be locked, or too much is locked already (`EAGAIN`).
    BadLock = 1,
    /// A size or an alignment that cannot be met: overflow, over the store's cell size, no power of
    /// two, or a size that is needed and not known (`EINVAL`).
    BadSize = 2,
    /// A limit on the number of mappings or cells was reached, or a count is at its maximum (`EMFILE`).
    TooMany = 3,
    /// Out of memory, a fixed store is full, `memory.grow` was refused, or a quota reached (`ENOMEM`).
    NoRoom = 4,
    /// Not an address of this store: foreign, inside a cell, or already given back (`EFAULT`).
    BadAddress = 5,
    /// A live cell, but of another kind than the function's.
    Mismatch = 6,
    /// Refused because something still holds it: a guard refused, a move would make a loop, or a
    /// store was to go that others still use.
    InUse = 7,
    /// The kernel said something that has no name here, or a header was found overwritten.
    FailAssert = 8,
}

impl Cond {
    /// All conditions, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::BadLock,
        Self::BadSize,
        Self::TooMany,
        Self::NoRoom,
        Self::BadAddress,
        Self::Mismatch,
        Self::InUse,
        Self::FailAssert,
    ];

    /// The name that C, JavaScript and every printed text use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadLock => "bad_lock",
            Self::BadSize => "bad_size",
            Self::TooMany => "too_many",
            Self::NoRoom => "no_room",
            Self::BadAddress => "bad_address",
            Self::Mismatch => "mismatch",
            Self::InUse => "in_use",
            Self::FailAssert => "fail_assert",
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::BadLock => "the memory could not be locked, or too much is locked",
            Self::BadSize => "a size or alignment that cannot be met",
            Self::TooMany => "a limit on the number of mappings, cells or references",
            Self::NoRoom => "there is no more memory to be had here",
            Self::BadAddress => "not the address of a live cell of this store",
            Self::Mismatch => "a live cell, but of another kind",
            Self::InUse => "something still holds it",
            Self::FailAssert => "the system gave an unknown answer, or a header was overwritten",
        }
    }

    /// The condition for a kernel error number of a call other than `munmap`.
    #[cfg(all(unix, feature = "backend"))]
    pub(crate) const fn from_errno(errno: i32) -> Self {
        match errno {
            libc::EAGAIN => Self::BadLock,
            libc::ENOMEM => Self::NoRoom,
            libc::EFAULT => Self::BadAddress,
            libc::EINVAL => Self::BadSize,
            libc::EMFILE => Self::TooMany,
            _ => Self::FailAssert,
        }
    }
}

impl fmt::Display for Cond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.meaning())
    }
}

impl core::error::Error for Cond {}
