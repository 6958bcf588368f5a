//! What `inspect` tells is what is in memory: pieces fill their blocks, headers say what records say,
//! and the JSON and the text say the same.
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test states one reason for a row of calls"
)]
#![allow(clippy::cast_possible_truncation, reason = "a kind's number is a byte")]

#[allow(dead_code, reason = "the random models use the rest")]
#[path = "model/dice.rs"]
mod dice;
#[path = "model/json.rs"]
mod json;

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use kmem::inspect::{self, Inspect, Record, What};
use kmem::{Bare, Headers, Heap, Kind, Lin, MIN_ALIGN, Pool, Ref, Source, Stats, Store, Tree, refs};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use dice::Dice;
use json::Json;

const WORD: usize = size_of::<usize>();
const CELL: Layout = Layout::new::<[u64; 6]>();

fn bytes(len: usize) -> Vec<MaybeUninit<u8>> {
    vec![MaybeUninit::uninit(); len]
}

/// A word of memory at an address that a record named.
fn word(at: usize) -> usize {
    // SAFETY: callers name a header's or a list's word in memory that a live store holds.
    unsafe { core::ptr::with_exposed_provenance::<usize>(at).read() }
}

fn byte(at: usize) -> u8 {
    // SAFETY: as for `word`.
    unsafe { core::ptr::with_exposed_provenance::<u8>(at).read() }
}

fn records(store: &dyn Inspect) -> Vec<Record> {
    let mut all = Vec::new();
    store.inspect(&mut |record| all.push(*record));
    all
}

/// A header's kind, taint and size, as the bytes have them.
fn prove_header(record: &Record) {
    assert_eq!(byte(record.at), record.kind as u8, "kind of {record:?}");
    if cfg!(feature = "shred") {
        assert_eq!(byte(record.at + 1) != 0, record.tainted, "taint of {record:?}");
    }
    assert_eq!(word(record.at + WORD), record.header + record.payload, "size of {record:?}");
}

/// The pieces of each block fill it, without a gap or an overlap; blocks are what the store holds.
fn prove_blocks(all: &[Record], stats: Stats) {
    let mut held = 0;
    let (mut end, mut block) = (0, None);
    for record in all {
        if record.what == What::Block {
            assert_eq!(end, block.map_or(0, |block: Record| block.at + block.len), "pieces fill {block:?}");
            assert_eq!(record.block, block.map_or(0, |block| block.block + 1), "blocks are numbered");
            held += record.len;
            (end, block) = (record.at, Some(*record));
            continue;
        }
        assert_eq!(Some(record.block), block.map(|block| block.block), "{record:?} is in the block before it");
        // In a bare pool's run of used cells the free ones are told again.
        let within = record.what == What::Free && record.at < end;
        assert!(record.at == end || within, "{record:?} begins where the piece before it ends: {end:#x}");
        end = end.max(record.at + record.len);
    }
    assert_eq!(end, block.map_or(0, |block| block.at + block.len), "pieces fill {block:?}");
    assert_eq!(held, stats.held, "blocks are what is held");
}

fn count(all: &[Record], what: What) -> usize {
    all.iter().filter(|record| record.what == what).count()
}

