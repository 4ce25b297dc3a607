//! How often a property is tried, and how a failure is repeated.

use proptest::test_runner::{Config, RngSeed};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// So many cases from a seed that is told, in the output of a failed test. Proptest adds the smallest case that fails.
#[expect(clippy::print_stdout, reason = "a failed test shows what it printed")]
pub(crate) fn cases(cases: u32) -> Config {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => RandomState::new().build_hasher().finish(),
    };
    println!("to see these cases again: PROPTEST_RNG_SEED={seed}");
    Config { rng_seed: RngSeed::Fixed(seed), ..config }
}
