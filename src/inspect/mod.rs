//! Looking at what a store really has: its own cells, headers and lists, in the order of memory.
//!
//! Nothing is kept for it and nothing is allocated: a walk reads the store's structures and calls you
//! for each piece. [`text`] and [`json`] write a walk out.
//!
//! ```
//! use core::alloc::Layout;
//! use core::mem::MaybeUninit;
//! use kmem::{Pool, inspect};
//!
//! let mut bytes = [MaybeUninit::uninit(); 1024];
//! let pool = Pool::fixed_with_headers(Layout::new::<[u8; 48]>(), &mut bytes);
//! let cells = [pool.alloc()?, pool.alloc()?, pool.alloc()?];
//! // SAFETY: the cell is live and used no more.
//! unsafe { pool.free(cells[1].cast())? };
//! let mut text = String::new();
//! inspect::text(&pool, &mut text).expect("a string takes it");
//! assert!(text.contains("2 used"));
//! # Ok::<(), kmem::Cond>(())
//! ```

pub(crate) mod fields;

use core::cell::Cell as Var;
use core::fmt::{self, Write};

pub use fields::{Field, Form, Front, Owner, STATES, front};

use crate::Kind;

/// What a piece of a store's memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A block that the store took from its source; the pieces after it lie in it.
    Block,
    /// The store's own bytes: the front of a block, its maps.
    Header,
    /// A live cell, with its header.
    Used,
    /// A cell that was given back and can be handed out again.
    Free,
    /// The same, and its bytes were destroyed.
    Shredded,
    /// Room that was never handed out, or was rewound over.
    Fresh,
    /// A released cell or padding whose room comes back at the next rewind.
    Hole,
    /// A mark in a linear region.
    Mark,
}

impl What {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Block, Self::Header, Self::Used, Self::Free, Self::Shredded, Self::Fresh, Self::Hole, Self::Mark];

    /// The name in text and JSON.
    ///
    /// ```
    /// use kmem::inspect::What;
    ///
    /// assert_eq!(What::ALL.iter().filter(|what| what.name() == "free").count(), 1);
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Header => "header",
            Self::Used => "used",
            Self::Free => "free",
            Self::Shredded => "shredded",
            Self::Fresh => "fresh",
            Self::Hole => "hole",
            Self::Mark => "mark",
        }
    }

    /// The name after a number.
    const fn counted(self, count: usize) -> &'static str {
        match (self, count) {
            (_, 1) => self.name(),
            (Self::Block, _) => "blocks",
            (Self::Header, _) => "headers",
            (Self::Hole, _) => "holes",
            (Self::Mark, _) => "marks",
            _ => self.name(),
        }
    }

    /// The letter in a picture.
    const fn letter(self) -> char {
        match self {
            Self::Block => ' ',
            Self::Header => 'h',
            Self::Used => '#',
            Self::Free => '.',
            Self::Shredded => 'x',
            Self::Fresh => '_',
            Self::Hole => 'o',
            Self::Mark => '^',
        }
    }
}

/// One piece, as the store's own structures say it is. Addresses and sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it begins.
    pub at: usize,
    /// How long it is, with its header and rounding.
    pub len: usize,
    /// What it is.
    pub what: What,
    /// What the cell is used as; `none` for what is no cell.
    pub kind: Kind,
    /// The number of the block that it lies in, in the order of the walk.
    pub block: usize,
    /// Bytes of header, at the front.
    pub header: usize,
    /// Bytes of payload that were asked for.
    pub payload: usize,
    /// Whether releasing it shreds it.
    pub tainted: bool,
    /// How deep in its tree: the root is 0.
    pub depth: usize,
    /// For a counted cell, the references.
    pub refs: usize,
    /// Addresses: for a pool's free cell the next free one, for a node its parent, first child, last
    /// child, previous and next sibling, for a counted cell its source.
    pub links: [usize; 5],
}

impl Record {
    pub(crate) const fn new(at: usize, len: usize, what: What) -> Self {
        Self {
            at,
            len,
            what,
            kind: Kind::None,
            block: 0,
            header: 0,
            payload: 0,
            tainted: false,
            depth: 0,
            refs: 0,
            links: [0; 5],
        }
    }
}

/// A block of a pool, and the cells in it that were handed out: they lie one after the other, live or free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where the block begins.
    pub block: usize,
    /// How long it is.
    pub len: usize,
    /// Where the first cell begins, with its header if it has one.
    pub at: usize,
    /// How many cells were handed out.
    pub count: usize,
    /// From one to the next, in bytes.
    pub stride: usize,
}

/// Keeps a store as it is while a walk shows it to somebody's code.
pub(crate) struct Freeze<'f> {
    flag: &'f Var<bool>,
    before: bool,
}

impl<'f> Freeze<'f> {
    pub(crate) fn new(flag: &'f Var<bool>) -> Self {
        Self { flag, before: flag.replace(true) }
    }
}

impl Drop for Freeze<'_> {
    fn drop(&mut self) {
        self.flag.set(self.before);
    }
}

/// Something whose pieces can be walked.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::inspect::{Inspect, What};
/// use kmem::{Heap, Pages};
///
/// let heap = Heap::new_in(Pages::new());
/// let cell = heap.alloc(Layout::new::<[u8; 100]>())?.cast::<u8>();
/// let mut live = Vec::new();
/// heap.inspect(&mut |record| {
///     if record.what == What::Used {
///         live.push(record.at + record.header);
///     }
/// });
/// assert_eq!(live, [cell.addr().get()]);
/// # Ok::<(), kmem::Cond>(())
/// ```
pub trait Inspect {
    /// What it is.
    fn kind(&self) -> Kind;