/// The JSON is valid and has every record, field by field.
fn prove_json(store: &dyn Inspect) {
    let mut text = String::new();
    inspect::json(store, &mut text).expect("a string takes it");
    let value = Json::read(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
    assert_eq!(value.get("kind"), &Json::Text(store.kind().name().into()));
    let all = records(store);
    assert_eq!(value.get("records").list().len(), all.len());
    let number = |number: usize| Json::Number(number as u64);
    for (said, record) in value.get("records").list().iter().zip(all) {
        let Record { at, len, what, kind, block, header, payload, tainted, depth, refs, links } = record;
        let numbers = [
            ("at", at),
            ("len", len),
            ("block", block),
            ("header", header),
            ("payload", payload),
            ("depth", depth),
            ("refs", refs),
        ];
        for (name, value) in numbers {
            assert_eq!(said.get(name), &number(value), "{name} of {record:?}");
        }
        assert_eq!(said.get("what"), &Json::Text(what.name().into()));
        assert_eq!(said.get("kind"), &Json::Text(kind.name().into()));
        assert_eq!(said.get("tainted"), &Json::Bool(tainted));
        assert_eq!(said.get("links").list(), links.map(number));
    }
}

/// The text has a picture of each of the first blocks, and a line that counts the pieces.
fn prove_text(store: &dyn Inspect) -> Vec<String> {
    let mut text = String::new();
    inspect::text(store, &mut text).expect("a string takes it");
    let all = records(store);
    let blocks: Vec<_> = all.iter().filter(|record| record.what == What::Block).collect();
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.pop().expect("a line of counts");
    assert!(last.trim_start().starts_with(&format!("{}:", store.kind())), "{last}");
    for what in What::ALL {
        let (number, of) = (count(&all, what), all.iter().filter(|record| record.what == what));
        let sum: usize = of.map(|record| record.len).sum();
        let part = last.split(')').find(|part| part.contains(&format!(" {}", what.name())));
        let Some(part) = part.filter(|_| number > 0) else {
            assert_eq!((number, part), (0, None), "{what:?} in {last}");
            continue;
        };
        assert!(part.contains(&format!(" {number} {}", what.name())), "{number} {what:?} in {last}");
        assert!(part.ends_with(&format!("({sum} B")), "{sum} B of {what:?} in {last}");
    }
    let (pictures, rest): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.contains('['));
    assert!(pictures.len() == blocks.len() || (pictures.len() < blocks.len() && rest.len() == 1), "{text}");
    let picture = |(line, block): (&str, &&Record)| {
        let (start, end) = (line.find('[').expect("a frame"), line.rfind(']').expect("a frame"));
        assert_eq!(&line[end..], format!("] {} B", block.len));
        let inside = &line[start + 1..end];
        assert_eq!(inside.chars().count(), 64);
        assert!(inside.chars().all(|c| "h#.x_o^".contains(c)), "{line}");
        inside.to_owned()
    };
    pictures.into_iter().zip(&blocks).map(picture).collect()
}

fn prove(store: &dyn Inspect, stats: Stats) -> Vec<Record> {
    let all = records(store);
    prove_blocks(&all, stats);
    prove_json(store);
    prove_text(store);
    all
}

/// Allocates and frees at random.
fn stir(dice: &mut Dice, times: usize, mut alloc: impl FnMut(usize) -> NonNull<u8>, mut free: impl FnMut(NonNull<u8>)) {
    let mut live = Vec::new();
    for _ in 0..times {
        if live.len() < 5 || dice.below(5) < 3 {
            live.push(alloc(1 + dice.below(300)));
        } else {
            free(live.swap_remove(dice.below(live.len())));
        }
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).expect("a layout")
}

fn prove_heap<S: Source>(heap: &Heap<S>) {
    let all = prove(heap, heap.stats());
    assert_eq!(count(&all, What::Used), heap.stats().live);
    let used = all.iter().filter(|record| record.what == What::Used);
    // A cell that has a chunk to itself has all of it; counted is what it needs.
    let needs = |record: &Record| record.header + record.payload.max(1).next_multiple_of(MIN_ALIGN);
    assert!(used.clone().all(|record| record.len >= needs(record)));
    assert_eq!(used.clone().map(needs).sum::<usize>(), heap.stats().bytes);
    for record in used {
        prove_header(record);
        assert_eq!(record.header, size_of::<kmem::Cell>());
        let payload = core::ptr::with_exposed_provenance_mut(record.at + record.header);
        let found = heap.locate(NonNull::new(payload).expect("an address")).expect("a live cell");
        assert_eq!((found.kind, found.size, found.tainted), (record.kind, record.payload, record.tainted));
    }
    for record in all.iter().filter(|record| record.what == What::Free) {
        assert_eq!((word(record.at), word(record.at + record.len - WORD)), (record.len, record.len), "{record:?}");
    }
}

#[test]
fn heaps() {
    let mut dice = Dice::Seeded(1);
    let mut memory = bytes(64 << 10);
    let heap = Heap::fixed(&mut memory);
    prove_heap(&heap);
    let free = |cell| {
        // SAFETY: a live cell, used no more.
        unsafe { heap.free(cell) }.expect("live");
    };
    stir(&mut dice, 200, |size| heap.alloc(layout(size)).expect("room").cast(), free);
    let cell = heap.alloc(layout(40)).expect("room").cast();
    #[cfg(feature = "shred")]
    heap.taint_cell(cell).expect("live");
    let counted = refs::alloc(&heap, CELL).expect("room").cast();
    prove_heap(&heap);
    let all = records(&heap);
    assert_eq!(all.iter().filter(|record| record.kind == Kind::Ref).count(), 1, "a block is told as what it is");
    assert_eq!(all.iter().filter(|record| record.tainted).count(), usize::from(cfg!(feature = "shred")));
    // SAFETY: live cells, used no more.
    unsafe {
        refs::free(counted).expect("live");
        heap.free(cell).expect("live");
    }
    prove_heap(&heap);
}

