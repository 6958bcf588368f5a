//! One suite that every store passes, over every source that can carry it; what is refused and how;
//! and the table of actions, each with a test.
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "tests act on cells that they took themselves a few lines before, or break a promise to see it refused"
)]

mod common;

#[path = "conformance/action_any.rs"]
mod action_any;
#[path = "conformance/action_cells.rs"]
mod action_cells;
#[path = "conformance/action_more.rs"]
mod action_more;
#[path = "conformance/action_stores.rs"]
mod action_stores;
#[path = "conformance/actions.rs"]
mod actions;
#[path = "conformance/case.rs"]
mod case;
#[path = "conformance/fixed.rs"]
mod fixed;
#[path = "conformance/limits.rs"]
mod limits;
#[path = "conformance/marks.rs"]
mod marks;
#[path = "conformance/matrix.rs"]
mod matrix;
#[path = "conformance/pointers.rs"]
mod pointers;
#[path = "conformance/refs.rs"]
mod refs;
#[path = "conformance/scenarios.rs"]
mod scenarios;
#[path = "conformance/subject.rs"]
mod subject;
#[path = "conformance/trees.rs"]
mod trees;
