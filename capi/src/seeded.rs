//! Bugs that the fuzzer must find: each is put in where it can be named, and is not there but for `cargo xtask fuzz`,
//! which builds with `--cfg kmem_seeded` and names one in `KMEM_BUG`.

/// Whether the bug of this name is to be there.
#[cfg(kmem_seeded)]
pub fn seeded(name: &str) -> bool {
    static BUG: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    BUG.get_or_init(|| std::env::var("KMEM_BUG").ok()).as_deref() == Some(name)
}

/// None is, ever.
#[cfg(not(kmem_seeded))]
#[inline(always)]
pub const fn seeded(_: &str) -> bool {
    false
}
