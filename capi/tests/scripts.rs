//! Random scripts of calls, misuse among them, beside the fuzzer's model of what each must answer.
//!
//! `cargo xtask fuzz` goes on from here, for as long as it is let and with an eye on what was never reached.
#![cfg(feature = "shred")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "whatever a script says, the C face answers; the bytes it writes to are cells that the model knows to live"
)]
#![allow(unexpected_cfgs, reason = "the fuzzer can be built to say what it does")]

#[path = "../../tests/model/dice.rs"]
#[allow(dead_code, reason = "a script is bytes, and nothing else is thrown for")]
mod dice;
#[path = "../../fuzz/src/model.rs"]
mod model;
#[path = "../../fuzz/src/play/mod.rs"]
mod play;

use dice::Dice;

const SCRIPTS: u64 = 4000;
const BYTES: usize = 600;

/// Says which script it was, if it ends in a panic.
struct Number(u64);

impl Drop for Number {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("script {}", self.0);
        }
    }
}

#[test]
fn random_scripts_are_answered_as_the_model_says() {
    for number in 0..SCRIPTS {
        let _number = Number(number);
        let mut dice = Dice::Seeded(number);
        let script: Vec<u8> = (0..BYTES).map(|_| u8::try_from(dice.below(256)).expect("a byte")).collect();
        play::play(&script);
    }
}