    /// Calls `visit` for each piece: blocks one after the other, in each its pieces by address; a tree
    /// parent before children.
    ///
    /// Meanwhile the store stays as it is: what `visit` asks of it, and what would change what is being
    /// walked, is refused with `in_use`. A handle that is dropped there may leave its cell live; a pool may
    /// hand out again what was given back during the same walk, and nothing else.
    fn inspect(&self, visit: &mut dyn FnMut(&Record));
}

/// How many characters wide the picture of a block is.
const WIDTH: usize = 64;

/// Writes a picture of each block and what there is of each sort.
///
/// A character of the picture stands for an equal part of the block and shows what begins or
/// dominates there: `h` header, `#` used, `.` free, `x` shredded, `_` fresh, `o` hole, `^` mark.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, inspect};
///
/// let heap = Heap::new_in(Pages::new());
/// heap.alloc(Layout::new::<[u8; 30_000]>())?;
/// let mut picture = String::new();
/// inspect::text(&heap, &mut picture).expect("a String takes any text");
/// assert!(picture.contains('#'));
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// When the writer has one.
pub fn text(store: &dyn Inspect, out: &mut dyn Write) -> fmt::Result {
    let mut answer = Ok(());
    let mut count = [0_usize; What::ALL.len()];
    let mut bytes = [0_usize; What::ALL.len()];
    let mut picture = Picture { start: 0, len: 0, end: 0, cells: [' '; WIDTH], filled: [0; WIDTH] };
    let mut blocks = 0;
    store.inspect(&mut |record| {
        let index = What::ALL.iter().position(|what| *what == record.what).unwrap_or(0);
        count[index] += 1;
        bytes[index] += record.len;
        if record.what == What::Block {
            if blocks > 0 && blocks <= MOST_PICTURES {
                answer = answer.and_then(|()| picture.write(out));
            }
            blocks += 1;
            picture = Picture { start: record.at, len: record.len, end: 0, cells: [' '; WIDTH], filled: [0; WIDTH] };
        } else {
            picture.add(record);
        }
    });
    answer?;
    if blocks > 0 && blocks <= MOST_PICTURES {
        picture.write(out)?;
    } else if blocks > MOST_PICTURES {
        writeln!(out, "  … {} more", blocks - MOST_PICTURES)?;
    }
    write!(out, "  {}:", store.kind())?;
    for ((what, count), bytes) in What::ALL.into_iter().zip(count).zip(bytes) {
        if count > 0 {
            write!(out, " {count} {} ({bytes} B)", what.counted(count))?;
        }
    }
    writeln!(out)
}

/// More blocks than this are counted, not drawn.
const MOST_PICTURES: usize = 6;

/// A block drawn as a row of characters.
struct Picture {
    start: usize,
    len: usize,
    /// Where the pieces so far end.
    end: usize,
    cells: [char; WIDTH],
    filled: [usize; WIDTH],
}

impl Picture {
    /// The piece that covers most of a character's part of the block wins it; one that lies within what was
    /// told before (a free cell in a run) wins what it covers half of.
    fn add(&mut self, record: &Record) {
        if self.len == 0 || record.at < self.start {
            return;
        }
        let from = record.at - self.start;
        let to = (from + record.len).min(self.len);
        let within = record.at < self.end;
        self.end = self.end.max(record.at + record.len);
        let scale = |offset: usize| usize::try_from(offset as u64 * WIDTH as u64 / self.len as u64).unwrap_or(WIDTH);
        for column in scale(from)..=scale(to.saturating_sub(1)).min(WIDTH - 1) {
            let begin = edge(column, self.len).max(from);
            let end = edge(column + 1, self.len).min(to);
            let covered = end.saturating_sub(begin);
            if covered > self.filled[column] || within && 2 * covered >= self.filled[column] {
                self.filled[column] = covered;
                self.cells[column] = record.what.letter();
            }
        }
    }

    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        out.write_str("  [")?;
        for cell in self.cells {
            out.write_char(cell)?;
        }
        writeln!(out, "] {} B", self.len)
    }
}

/// Where a column of a picture of `len` bytes begins.
fn edge(column: usize, len: usize) -> usize {
    usize::try_from(column as u64 * len as u64 / WIDTH as u64).unwrap_or(len)
}

/// Writes the walk as a JSON object: `{"kind":…,"records":[{…},…]}`.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, inspect};
///
/// let heap = Heap::new_in(Pages::new());
/// heap.alloc(Layout::new::<[u8; 100]>())?;
/// let mut text = String::new();
/// inspect::json(&heap, &mut text).expect("a String takes any text");
/// assert!(text.starts_with("{\"kind\":\"heap\",\"records\":["));
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// When the writer has one.
pub fn json(store: &dyn Inspect, out: &mut dyn Write) -> fmt::Result {
    write!(out, "{{\"kind\":\"{}\",\"records\":[", store.kind())?;
    let mut answer = Ok(());
    let mut first = true;
    store.inspect(&mut |record| {
        answer = answer.and_then(|()| {
            if !first {
                out.write_char(',')?;
            }
            first = false;
            write_record(record, out)
        });
    });
    answer?;
    out.write_str("]}")
}

fn write_record(record: &Record, out: &mut dyn Write) -> fmt::Result {
    let Record { at, len, what, kind, block, header, payload, tainted, depth, refs, links } = record;
    write!(out, "{{\"at\":{at},\"len\":{len},\"what\":\"{}\",\"kind\":\"{kind}\",\"block\":{block}", what.name())?;
    write!(out, ",\"header\":{header},\"payload\":{payload},\"tainted\":{tainted},\"depth\":{depth},\"refs\":{refs}")?;
    let [a, b, c, d, e] = links;
    write!(out, ",\"links\":[{a},{b},{c},{d},{e}]}}")
}
