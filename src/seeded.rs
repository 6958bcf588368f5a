//! Bugs that the tests must notice: each is put in where it can be named, and is not there but for
//! `cargo xtask test --only seeded`, which builds with `--cfg kmem_seeded` and names one in `KMEM_BUG`.

/// Whether the bug of this name is to be there.
#[cfg(kmem_seeded)]
pub(crate) fn seeded(name: &str) -> bool {
    extern crate std;
    static BUG: std::sync::OnceLock<Option<std::string::String>> = std::sync::OnceLock::new();
    BUG.get_or_init(|| std::env::var("KMEM_BUG").ok()).as_deref() == Some(name)
}

/// None is, ever.
#[cfg(not(kmem_seeded))]
#[inline(always)]
pub(crate) const fn seeded(_: &str) -> bool {
    false
}
