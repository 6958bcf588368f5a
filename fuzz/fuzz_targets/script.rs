//! Bytes as a script of calls of the C face, with misuse mixed in, beside a model that knows what each must answer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kmem_fuzz::play(data));
