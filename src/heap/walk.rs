//! Walking a heap: for `inspect` and `check`.

use core::ptr::NonNull;

use super::chunk::Chunk;
use super::small::{Piece, Under};
use super::{HEADER, Heap, bins, extent};
use crate::cell::{MIN_ALIGN, State, inside};
use crate::inspect::{Freeze, Inspect, Record, What};
use crate::report::rule;
use crate::{Broken, Kind, Source};

impl<S: Source> Heap<S> {
    /// Visits the blocks of a chunk by address, with their size and whether they are live.
    pub(super) fn each_block(&self, chunk: &Chunk, visit: &mut dyn FnMut(NonNull<u8>, usize, bool)) {
        let mut at = chunk.first();
        while at != chunk.end() {
            let live = chunk.is_live(inside(at, HEADER));
            let size = match live {
                _ if chunk.is_solo() => chunk.room_from(at),
                true => extent(self.header(inside(at, HEADER))),
                false => bins::size_of_free(at),
            };
            // A size that cannot be ends the walk; `check` says so.
            if size == 0 || size > chunk.room_from(at) {
                return;
            }
            visit(at, size, live);
            at = inside(at, size);
        }
    }

    /// Proves the heap's structure: every chunk, block, header, map and list.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// heap.alloc(Layout::new::<u64>())?;
    /// heap.check().expect("nobody wrote over it");
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first rule that does not hold, and where.
    pub fn check(&self) -> Result<(), Broken> {
        let (mut live, mut bytes, mut held, mut listed) = (0, 0, 0, 0);
        for chunk in self.all_chunks() {
            let found = self.ranges.find(chunk.start().addr().get());
            rule(found == Some(chunk.start()), "a chunk is found by its address", chunk)?;
            held += chunk.size();
            if chunk.has_spans() {
                continue;
            }
            let mut answer = Ok(());
            let (mut here, mut end, mut free_before) = (0, chunk.first(), false);
            self.each_block(chunk, &mut |block, size, is_live| {
                end = inside(block, size);
                if is_live {
                    here += 1;
                    bytes += extent(self.header(inside(block, HEADER)));
                } else {
                    listed += usize::from(size >= 2 * MIN_ALIGN);
                }
                if answer.is_ok() {
                    answer = self.check_block(chunk, block, size, is_live, free_before);
                }
                free_before = !is_live;
            });
            answer?;
            rule(end == chunk.end(), "blocks fill their chunk", end.as_ptr())?;
            rule(here == chunk.live_count(), "a chunk counts its live cells", chunk)?;
            live += here;
        }
        if let Some(local) = self.spans() {
            local.check::<Under<'_, S>>()?;
        }
        if !self.block.get().is_null() {
            held += self.block_len.get();
        }
        rule(live == self.live.get(), "live cells are counted", self)?;
        rule(bytes == self.bytes.get(), "live bytes are counted", self)?;
        rule(held == self.held.get(), "held bytes are counted", self)?;
        rule(self.bins.check(listed)? == listed, "every free block is on a list", self)
    }

    fn check_block(
        &self,
        chunk: &Chunk,
        block: NonNull<u8>,
        size: usize,
        live: bool,
        free_before: bool,
    ) -> Result<(), Broken> {
        let at = block.as_ptr();
        rule(size.is_multiple_of(MIN_ALIGN) || chunk.is_solo(), "a block is whole units", at)?;
        if live {
            let header = self.header(inside(block, HEADER));
            rule(header.state() == Some(State::Live), "a live cell's header says so", at)?;
            rule(header.kind().is_some_and(|kind| kind != Kind::None), "a live cell has a kind", at)?;
            rule(chunk.is_solo() || !chunk.is_edge(block, size), "a live block is no free one's edge", at)?;
            let align = header.layout().map_or(1, |layout| layout.align());
            rule((at.addr() + HEADER).is_multiple_of(align), "a payload is aligned", at)
        } else {
            rule(chunk.is_edge(block, size), "a free block's edge is known", at)?;
            rule(bins::size_of_free_ending(inside(block, size)) == size, "a free block's sizes agree", at)?;
            rule(!free_before, "no two free blocks touch", at)
        }
    }
}

impl<S: Source> Inspect for Heap<S> {
    fn kind(&self) -> Kind {
        Kind::Heap
    }

    fn inspect(&self, visit: &mut dyn FnMut(&Record)) {
        let _frozen = Freeze::new(&self.frozen);
        let chunks = self.all_chunks().count();
        for (number, chunk) in self.all_chunks().enumerate() {
            let start = chunk.start().addr().get();
            let front = chunk.first().addr().get() - start;
            visit(&Record { block: number, ..Record::new(start, chunk.size(), What::Block) });
            if chunk.has_spans() {
                self.each_piece(chunk, &mut |at, len, piece| {
                    let record = Record { block: number, ..Record::new(at.addr().get(), len, What::Free) };
                    visit(&match piece {
                        Piece::Head => Record { what: What::Header, ..record },
                        Piece::Free => record,
                        Piece::Fresh => Record { what: What::Fresh, ..record },
                        Piece::Live(place) => Record {
                            what: What::Used,
                            kind: place.kind(),
                            payload: place.size(),
                            tainted: place.is_tainted(),
                            ..record
                        },
                    });
                });
                continue;
            }
            visit(&Record { block: number, ..Record::new(start, front, What::Header) });
            let mut end = start + front;
            self.each_block(chunk, &mut |block, size, live| {
                let piece = Record { block: number, ..Record::new(block.addr().get(), size, What::Free) };
                end = piece.at + size;
                if !live {
                    return visit(&piece);
                }
                let header = self.header(inside(block, HEADER));
                let len = extent(header);
                end = piece.at + len;
                visit(&Record {
                    what: What::Used,
                    kind: header.kind().unwrap_or(Kind::Fail),
                    len,
                    header: HEADER,
                    payload: header.size() - HEADER,
                    tainted: header.is_tainted(),
                    ..piece
                });
            });
            // What no cell uses: bytes beyond whole units, and behind a cell with a chunk to itself.
            let last = start + chunk.size();
            if end < last {
                visit(&Record { block: number, ..Record::new(end, last - end, What::Fresh) });
            }
        }
        if !self.block.get().is_null() {
            let (at, len) = (self.block.get().addr(), self.block_len.get());
            visit(&Record { block: chunks, ..Record::new(at, len, What::Block) });
            visit(&Record { block: chunks, ..Record::new(at, len, What::Header) });
        }
    }
}
