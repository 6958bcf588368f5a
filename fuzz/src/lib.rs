//! A script of calls of the C face: each call is one byte, and what it acts on some more.
//!
//! ```text
//!  bytes ─► call ─► kmem's answer ─┐
//!                └► the model's ───┴─ the same?   after each: the cells' bytes, links, counts
//! ```
//!
//! The model knows cells by number: what each is, whose, how long, what it was filled with, whether it is tainted,
//! what hooks, name and quota a node has. It says what a call must answer, be it right use or misuse: freed, foreign,
//! inside of a cell, of another kind, of a store that is gone.

mod model;
mod play;

pub use play::play;
