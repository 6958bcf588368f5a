//! A JSON document held by every kind of kmem's memory at once.
//!
//! ```text
//!  main          arguments, and the order of what is shown
//!   ├── report   what is printed: figures, pictures
//!   ├── survey   questions to a document; paths in it
//!   ├── load ──── seen     parser's events ─► document; the texts that were seen before
//!   ├── write, compare     document ─► JSON text; two JSON texts, value by value
//!   └── document           every value a node, its texts and summaries in stores of their own
//!        └── stores        one store of each kind, over pages that are counted
//! ```
//!
//! Nothing here recurses: a document may be as deep as there is memory.

pub mod compare;
pub mod document;
pub mod error;
pub mod load;
pub mod progress;
pub mod report;
pub mod secret;
mod seen;
pub mod stores;
pub mod survey;
pub mod write;

pub use document::{Document, Value};
pub use error::Error;
pub use stores::{Counts, Stores};
