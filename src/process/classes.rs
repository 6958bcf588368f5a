//! What the process heap holds, by size class: summed up when somebody asks, from what is counted anyway.
//!
//! Invariant: the parts' `live`, `bytes` and `held` are part of the total's, which also has what is in no part: heads of
//! segments, slices that are free, segments and long blocks that are kept.

use super::ground::{Process, page, pool};
use super::{Layer, MOST, here};
use crate::Stats;
use crate::spans::{CLASSES, Class, Ground};

/// What the process heap holds of one size class, or of all that is longer.
///
/// ```
/// use kmem::GlobalHeap;
///
/// for class in GlobalHeap::new().classes().iter().filter(|class| class.held > 0) {
///     println!("{:5} B: {} live, {} free, {} at most", class.size, class.live, class.free, class.peak);
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassStats {
    /// Bytes of a cell. 0 where each block has a length of its own.
    pub size: usize,
    /// Cells that are live, and a few that threads have at hand.
    pub live: usize,
    /// The most that these were at once; of several threads, the sum of what each had at most.
    pub peak: usize,
    /// Cells that wait in spans of this class.
    pub free: usize,
    /// Bytes of the live cells, with their rounding.
    pub bytes: usize,
    /// Bytes that are mapped for this class alone.
    pub held: usize,
    /// About so many of them are in memory: the others were given back, or never touched.
    pub resident: usize,
}

/// What the process heap holds, by size class: a picture of one moment. What other threads do meanwhile may be in it or
/// not, so that sums over it may be off by a little.
///
/// ```
/// use kmem::GlobalHeap;
///
/// let classes = GlobalHeap::new().classes();
/// assert!(classes.iter().is_sorted_by_key(|class| class.size));
/// let parts: usize = classes.iter().chain([classes.runs(), classes.long()]).map(|class| class.held).sum();
/// assert!(parts <= classes.total().held);
/// ```
#[derive(Clone, Debug)]
pub struct Classes {
    each: [ClassStats; CLASSES],
    runs: ClassStats,
    long: ClassStats,
    total: Stats,
    resident: usize,
}

impl Classes {
    /// The size classes, the shortest first; also those that have no cell.
    ///
    /// ```
    /// use kmem::{GlobalHeap, MIN_ALIGN};
    ///
    /// let classes = GlobalHeap::new().classes();
    /// assert_eq!(classes.iter().next().map(|class| class.size), Some(MIN_ALIGN));
    /// assert!(classes.iter().all(|class| class.bytes == class.live * class.size));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = ClassStats> {
        self.each.iter().copied().take_while(|class| class.size <= MOST)
    }

    /// Blocks longer than any class, up to an eighth of a segment (4 MiB on 64 bit), which share segments with the cells.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Global, Source};
    ///
    /// Global.grant(Layout::new::<[u8; 100_000]>())?;
    /// let runs = Global.classes().runs();
    /// assert!(runs.live >= 1 && runs.bytes >= 100_000);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub const fn runs(&self) -> ClassStats {
        self.runs
    }

    /// Blocks that are longer still, which have pages of their own. Their `peak` is in `total` only, in bytes.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Global, Source};
    ///
    /// Global.grant(Layout::new::<[u8; 10_000_000]>())?;
    /// assert!(Global.classes().long().bytes >= 10_000_000);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub const fn long(&self) -> ClassStats {
        self.long
    }

    /// All of it, as [`GlobalHeap::stats`](crate::GlobalHeap::stats) says.
    ///
    /// ```
    /// use kmem::GlobalHeap;
    ///
    /// let total = GlobalHeap::new().classes().total();
    /// assert!(total.bytes <= total.peak && total.bytes <= total.held);
    /// ```
    #[must_use]
    pub const fn total(&self) -> Stats {
        self.total
    }

    /// About so many bytes of all that is held are in memory: what was given back to the system without being unmapped is
    /// not counted, nor is what was mapped and never touched, as far as that is known without asking the system; of
    /// spans that are no more all is counted, until that is given back too. Where
    /// nothing can be given back, as in WebAssembly, it is what was ever touched.
    ///
    /// ```
    /// use kmem::GlobalHeap;
    ///
    /// let classes = GlobalHeap::new().classes();
    /// assert!(classes.resident() <= classes.total().held);
    /// ```
    #[must_use]
    pub const fn resident(&self) -> usize {
        self.resident
    }
}

/// Sums by class over the whole process.
pub(super) fn classes() -> Classes {
    let mut each = [ClassStats::default(); CLASSES];
    for (number, class) in Class::all().zip(&mut each) {
        class.size = number.size();
    }
    let mut runs = ClassStats::default();
    let pool = pool();
    let head = Layer::HEAD.next_multiple_of(page());
    let mut resident = 0;
    pool.each_any(&mut |segment, is_idle| {
        resident += head + segment.dirty().count_ones() as usize * Process::SLICE;
        if is_idle {
            return;
        }
        Layer::each(segment, &mut |_, slices, span| {
            let Some(span) = span else { return };
            let len = slices * Process::SLICE;
            let Some(class) = span.class() else {
                runs.live += 1;
                runs.held += len;
                return;
            };
            let class = &mut each[usize::from(class.number())];
            let used = (span.used().get() as usize).min(span.cells());
            class.live += used;
            class.free += span.cells() - used;
            class.held += len;
            class.resident += len - (span.hole().get() as usize).min(len);
        });
    });
    let solos = &pool.solos;
    let long = ClassStats {
        live: solos.live,
        bytes: solos.bytes,
        held: solos.bytes,
        resident: solos.bytes - solos.thin.get(),
        ..ClassStats::default()
    };
    (runs.bytes, runs.resident) = (runs.held, runs.held);
    let mut peak = solos.peak;
    here::each(|local| {
        peak += local.peak();
        runs.peak += local.most_runs();
        Class::all().zip(&mut each).for_each(|(number, class)| class.peak += local.most(number));
    });
    let mut total = Stats { held: pool.held() + solos.bytes + solos.kept, ..Stats::default() };
    resident += solos.kept;
    for class in each.iter_mut().chain([&mut runs]) {
        if class.size > 0 {
            class.bytes = class.live * class.size;
        }
        // A thread that takes cells just now may have counted them on one side only.
        class.peak = class.peak.max(class.live);
    }
    for part in each.iter().chain([&runs, &long]) {
        total.live += part.live;
        total.bytes += part.bytes;
        resident += part.resident;
    }
    total.peak = peak.max(total.bytes);
    Classes { each, runs, long, total, resident: resident.min(total.held) }
}
