//! kmem
#![no_std]
