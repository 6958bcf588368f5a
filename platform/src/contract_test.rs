//! The contract test that every backend passes.

use core::ptr::NonNull;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::{Cond, Counted, Native, Platform, Run};

fn free(platform: &impl Platform, run: Run) {
    // SAFETY: every run here was mapped by this platform and is used no more.
    unsafe { platform.unmap(run.start, run.len) }.expect("a whole run is taken back");
}

fn write(run: Run, offset: usize, byte: u8) {
    // SAFETY: the offset is inside the run, which is ours.
    unsafe { run.start.as_ptr().wrapping_add(offset).write(byte) };
}

fn read(run: Run, offset: usize) -> u8 {
    // SAFETY: the offset is inside the run, which is ours.
    unsafe { run.start.as_ptr().wrapping_add(offset).read() }
}

#[test]
fn pages_are_whole_aligned_zero_and_apart() {
    let page = Native.page_size();
    assert!(page.is_power_of_two());
    let runs = [1, page, page + 1, 5 * page].map(|len| (len, Native.map(len).expect("room")));
    for (len, run) in runs {
        assert!(run.len >= len && run.len.is_multiple_of(page));
        assert!(run.start.as_ptr().addr().is_multiple_of(page));
        assert!(!run.zeroed || (0..run.len).all(|at| read(run, at) == 0));
    }
    for (tag, (_, run)) in (1..).zip(runs) {
        (0..run.len).for_each(|at| write(run, at, tag));
    }
    for (tag, (_, run)) in (1..).zip(runs) {
        assert!((0..run.len).all(|at| read(run, at) == tag), "runs overlap");
        free(&Native, run);
    }
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    assert_eq!(Native.map(0), Err(Cond::BadSize));
    assert_eq!(Native.map(usize::MAX), Err(Cond::BadSize));
    assert_eq!(Native.map(isize::MAX as usize + 1), Err(Cond::BadSize));
    // Half of all addresses: a 32-bit memory may well have it.
    if cfg!(target_pointer_width = "64") {
        assert_eq!(Native.map(isize::MAX as usize - Native.page_size()), Err(Cond::NoRoom));
    }
    let run = Native.map(1).expect("room");
    // SAFETY: refused before anything is done.
    assert_eq!(unsafe { Native.unmap(run.start, 0) }, Err(Cond::BadSize));
    free(&Native, run);
}

#[test]
fn a_part_of_a_run_can_be_given_back() {
    let page = Native.page_size();
    let run = Native.map(3 * page).expect("room");
    write(run, 0, 1);
    write(run, 2 * page, 3);
    // SAFETY: the middle page is ours and used no more.
    let middle = unsafe { run.start.add(page) };
    free(&Native, Run { start: middle, len: page, zeroed: false });
    assert_eq!((read(run, 0), read(run, 2 * page)), (1, 3));
    free(&Native, Run { start: run.start, len: page, zeroed: false });
    // SAFETY: still inside what was one run.
    let last: NonNull<u8> = unsafe { run.start.add(2 * page) };
    free(&Native, Run { start: last, len: page, zeroed: false });
}

#[test]
fn a_run_is_remapped_with_its_bytes_or_refused_and_left() {
    let page = Native.page_size();
    let run = Native.map(page).expect("room");
    write(run, page - 1, 9);
    // SAFETY: the run is ours; on success the new one replaces it.
    match unsafe { Native.remap(run.start, run.len, 64 * page) } {
        Ok(longer) => {
            assert_eq!((longer.len, read(longer, page - 1)), (64 * page, 9));
            free(&Native, longer);
        }
        Err(cond) => {
            assert_eq!((cond, read(run, page - 1)), (Cond::NoRoom, 9));
            free(&Native, run);
        }
    }
}

#[test]
fn mapping_and_unmapping_for_long_holds_no_more_than_at_once() {
    let counted = Counted::new(Native);
    let page = counted.page_size();
    for round in 0..1000 {
        let first = counted.map((1 + round % 7) * page).expect("room");
        let second = counted.map((1 + round % 3) * page).expect("room");
        free(&counted, first);
        free(&counted, second);
    }
    assert_eq!((counted.calls(), counted.mapped()), (4000, 0));
    assert!(counted.peak() <= 10 * page);
}
