//! A row of the table: a work, and who does it.

use crate::allocators::{Allocator, Choice, Standard, with};
use crate::watch::Watch;

/// Something that does works: a store, or a peer of one.
pub trait Contender: Sized + 'static {
    /// Whether it can run under valgrind.
    const COUNTABLE: bool = true;
    /// What it is called in the table.
    fn name() -> String;
    /// A fresh one.
    fn new() -> Self;
}

/// A work that a side is ready to do, as many times as asked.
type Ready = Box<dyn FnMut(usize, &mut Watch)>;

/// A contender at a work.
pub struct Side {
    /// What it is called in the table.
    pub name: String,
    allocator: Choice,
    countable: bool,
    make: Box<dyn Fn() -> Ready>,
}

/// A side, set up and warm.
pub struct Player<'r> {
    side: &'r Side,
    ready: Option<Ready>,
}

/// A work, and who does it: kmem first.
pub struct Row {
    /// The kind of store.
    pub group: &'static str,
    /// What is done.
    pub work: &'static str,
    /// Who does it.
    pub sides: Vec<Side>,
    /// To set it up takes seconds: not in a quick run, and not under callgrind.
    pub large: bool,
}

impl Row {
    /// A row whose first side is kmem's.
    pub const fn new(group: &'static str, work: &'static str, sides: Vec<Side>) -> Self {
        Self { group, work, sides, large: false }
    }

    /// The same, if it takes long to set up.
    pub const fn large(mut self, large: bool) -> Self {
        self.large = large;
        self
    }
}

/// A contender at a work, by its own name.
pub fn side<C: Contender>(work: fn(&mut C, usize, &mut Watch)) -> Side {
    over::<C, Standard>(C::name(), work)
}

/// The same under another name.
pub fn named<C: Contender>(name: &str, work: fn(&mut C, usize, &mut Watch)) -> Side {
    over::<C, Standard>(name.to_owned(), work)
}

/// A contender that takes its memory from the global allocator, which is to be this one while it works.
pub fn over<C: Contender, A: Allocator>(name: String, work: fn(&mut C, usize, &mut Watch)) -> Side {
    let countable = A::COUNTABLE && C::COUNTABLE;
    let make = move || {
        let mut contender = C::new();
        Box::new(move |times: usize, watch: &mut Watch| work(&mut contender, times, watch)) as Ready
    };
    Side { name, allocator: A::CHOICE, countable, make: Box::new(make) }
}

impl Side {
    /// Whether the side can run under valgrind, where snmalloc does not start.
    pub fn is_countable(&self) -> bool {
        self.countable
    }

    /// Sets the side up.
    pub fn play(&self) -> Player<'_> {
        Player { side: self, ready: Some(with(self.allocator, &self.make)) }
    }
}

impl Player<'_> {
    /// Does the work a number of times.
    pub fn run(&mut self, times: usize, watch: &mut Watch) {
        let ready = self.ready.as_mut().expect("there until it is dropped");
        with(self.side.allocator, || ready(times, watch));
    }
}

impl Drop for Player<'_> {
    fn drop(&mut self) {
        // What an allocator gave, it must get back.
        with(self.side.allocator, || drop(self.ready.take()));
    }
}

/// A row of sides that all do the same work; some of them perhaps only on some targets.
#[macro_export]
macro_rules! row {
    ($group:expr, $work:expr, $run:ident; $($(#[$where:meta])? $contender:ty),+ $(,)?) => {
        $crate::row::Row::new($group, $work, vec![$($(#[$where])? $crate::row::side::<$contender>($run)),+])
    };
}
