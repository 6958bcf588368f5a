//! Values that tell a book when they are made, looked at and dropped.

use std::cell::{Cell, RefCell};

/// The book: which values are alive, and in which order the others went.
#[derive(Default)]
pub struct Tally {
    alive: RefCell<Vec<bool>>,
    gone: RefCell<Vec<usize>>,
    /// The number of a value whose destructor panics.
    bomb: Cell<Option<usize>>,
}

/// What a whole value has at both ends: what lies where one was has not.
const WHOLE: usize = 0x5a17_ed0f;

/// A value with a number. Dropped twice, or read where none is, it says so.
#[derive(Debug)]
pub struct Told<'t> {
    front: usize,
    number: usize,
    tally: &'t Tally,
    back: usize,
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} alive", self.alive())
    }
}

impl Tally {
    pub fn new() -> Self {
        Self::default()
    }

    /// A value with the next number.
    pub fn make(&self) -> Told<'_> {
        let mut alive = self.alive.borrow_mut();
        alive.push(true);
        let number = alive.len() - 1;
        Told { front: WHOLE ^ number, number, tally: self, back: !(WHOLE ^ number) }
    }

    /// Has the destructor of the value with this number panic, once; or none.
    pub fn arm(&self, number: impl Into<Option<usize>>) {
        self.bomb.set(number.into());
    }

    pub fn made(&self) -> usize {
        self.alive.borrow().len()
    }

    pub fn alive(&self) -> usize {
        self.alive.borrow().iter().filter(|alive| **alive).count()
    }

    pub fn is_alive(&self, number: usize) -> bool {
        self.alive.borrow()[number]
    }

    /// The numbers of those that went, in order.
    pub fn gone(&self) -> Vec<usize> {
        self.gone.borrow().clone()
    }

    /// The same, and forgets them.
    pub fn take_gone(&self) -> Vec<usize> {
        self.gone.take()
    }
}

impl Told<'_> {
    pub fn number(&self) -> usize {
        assert_eq!((self.front, self.back), (WHOLE ^ self.number, !(WHOLE ^ self.number)), "a whole value");
        assert!(self.tally.is_alive(self.number), "value {} has gone", self.number);
        self.number
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        let number = self.number();
        self.front = 0;
        self.tally.alive.borrow_mut()[number] = false;
        self.tally.gone.borrow_mut().push(number);
        if self.tally.bomb.get() == Some(number) {
            self.tally.bomb.set(None);
            panic!("value {number} panics when it is dropped");
        }
    }
}

/// Runs what has values go; if one is to panic, it is that one's panic that comes out.
pub fn going(tally: &Tally, bomb: Option<usize>, go: impl FnOnce()) {
    let Some(number) = bomb else { return go() };
    tally.arm(number);
    #[cfg(not(target_arch = "wasm32"))]
    assert!(panics(go).contains(&format!("value {number} panics")));
}

/// None, and where panics unwind each of the numbers too.
pub fn bombs(numbers: &[usize]) -> impl Iterator<Item = Option<usize>> {
    let numbers = if cfg!(panic = "unwind") { numbers } else { &[] };
    numbers.iter().map(|number| Some(*number)).chain([None])
}

/// Runs what is expected to panic, and gives the message.
#[cfg(not(target_arch = "wasm32"))]
pub fn panics<R>(run: impl FnOnce() -> R) -> String {
    let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run();
    }));
    let payload = answer.expect_err("this panics");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().map(ToString::to_string).unwrap_or_default(),
    }
}
