//! Regions: one cell after the other, all released at once.

use std::alloc::Layout;
use std::cell::RefCell;
use std::hint::black_box;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use blink_alloc::Blink;
use bump_scope::alloc::Global;
use bump_scope::settings::BumpSettings;
use bump_scope::traits::BumpAllocatorTyped;
use bumpalo::Bump;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use kmem::{Lin, Pages};
use typed_arena::Arena;

use crate::allocators::{Allocator, Fast, Standard};
use crate::corpus;
use crate::dice::Dice;
use crate::row;
use crate::row::{Contender, Row};
use crate::watch::{Watch, taken};

/// Takes one value after the other, and lets go of all.
pub trait Words: Contender {
    /// Places a word.
    fn put(&self, value: u64) -> NonNull<u64>;
    /// Releases all, and keeps the memory where it can.
    fn reset(&mut self);
}

/// A region for values of any type.
pub trait Region: Words {
    /// Memory for the layout.
    fn alloc(&self, layout: Layout) -> NonNull<u8>;
}

/// A bump-scope region, with a constant least alignment.
type Scoped = bump_scope::Bump<Global, BumpSettings<8>>;

macro_rules! all {
    ($work:expr, $run:ident) => {
        row!("lin", $work, $run; Lin<Pages>, Bump, Bump<8>, Scoped, Blink, Singly<Standard>, Singly<Fast>)
    };
}

/// The rows of regions.
pub fn rows() -> Vec<Row> {
    vec![
        row!("lin", "u64 in L1", words_in_l1; Lin<Pages>, Bump, Bump<8>, Scoped, Blink, Arena<u64>),
        all!("mixed 16–64 B in L1", mixed_in_l1),
        all!("cold 1e6 mixed + drop", cold),
        all!("syntax tree of kmem's sources", syntax),
        all!("words of kmem's prose interned", intern),
        all!("server, a region a request", serve),
    ]
}

/// 1,024 words, which all contenders have in the first-level cache, then a reset.
fn words_in_l1<R: Words>(region: &mut R, times: usize, watch: &mut Watch) {
    const WORDS: usize = 1024;
    watch.time(times * WORDS, || {
        for _ in 0..times {
            for value in 0..WORDS as u64 {
                taken(region.put(value));
            }
            region.reset();
        }
    });
}

/// Sizes of cells: multiples of 8 from 16 to 64.
pub fn mixed(count: usize) -> Vec<u32> {
    let mut sizes = Dice::new().throws(count, 7);
    sizes.iter_mut().for_each(|size| *size = 16 + 8 * *size);
    sizes
}

/// The layout of a cell of a size that [`mixed`] gave.
#[inline(always)]
pub fn words(size: u32) -> Layout {
    // SAFETY: eight is a power of two, and the sizes are small.
    unsafe { Layout::from_size_align_unchecked(size as usize, 8) }
}

#[inline(always)]
fn fill<R: Region>(region: &R, sizes: &[u32]) {
    for &size in sizes {
        let cell = region.alloc(words(size));
        // SAFETY: the cell was just handed out and has room for a word.
        unsafe { cell.cast::<u64>().write(u64::from(size)) };
        taken(cell);
    }
}

/// 512 cells of 40 bytes on average, the first word of each written, then a reset.
fn mixed_in_l1<R: Region>(region: &mut R, times: usize, watch: &mut Watch) {
    let sizes = mixed(512);
    watch.time(times * sizes.len(), || {
        for _ in 0..times {
            fill(region, &sizes);
            region.reset();
        }
    });
}

/// A new region, a million cells, and the end of the region.
fn cold<R: Region>(_: &mut R, times: usize, watch: &mut Watch) {
    let sizes = mixed(watch.size(1_000_000));
    for _ in 0..times {
        watch.time(sizes.len(), || {
            let region = R::new();
            fill(&region, &sizes);
        });
    }
}

/// The layout of a text.
#[inline(always)]
fn bytes(len: usize) -> Layout {
    // SAFETY: one is a power of two, and there is a text of this length.
    unsafe { Layout::from_size_align_unchecked(len, 1) }
}

/// A copy of a text in a region.
#[inline(always)]
fn copy<'r, R: Region>(region: &'r R, text: &str) -> &'r str {
    // General allocators are not to be asked for nothing.
    let place = region.alloc(bytes(text.len().max(1)));
    // SAFETY: the cell was just handed out for as many bytes.
    unsafe { place.copy_from_nonoverlapping(NonNull::from(text).cast(), text.len()) };
    let copied = NonNull::slice_from_raw_parts(place, text.len());
    // SAFETY: just written, and not changed while the region is borrowed.
    let copied = unsafe { copied.as_ref() };
    // SAFETY: copied from a text.
    unsafe { std::str::from_utf8_unchecked(copied) }
}

