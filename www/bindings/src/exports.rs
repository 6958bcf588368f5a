//! The module's functions. All numbers are `f64`: what comes in is a handle, a size, an address or a choice,
//! what goes out is at least 0, or a condition's number below 0.
//!
//! A call that comes while another is under way (from what the module called) is refused with `in_use`.

use core::cell::RefCell;
use core::fmt::{self, Write};
use core::panic::PanicInfo;

use kmem::inspect::{self, Form, Owner, What};
use kmem::{Cond, Global, Kind};

use crate::{Figure, Handle, PoolPlan, Request, World};

#[global_allocator]
static ALLOCATOR: Global = Global;

/// The one world of a module.
struct Only(RefCell<World>);

// SAFETY: a module without threads: every call comes from the one that has the instance.
unsafe impl Sync for Only {}

static WORLD: Only = Only(RefCell::new(World::new()));

/// What whoever made the instance is told.
mod host {
    #[link(wasm_import_module = "kmem")]
    unsafe extern "C" {
        /// A piece of a store's memory.
        pub safe fn record(
            at: u32,
            len: u32,
            what: u32,
            kind: u32,
            block: u32,
            header: u32,
            payload: u32,
            tainted: u32,
            depth: u32,
            refs: u32,
            l0: u32,
            l1: u32,
            l2: u32,
            l3: u32,
            l4: u32,
        );
        /// A block of a pool, and the cells in it that were handed out, in a row.
        pub safe fn run(block: u32, len: u32, at: u32, count: u32, stride: u32);
        /// A header: `name` is null, `size` its length. Then each of its fields.
        pub safe fn field(owner: u32, name: *const u8, len: usize, offset: u32, size: u32, form: u32);
        /// A number and what it is called.
        pub safe fn name(number: u32, name: *const u8, len: usize);
        /// The last thing that is heard of the module.
        pub safe fn panic(message: *const u8, len: usize);
    }
}

/// Something that has a number.
trait Number {
    fn number(self) -> f64;
}

impl Number for () {
    fn number(self) -> f64 {
        0.0
    }
}

impl Number for bool {
    fn number(self) -> f64 {
        f64::from(u8::from(self))
    }
}

impl Number for usize {
    fn number(self) -> f64 {
        f64::from(word(self))
    }
}

impl Number for Kind {
    fn number(self) -> f64 {
        f64::from(self as u8)
    }
}

impl Number for Handle {
    fn number(self) -> f64 {
        Handle::number(self)
    }
}

impl<T: Number> Number for Option<T> {
    fn number(self) -> f64 {
        self.map_or(0.0, T::number)
    }
}

/// The number that says a condition.
fn refusal(cond: Cond) -> f64 {
    -f64::from(cond as u8)
}

/// Acts on the world.
fn act<T: Number>(action: impl FnOnce(&mut World) -> Result<T, Cond>) -> f64 {
    let answer = match WORLD.0.try_borrow_mut() {
        Ok(mut world) => action(&mut world),
        Err(_) => Err(Cond::InUse),
    };
    answer.map_or_else(refusal, T::number)
}

/// Looks at the world.
fn look<T: Number>(question: impl FnOnce(&World) -> Result<T, Cond>) -> f64 {
    let answer = match WORLD.0.try_borrow() {
        Ok(world) => question(&world),
        Err(_) => Err(Cond::InUse),
    };
    answer.map_or_else(refusal, T::number)
}

/// An address or a size of this memory.
fn word(number: usize) -> u32 {
    // A `usize` has 32 bits here.
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn handle(number: f64) -> Result<Handle, Cond> {
    Handle::from_number(number).ok_or(Cond::BadAddress)
}

/// A source: 0 is none.
fn source(number: f64) -> Result<Option<Handle>, Cond> {
    if number == 0.0 { Ok(None) } else { handle(number).map(Some) }
}

/// A size, a count or an alignment.
fn size(number: f64) -> Result<usize, Cond> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "compared on the next line")]
    let whole = number as u32;
    if f64::from(whole) == number { usize::try_from(whole).map_err(|_| Cond::BadSize) } else { Err(Cond::BadSize) }
}

