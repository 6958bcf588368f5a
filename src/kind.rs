//! The kinds of memory.

use core::fmt;

/// How a piece of memory was allocated (libk's `kmkind`).
///
/// The numbers are those of the C header, in the order of libk's manual.
///
/// ```
/// use kmem::Kind;
///
/// assert_eq!(Kind::ALL.map(Kind::name), ["none", "lin", "heap", "pool", "ref", "tree", "fail"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Not allocated: static, or on the stack. Releasing it does nothing.
    None = 0,
    /// One cell after the other; room comes back by rewinding.
    Lin = 1,
    /// Any size, any order, any lifetime.
    Heap = 2,
    /// Cells of one size.
    Pool = 3,
    /// Counted: the last reference releases.
    Ref = 4,
    /// Owned by a parent: released with it.
    Tree = 5,
    /// What a failed allocation leaves in a pointer object.
    Fail = 6,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 7] = [Self::None, Self::Lin, Self::Heap, Self::Pool, Self::Ref, Self::Tree, Self::Fail];

    /// The name that C, JavaScript and every printed text use.
    ///
    /// ```
    /// assert_eq!(kmem::Kind::Lin.name(), "lin");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lin => "lin",
            Self::Heap => "heap",
            Self::Pool => "pool",
            Self::Ref => "ref",
            Self::Tree => "tree",
            Self::Fail => "fail",
        }
    }

    /// The kind with this number.
    ///
    /// ```
    /// use kmem::Kind;
    ///
    /// assert_eq!(Kind::from_number(Kind::Tree as u8), Some(Kind::Tree));
    /// assert_eq!(Kind::from_number(100), None);
    /// ```
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        if (number as usize) < Self::ALL.len() { Some(Self::ALL[number as usize]) } else { None }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
