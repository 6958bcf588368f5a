//! talloc, the C library that the idea of such trees is from.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::{self, NonNull};

use super::tree::Forest;
use crate::row::Contender;

#[link(name = "talloc")]
unsafe extern "C" {
    fn talloc_named_const(context: *const c_void, size: usize, name: *const c_char) -> *mut c_void;
    fn _talloc_free(node: *mut c_void, place: *const c_char) -> c_int;
    fn _talloc_steal_loc(parent: *const c_void, node: *const c_void, place: *const c_char) -> *mut c_void;
}

/// A context of talloc's. Its macros name nodes after their type and calls after their place, as here.
pub struct Talloc(NonNull<c_void>);

impl Talloc {
    fn under(parent: *const c_void, size: usize) -> NonNull<c_void> {
        // SAFETY: the parent is null or a live node; the name is a string.
        NonNull::new(unsafe { talloc_named_const(parent, size, c"payload".as_ptr()) }).expect("memory")
    }
}

impl Contender for Talloc {
    fn name() -> String {
        "talloc".into()
    }

    fn new() -> Self {
        Self(Self::under(ptr::null(), 0))
    }
}

impl Drop for Talloc {
    fn drop(&mut self) {
        // SAFETY: the context is live and used no more.
        unsafe { _talloc_free(self.0.as_ptr(), c"drop".as_ptr()) };
    }
}

impl Forest for Talloc {
    type Node = NonNull<c_void>;

    #[inline(always)]
    fn root(&self) -> NonNull<c_void> {
        self.0
    }

    #[inline(always)]
    fn add(&mut self, parent: NonNull<c_void>, size: u32) -> NonNull<c_void> {
        let node = Self::under(parent.as_ptr(), size as usize);
        // SAFETY: the node was just handed out and has room for a word.
        unsafe { node.cast::<u64>().write(u64::from(size)) };
        node
    }

    #[inline(always)]
    fn free(&mut self, node: NonNull<c_void>) {
        // SAFETY: a live node.
        unsafe { _talloc_free(node.as_ptr(), c"free".as_ptr()) };
    }

    #[inline(always)]
    fn steal(&mut self, node: NonNull<c_void>, parent: NonNull<c_void>) {
        // SAFETY: both are live, and the parent is not below the node.
        unsafe { _talloc_steal_loc(parent.as_ptr(), node.as_ptr(), c"steal".as_ptr()) };
    }
}