fn request(bytes: f64, align: f64, zeroed: f64) -> Result<Request, Cond> {
    Ok(Request { size: size(bytes)?, align: size(align)?, zeroed: zeroed != 0.0 })
}

/// One of several, by its number.
fn choice<T: Copy>(of: &[T], number: f64) -> Result<T, Cond> {
    of.get(size(number)?).copied().ok_or(Cond::Mismatch)
}

/// Functions that act on the world, and those that look at it.
macro_rules! exports {
    ($($how:ident fn $name:ident($world:ident $(, $arg:ident)*) $body:expr;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($($arg: f64),*) -> f64 {
            $how(|$world| $body)
        }
    )*};
}

exports! {
    act fn heap_new(world, store, bytes) world.heap_new(source(store)?, size(bytes)?);
    act fn lin_new(world, store, bytes, capacity) world.lin_new(source(store)?, size(bytes)?, size(capacity)?);
    act fn pool_new(world, store, bytes, cell_size, align, cells, limit) {
        let (cell_size, align) = (size(cell_size)?, size(align)?);
        let plan = PoolPlan { cell_size, align, cells: size(cells)?, limit: size(limit)? };
        world.pool_new(source(store)?, size(bytes)?, plan)
    };
    act fn tree_new(world, store, bytes) world.tree_new(source(store)?, size(bytes)?);
    act fn store_destroy(world, store) world.destroy(handle(store)?);
    act fn store_reset(world, store) world.reset(handle(store)?);
    act fn store_taint(world, store) world.taint_store(handle(store)?);
    act fn store_check(world, store) world.check(handle(store)?);
    look fn store_kind(world, store) world.store_kind(handle(store)?);
    look fn store_address(world, store) world.store_address(handle(store)?);
    look fn store_source(world, store) world.store_source(handle(store)?);
    look fn store_tainted(world, store) world.store_tainted(handle(store)?);
    look fn store_stat(world, store, which) world.stat(handle(store)?, choice(&Figure::ALL, which)?);

    act fn alloc(world, store, bytes, align, zeroed) world.alloc(handle(store)?, request(bytes, align, zeroed)?);
    act fn tree_alloc(world, parent, bytes, align, zeroed) {
        world.tree_alloc(handle(parent)?, request(bytes, align, zeroed)?)
    };
    act fn tree_root(world, store) world.root(handle(store)?);
    act fn tree_free_children(world, cell) world.free_children(handle(cell)?);
    act fn tree_move(world, cell, parent) world.move_to(handle(cell)?, handle(parent)?);
    act fn tree_guard(world, cell, on) world.guard(handle(cell)?, on != 0.0);
    act fn ref_alloc(world, store, bytes, align, zeroed) {
        world.ref_alloc(handle(store)?, request(bytes, align, zeroed)?)
    };
    act fn ref_up(world, cell) world.up(handle(cell)?);
    act fn ref_down(world, cell) world.down(handle(cell)?);
    look fn ref_count(world, cell) world.count(handle(cell)?);

    act fn cell_free(world, cell) world.free(handle(cell)?);
    act fn cell_shred(world, cell) world.shred(handle(cell)?);
    act fn cell_taint(world, cell) world.taint(handle(cell)?);
    act fn cell_zero(world, cell) world.zero(handle(cell)?);
    act fn cell_dup(world, cell) world.dup(handle(cell)?);
    act fn cell_resize(world, cell, bytes) world.resize(handle(cell)?, size(bytes)?);
    look fn cell_address(world, cell) world.address(handle(cell)?);
    look fn cell_size(world, cell) world.size(handle(cell)?);
    look fn cell_kind(world, cell) world.kind(handle(cell)?);
    look fn cell_tainted(world, cell) world.tainted(handle(cell)?);
    look fn cell_store(world, cell) world.store_of(handle(cell)?);
    look fn cell_at(world, store, address) world.cell_at(handle(store)?, size(address)?);

    act fn lin_mark(world, store) world.mark(handle(store)?);
    act fn lin_rewind(world, store, mark) world.rewind(handle(store)?, handle(mark)?);
    look fn mark_address(world, mark) world.mark_address(handle(mark)?);
    look fn pool_top(world, store) world.top(handle(store)?);
    look fn pool_bottom(world, store) world.bottom(handle(store)?);
    look fn pool_runs(world, store) {
        world.runs(handle(store)?, &mut |run| {
            host::run(word(run.block), word(run.len), word(run.at), word(run.count), word(run.stride));
        })
    };
    look fn inspect(world, store) world.inspect(handle(store)?, &mut tell);
}