#[cfg(feature = "platform")]
#[test]
fn heaps_of_many_chunks() {
    let mut heap = Heap::new_in(kmem::Pages::new()).first_block(4096);
    for at in 0..40 {
        // More than has room in one, and what has one to itself.
        let size = if at % 10 == 9 { 200_000 } else { 3000 };
        heap.alloc(layout(size)).expect("room");
        prove_heap(&heap);
    }
    // Pages are larger in WebAssembly, and so are the chunks.
    let chunks = if cfg!(target_arch = "wasm32") { 4 } else { 6 };
    assert!(count(&records(&heap), What::Block) > chunks, "more than the pictures");
    heap.destroy().expect("taken back");
    assert_eq!(records(&heap), []);
}

fn prove_lin<S: Source>(lin: &Lin<S, Headers>) {
    let all = prove(lin, lin.stats());
    assert_eq!(count(&all, What::Used), lin.stats().live);
    let told = |what| matches!(what, What::Used | What::Mark | What::Hole | What::Shredded);
    let cells = all.iter().filter(|record| told(record.what));
    assert_eq!(cells.clone().map(|record| record.len).sum::<usize>(), lin.stats().bytes, "up to the cursor");
    for record in cells {
        prove_header(record);
        let payload = core::ptr::with_exposed_provenance_mut(record.at + record.header);
        let found = lin.locate(NonNull::new(payload).expect("an address"));
        assert_eq!(found.is_ok(), record.what == What::Used, "{record:?}");
    }
}

#[test]
fn regions_with_headers() {
    let mut dice = Dice::Seeded(2);
    let mut memory = bytes(64 << 10);
    let below = Heap::fixed(&mut memory);
    let mut lin = Lin::with_headers_in(&below).first_block(1000);
    prove_lin(&lin);
    let free = |cell| {
        // SAFETY: a live cell, used no more.
        unsafe { lin.free(cell) }.expect("live");
    };
    stir(&mut dice, 60, |size| lin.alloc(layout(size)).expect("room").cast(), free);
    lin.alloc(Layout::from_size_align(5, 256).expect("a layout")).expect("room");
    lin.mark().expect("room");
    let cells = [(); 3].map(|()| lin.alloc(CELL).expect("room").cast::<u8>());
    #[cfg(feature = "shred")]
    // SAFETY: a live cell, used no more.
    unsafe {
        lin.shred(cells[1]).expect("live");
        lin.taint_cell(cells[0]).expect("live");
        assert_eq!(count(&records(&lin), What::Shredded), 1);
    }
    let _ = cells;
    prove_lin(&lin);
    assert_eq!(count(&records(&lin), What::Mark), 1);
    assert!(count(&records(&lin), What::Block) > 1 && count(&records(&lin), What::Hole) > 1);
    lin.reset();
    prove_lin(&lin);
    assert!(lin.stats().held > 0, "the spare chunks are there, and are told");
}

#[test]
fn bare_regions() {
    let mut memory = bytes(16 << 10);
    let mut lin: Lin<_, Bare> = Lin::fixed(&mut memory);
    prove(&lin, lin.stats());
    // Half of it, in one run.
    lin.alloc(layout(8 << 10)).expect("room");
    let all = prove(&lin, lin.stats());
    let used: Vec<_> = all.iter().filter(|record| record.what == What::Used).collect();
    assert_eq!((used.len(), used[0].len), (1, lin.stats().bytes));
    let picture = prove_text(&lin).remove(0);
    let (full, empty) = (picture.matches('#').count(), picture.matches('_').count());
    assert!((31..=33).contains(&full) && full + empty >= 63, "half used, half fresh: {picture}");
    assert!(picture.find('#') < picture.find('_'), "in the order of memory: {picture}");
    lin.reset();
    prove(&lin, lin.stats());
}

fn prove_pool<S: Source>(pool: &Pool<S, Headers>) {
    let all = prove(pool, pool.stats());
    assert_eq!(count(&all, What::Used), pool.stats().live);
    let header = size_of::<kmem::PoolCell>();
    // From the one that is handed out next, links lead through all that are free.
    let mut free: Vec<_> = all.iter().filter(|record| matches!(record.what, What::Free | What::Shredded)).collect();
    let mut at = pool.bottom().map_or(0, |bottom| bottom.addr().get() - header);
    while at != 0 {
        let place = free.iter().position(|record| record.at == at).expect("a free cell is told");
        at = free.swap_remove(place).links[0];
    }
    assert_eq!(free, Vec::<&Record>::new(), "free, and not on the list");
    for record in all.iter().filter(|record| record.header > 0 && record.what != What::Header) {
        assert_eq!(word(record.at), record.links[0], "last of {record:?}");
        assert_eq!((record.header, record.payload), (header, pool.cell_size()));
    }
}

