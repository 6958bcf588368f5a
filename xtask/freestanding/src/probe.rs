//! What `cargo xtask test --only wipe` reads the machine code of: a buffer that is overwritten and then
//! goes, which an optimiser may leave out, and must not where kmem does it.

#![no_std]

use core::ptr::NonNull;

unsafe extern "C" {
    /// Fills the bytes with a secret; out of the optimiser's sight.
    fn fill(bytes: *mut u8);
}

/// By an ordinary write: dead, since the buffer goes next. If this one stays, the check proves nothing.
#[unsafe(no_mangle)]
pub extern "C" fn forgets_plainly() {
    let mut secret = [0_u64; 8];
    // SAFETY: whoever links this fills 64 bytes.
    unsafe { fill(secret.as_mut_ptr().cast()) };
    secret = [0; 8];
    let _ = secret;
}

/// By kmem.
#[unsafe(no_mangle)]
pub extern "C" fn forgets_by_kmem() {
    let mut secret = [0_u64; 8];
    // SAFETY: whoever links this fills 64 bytes.
    unsafe { fill(secret.as_mut_ptr().cast()) };
    // SAFETY: the array is ours and 64 bytes long.
    unsafe { kmem::zero(NonNull::from(&mut secret).cast(), 64) };
}