/// A value in a region.
#[inline(always)]
fn place<R: Region, T: Copy>(region: &R, value: T) -> &T {
    let place = region.alloc(Layout::new::<T>()).cast::<T>();
    // SAFETY: the cell was just handed out for a `T`.
    unsafe { place.write(value) };
    // SAFETY: just written, and not changed while the region is borrowed.
    unsafe { place.as_ref() }
}

/// A node of a syntax tree in a region.
#[derive(Clone, Copy)]
struct Part<'r> {
    text: &'r str,
    parent: Option<&'r Part<'r>>,
}

/// The syntax trees of the crate's own sources: a node and its text for each part, then a reset.
fn syntax<R: Region>(region: &mut R, times: usize, watch: &mut Watch) {
    let parts = corpus::syntax();
    // Addresses, since references would keep the region from being reset.
    let mut nodes: Vec<*const Part<'static>> = Vec::with_capacity(parts.len());
    watch.time(times * parts.len(), || {
        for _ in 0..times {
            for part in parts {
                let above = nodes.get(part.parent).copied();
                // SAFETY: null, or a node that was placed since the last reset.
                let parent = above.and_then(|above| unsafe { above.as_ref() });
                let node = place(region, Part { text: copy(region, &part.text), parent });
                nodes.push(ptr::from_ref(node).cast());
            }
            // SAFETY: as above.
            let last = nodes.last().and_then(|last| unsafe { last.as_ref() });
            let path = std::iter::successors(last, |part| part.parent);
            black_box(path.map(|part| part.text.len()).sum::<usize>());
            nodes.clear();
            region.reset();
        }
    });
}

/// FNV-1a: quick, so that what is measured is not the hashing.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// Each word of the project's own prose is looked up, and copied if it is new.
fn intern<R: Region>(region: &mut R, times: usize, watch: &mut Watch) {
    let words: Vec<&str> = corpus::words().collect();
    // SAFETY: the table names what was copied since the last reset.
    let text = |name: &*const str| unsafe { &**name };
    let mut names: HashTable<*const str> = HashTable::with_capacity(words.len());
    watch.time(times * words.len(), || {
        for _ in 0..times {
            for word in &words {
                let same = |name: &*const str| text(name) == *word;
                if let Entry::Vacant(entry) = names.entry(hash(word), same, |name| hash(text(name))) {
                    entry.insert(copy(region, word));
                }
            }
            black_box(names.len());
            names.clear();
            region.reset();
        }
    });
}

/// A line of a request's head, or of an answer's.
#[derive(Clone, Copy)]
struct Header<'r> {
    name: &'r str,
    value: &'r str,
    before: Option<&'r Header<'r>>,
}

/// What a server is asked, again and again.
const REQUESTS: [&str; 4] = [
    "GET / HTTP/1.1\nHost: example.org\nAccept: text/html\nAccept-Language: en\nConnection: keep-alive\n",
    "GET /style.css HTTP/1.1\nHost: example.org\nAccept: text/css\nIf-None-Match: \"5f3a\"\nReferer: /\n",
    "POST /search HTTP/1.1\nHost: example.org\nContent-Type: application/json\nContent-Length: 42\nCookie: id=7f9c2a; \
     theme=dark; language=en\nUser-Agent: a reader of pages, version 12.4, on some machine\nAccept: */*\n",
    "DELETE /notes/1724 HTTP/1.1\nHost: example.org\nAuthorization: Bearer 0123456789abcdef0123456789abcdef\n",
];

/// For each request: its head is taken apart, an answer is put together, and the region reset.
fn serve<R: Region>(region: &mut R, times: usize, watch: &mut Watch) {
    watch.time(times * REQUESTS.len(), || {
        for _ in 0..times {
            for request in REQUESTS {
                black_box(answer(region, black_box(request)));
                region.reset();
            }
        }
    });
}

fn answer<R: Region>(region: &R, request: &str) -> usize {
    let mut lines = request.lines();
    let target = copy(region, lines.next().unwrap_or_default());
    let mut newest = None;
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or_default();
        let (name, value) = (copy(region, name), copy(region, value));
        newest = Some(place(region, Header { name, value, before: newest }));
    }
    // The answer repeats what it was asked, as an echo server does.
    let mut body = place(region, Header { name: "echo", value: target, before: None });
    let mut at = newest;
    while let Some(header) = at {
        body = place(region, Header { name: copy(region, header.name), value: header.value, before: Some(body) });
        at = header.before;
    }
    std::iter::successors(Some(body), |part| part.before).map(|part| part.name.len() + part.value.len()).sum()
}

impl Contender for Lin<Pages> {
    fn name() -> String {
        "kmem".into()
    }