#[test]
fn pools_with_headers() {
    let mut dice = Dice::Seeded(3);
    let mut memory = bytes(16 << 10);
    let below = Heap::fixed(&mut memory);
    let mut pool: Pool<_, Headers> = Pool::with_headers_in(CELL, &below).first_cells(4);
    prove_pool(&pool);
    let free = |cell| {
        // SAFETY: a live cell, used no more.
        unsafe { pool.free(cell) }.expect("live");
    };
    stir(&mut dice, 80, |_| pool.alloc().expect("room").cast(), free);
    let counted = Pool::alloc(&pool).expect("room").cast();
    #[cfg(feature = "shred")]
    // SAFETY: a live cell, used no more.
    unsafe {
        pool.shred(counted).expect("live");
        assert_eq!(count(&records(&pool), What::Shredded), 1);
    }
    let _: NonNull<u8> = counted;
    prove_pool(&pool);
    assert!(count(&records(&pool), What::Block) > 1);
    pool.reset();
    prove_pool(&pool);
}

#[test]
fn bare_pools() {
    let mut memory = bytes(4 << 10);
    let pool = Pool::fixed(CELL, &mut memory);
    let cells = [(); 10].map(|()| pool.alloc().expect("room").cast::<u8>());
    for at in [3, 7, 5] {
        // SAFETY: a live cell, used no more.
        unsafe { pool.free(cells[at]) }.expect("live");
    }
    let all = prove(&pool, pool.stats());
    let free: Vec<_> = all.iter().filter(|record| record.what == What::Free).collect();
    assert_eq!(free.iter().map(|record| record.at).collect::<Vec<_>>(), [5, 7, 3].map(|at| cells[at].addr().get()));
    for record in &free {
        assert_eq!(word(record.at), record.links[0], "a free cell holds its link");
    }
    assert_eq!(free[2].links[0], 0);
}

#[test]
fn trees() {
    let mut memory = bytes(32 << 10);
    let tree = Tree::fixed(&mut memory);
    assert_eq!(records(&tree), [], "no root yet");
    let root = tree.root().expect("room");
    let mut nodes = vec![root];
    let mut dice = Dice::Seeded(4);
    for at in 0..60 {
        let parent = dice.pick(&nodes);
        let align = [1, 64, 256][at % 3];
        let layout = Layout::from_size_align(dice.below(100), align).expect("a layout");
        // SAFETY: a live node.
        nodes.push(unsafe { tree.alloc(parent, layout) }.expect("room").cast());
    }
    #[cfg(feature = "shred")]
    // SAFETY: a live node.
    unsafe { tree.taint_node(nodes[9]) }.expect("live");
    let all = records(&tree);
    assert_eq!((all.len(), all.iter().filter(|r| r.tainted).count()), (61, usize::from(cfg!(feature = "shred"))));
    // A node that is aligned to more than its header has a gap before it; links name headers.
    let node_at = |record: &Record| record.at + record.header - size_of::<kmem::Node>();
    for (place, record) in all.iter().enumerate() {
        assert_eq!((record.what, record.kind, record.len), (What::Used, Kind::Tree, record.header + record.payload));
        let at = node_at(record);
        assert_eq!((byte(at), word(at + WORD)), (Kind::Tree as u8, record.len), "the header of {record:?}");
        assert_eq!(record.links, [2, 3, 4, 5, 6].map(|link| word(at + link * WORD)), "{record:?}");
        let parent = all[..place].iter().find(|parent| node_at(parent) == record.links[0]);
        assert_eq!(parent.map(|parent| parent.depth + 1), (place > 0).then_some(record.depth), "parents come first");
        let node = core::ptr::with_exposed_provenance_mut::<u8>(record.at + record.header);
        assert!(nodes.iter().any(|known| known.as_ptr() == node), "a node that was allocated");
    }
    prove_json(&tree);
    prove_text(&tree);
    let blocks = prove(tree.source(), tree.source().stats());
    assert_eq!(blocks.iter().filter(|record| record.kind == Kind::Tree).count(), 61, "the heap knows nodes");
}