/// Passes a record on.
fn tell(record: &inspect::Record) {
    let what = What::ALL.iter().position(|what| *what == record.what).unwrap_or(0);
    let [l0, l1, l2, l3, l4] = record.links.map(word);
    host::record(
        word(record.at),
        word(record.len),
        word(what),
        record.kind as u32,
        word(record.block),
        word(record.header),
        word(record.payload),
        u32::from(record.tainted),
        word(record.depth),
        word(record.refs),
        l0,
        l1,
        l2,
        l3,
        l4,
    );
}

/// A figure of the module's own heap, in which its tables and fixed stores lie.
#[unsafe(no_mangle)]
extern "C" fn module_stat(which: f64) -> f64 {
    choice(&Figure::ALL, which).map_or_else(refusal, |which| which.of(Global.stats()).number())
}

/// Tells the headers that have to do with a kind, and their fields.
#[unsafe(no_mangle)]
extern "C" fn fields(kind: f64) -> f64 {
    let answer = choice(&Kind::ALL, kind).map(|kind| {
        for (number, owner) in (0..).zip(Owner::ALL) {
            let Some(front) = inspect::front(kind, owner) else { continue };
            host::field(number, core::ptr::null(), 0, 0, word(front.size), 0);
            for field in front.fields {
                let form = Form::ALL.iter().position(|form| *form == field.form).unwrap_or(0);
                let (name, len) = (field.name.as_ptr(), field.name.len());
                host::field(number, name, len, word(field.offset), word(field.size), word(form));
            }
        }
    });
    answer.map_or_else(refusal, Number::number)
}

/// Tells what the numbers are called: 0 of kinds, 1 of what records are, 2 of states, 3 of conditions.
#[unsafe(no_mangle)]
extern "C" fn names(of: f64) -> f64 {
    let name = |number: u8, name: &str| host::name(u32::from(number), name.as_ptr(), name.len());
    let all: &[&dyn Fn()] = &[
        &|| Kind::ALL.iter().for_each(|kind| name(*kind as u8, kind.name())),
        &|| (0..).zip(What::ALL).for_each(|(number, what)| name(number, what.name())),
        &|| inspect::STATES.iter().for_each(|(number, state)| name(*number, state)),
        &|| Cond::ALL.iter().for_each(|cond| name(*cond as u8, cond.name())),
    ];
    choice(all, of).map(|tell| tell()).map_or_else(refusal, Number::number)
}

/// As much of a message as there is room for.
struct Message {
    bytes: [u8; 256],
    len: usize,
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (place, byte) in self.bytes.iter_mut().skip(self.len).zip(text.bytes()) {
            *place = byte;
            self.len += 1;
        }
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let mut message = Message { bytes: [0; 256], len: 0 };
    // It always takes what it can.
    let _ = write!(message, "{info}");
    host::panic(message.bytes.as_ptr(), message.len);
    core::arch::wasm32::unreachable()
}