    fn new() -> Self {
        Self::new_in(Pages::new())
    }
}

impl Words for Lin<Pages> {
    #[inline(always)]
    fn put(&self, value: u64) -> NonNull<u64> {
        NonNull::from(Lin::put(self, value).expect("memory"))
    }

    #[inline(always)]
    fn reset(&mut self) {
        Lin::reset(self);
    }
}

impl Region for Lin<Pages> {
    #[inline(always)]
    fn alloc(&self, layout: Layout) -> NonNull<u8> {
        Lin::alloc(self, layout).expect("memory").cast()
    }
}

impl<const ALIGN: usize> Contender for Bump<ALIGN> {
    fn name() -> String {
        if ALIGN == 1 { "bumpalo".into() } else { format!("bumpalo, least alignment {ALIGN}") }
    }

    fn new() -> Self {
        Self::with_min_align()
    }
}

impl<const ALIGN: usize> Words for Bump<ALIGN> {
    #[inline(always)]
    fn put(&self, value: u64) -> NonNull<u64> {
        NonNull::from(self.alloc(value))
    }

    #[inline(always)]
    fn reset(&mut self) {
        Bump::reset(self);
    }
}

impl<const ALIGN: usize> Region for Bump<ALIGN> {
    #[inline(always)]
    fn alloc(&self, layout: Layout) -> NonNull<u8> {
        self.alloc_layout(layout)
    }
}

impl Contender for Scoped {
    fn name() -> String {
        "bump-scope, least alignment 8".into()
    }

    fn new() -> Self {
        Self::new()
    }
}

impl Words for Scoped {
    #[inline(always)]
    fn put(&self, value: u64) -> NonNull<u64> {
        self.alloc(value).into_raw()
    }

    #[inline(always)]
    fn reset(&mut self) {
        Scoped::reset(self);
    }
}

impl Region for Scoped {
    #[inline(always)]
    fn alloc(&self, layout: Layout) -> NonNull<u8> {
        self.allocate_layout(layout)
    }
}

impl Contender for Blink {
    fn name() -> String {
        "blink-alloc".into()
    }

    fn new() -> Self {
        Self::new()
    }
}

impl Words for Blink {
    #[inline(always)]
    fn put(&self, value: u64) -> NonNull<u64> {
        NonNull::from(self.put_no_drop(value))
    }

    #[inline(always)]
    fn reset(&mut self) {
        Blink::reset(self);
    }
}

impl Region for Blink {
    #[inline(always)]
    fn alloc(&self, layout: Layout) -> NonNull<u8> {
        self.allocator().allocate(layout).expect("memory").cast()
    }
}

impl Contender for Arena<u64> {
    fn name() -> String {
        "typed-arena".into()
    }

    fn new() -> Self {
        Self::with_capacity(1024)
    }
}

impl Words for Arena<u64> {
    #[inline(always)]
    fn put(&self, value: u64) -> NonNull<u64> {
        NonNull::from(self.alloc(value))
    }

    /// It cannot be emptied, only be made anew.
    #[inline(always)]
    fn reset(&mut self) {
        *self = Self::new();
    }
}

/// What one has without a region: each cell from a general allocator, and all of them freed at the end.
struct Singly<A: Allocator> {
    cells: RefCell<Vec<(NonNull<u8>, Layout)>>,
    allocator: PhantomData<A>,
}

impl<A: Allocator> Contender for Singly<A> {
    const COUNTABLE: bool = A::COUNTABLE;

    fn name() -> String {
        A::NAME.into()
    }

    fn new() -> Self {
        Self { cells: RefCell::default(), allocator: PhantomData }
    }
}

impl<A: Allocator> Words for Singly<A> {
    #[inline(always)]
    fn put(&self, value: u64) -> NonNull<u64> {
        let cell = self.alloc(Layout::new::<u64>()).cast();
        // SAFETY: the cell was just handed out for a word.
        unsafe { cell.write(value) };
        cell
    }

    #[inline(always)]
    fn reset(&mut self) {
        for (cell, layout) in self.cells.get_mut().drain(..) {
            // SAFETY: the cell came from the allocator with this layout.
            unsafe { A::IT.dealloc(cell.as_ptr(), layout) };
        }
    }
}

impl<A: Allocator> Region for Singly<A> {
    #[inline(always)]
    fn alloc(&self, layout: Layout) -> NonNull<u8> {
        // SAFETY: no layout of a work is empty.
        let cell = NonNull::new(unsafe { A::IT.alloc(layout) }).expect("memory");
        self.cells.borrow_mut().push((cell, layout));
        cell
    }
}

impl<A: Allocator> Drop for Singly<A> {
    fn drop(&mut self) {
        self.reset();
    }
}
