//! Whatever a panel answers, reading it neither panics nor hangs.
//!
//! `cargo +nightly fuzz run panel_answer` (in the repository's root, with cargo-fuzz installed); recorded answers of
//! real panels are a good start: `scripts/fuzz-corpus` writes them to `fuzz/corpus/panel_answer`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| panel::fuzzing::parse_any(bytes));