#[test]
fn counted_cells() {
    let mut memory = bytes(8 << 10);
    let heap = Heap::fixed(&mut memory);
    let cell = refs::alloc(&heap, CELL).expect("room").cast();
    // SAFETY: a live counted cell.
    let header = unsafe {
        refs::upref(cell).expect("counted");
        #[cfg(feature = "shred")]
        refs::taint(cell);
        refs::header(cell)
    };
    let all = records(header);
    assert_eq!(all.len(), 1);
    let record = all[0];
    assert_eq!((record.kind, record.header, record.payload, record.refs), (Kind::Ref, 2 * MIN_ALIGN, CELL.size(), 2));
    assert_eq!(record.at + record.header, cell.addr().get());
    assert_eq!(record.tainted, cfg!(feature = "shred"));
    assert_eq!(record.links[0], (&raw const *heap.head()).addr(), "the source");
    prove_header(&record);
    assert_eq!((word(record.at + 2 * WORD), word(record.at + 3 * WORD)), (record.refs, record.links[0]));
    prove_json(header);
    prove_text(header);
}

/// A pool's runs are the blocks and cells that its walk tells, also of blocks that wait to be used again.
#[test]
fn runs_say_where_the_cells_are() {
    let mut memory = bytes(1 << 16);
    let mut pool = Pool::with_headers_in(CELL, Heap::fixed(&mut memory)).first_cells(3);
    let cells: Vec<_> = (0..40).map(|_| pool.alloc().expect("room").cast::<u8>()).collect();
    for cell in cells.iter().step_by(3) {
        unsafe { pool.free(*cell) }.expect("a live cell");
    }
    prove_runs(&pool, 40);
    pool.reset();
    prove_runs(&pool, 0);
}

fn prove_runs<S: Source>(pool: &Pool<S, Headers>, cells: usize) {
    let all = records(pool);
    let blocks = all.iter().filter(|record| record.what == What::Block);
    let told: Vec<_> = blocks.map(|record| (record.at, record.len)).collect();
    let runs: Vec<_> = pool.runs().collect();
    assert_eq!(runs.iter().map(|run| (run.block, run.len)).collect::<Vec<_>>(), told);
    assert!(runs.len() > 2);
    let in_runs = runs.iter().flat_map(|run| (0..run.count).map(|number| run.at + number * run.stride));
    let walked = all.iter().filter(|record| matches!(record.what, What::Used | What::Free));
    assert_eq!(in_runs.collect::<Vec<_>>(), walked.map(|record| record.at).collect::<Vec<_>>());
    assert_eq!(runs.iter().map(|run| run.count).sum::<usize>(), cells);
}

/// The documentation's table: units of 16 bytes, on 32 bit of 8.
#[test]
fn a_cell_costs_what_the_documentation_says() {
    let payload = Layout::new::<[usize; 4]>();
    let beside = |bytes: usize| (bytes - payload.size()) / MIN_ALIGN;
    let mut room = bytes(1 << 16);

    let heap = Heap::fixed(&mut room);
    heap.alloc(payload).expect("room");
    assert_eq!(beside(heap.stats().bytes), 1);
    drop(heap);

    let lin = Lin::fixed(&mut room);
    lin.alloc(payload).expect("room");
    assert_eq!(beside(lin.stats().bytes), 0);
    drop(lin);
    let lin = Lin::fixed_with_headers(&mut room);
    lin.alloc(payload).expect("room");
    assert_eq!(beside(lin.stats().bytes), 1);
    let before = lin.stats().bytes;
    refs::alloc(&lin, payload).expect("room");
    assert_eq!(beside(lin.stats().bytes - before), 1 + 2, "its own beside those of its store");
    drop(lin);

    let pool = Pool::fixed(payload, &mut room);
    pool.alloc().expect("room");
    assert_eq!(beside(pool.stats().bytes), 0);
    drop(pool);
    let pool = Pool::fixed_with_headers(payload, &mut room);
    pool.alloc().expect("room");
    assert_eq!(beside(pool.stats().bytes), 1);
    drop(pool);

    let lin = Lin::fixed(&mut room);
    let shared = Ref::new_in([0_usize; 4], &lin).expect("room");
    assert_eq!(beside(lin.stats().bytes), 1);
    drop(shared);
    let tree = Tree::new_in(&lin);
    let root = tree.root().expect("room");
    let before = lin.stats().bytes;
    // SAFETY: the root is a live node.
    unsafe { tree.alloc(root, payload) }.expect("room");
    assert_eq!(beside(lin.stats().bytes - before), 4);
}
