//! How many clients go into one write.
//!
//! Measured on 2.9.4 and 3.6.0 with SQLite on two cores: 500 at a time is near the best rate on both (5,300 and
//! 1,490 a second; one by one it is 17 to 139), and larger batches gain nothing. A slow machine must still answer
//! long before the 30 s after which a 3.x panel cuts the connection, so the size follows the measured time.

use std::time::Duration;

/// The size to begin with.
const START: usize = 500;
/// The largest: no rate improved beyond it, while what hangs on one answer grows.
const LARGEST: usize = 1000;
/// The smallest that a slow panel is driven down to.
const SMALLEST: usize = 10;
/// A call that takes longer than this halves the next. Leaves room for one that is three times slower still.
const SLOW: Duration = Duration::from_secs(8);
/// A full call that takes less lets the next one be twice as large: even then it stays below [`SLOW`].
const FAST: Duration = Duration::from_secs(2);

/// The present size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch(usize);

impl Default for Batch {
    fn default() -> Self {
        Self(START)
    }
}

impl Batch {
    /// How many to send at once.
    pub(crate) fn size(self) -> usize {
        self.0
    }

    /// The size after a call with `sent` clients that was answered in this time.
    #[must_use]
    pub(crate) fn after(self, sent: usize, took: Duration) -> Self {
        if took > SLOW {
            Self((sent.min(self.0) / 2).max(SMALLEST))
        } else if took < FAST && sent >= self.0 {
            Self((self.0 * 2).min(LARGEST))
        } else {
            self
        }
    }

    /// The size after a call that was never answered: perhaps it was too much.
    #[must_use]
    pub(crate) fn after_silence(self, sent: usize) -> Self {
        Self((sent.min(self.0) / 2).max(SMALLEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_slow_panel_gets_smaller_batches_and_a_fast_one_larger() {
        let batch = Batch::default();
        assert_eq!(batch.size(), 500);
        assert_eq!(batch.after(500, Duration::from_secs(9)).size(), 250);
        assert_eq!(batch.after(500, Duration::from_millis(300)).size(), 1000);
        assert_eq!(batch.after(500, Duration::from_secs(5)).size(), 500);
        assert_eq!(batch.after(40, Duration::from_secs(9)).size(), 20, "what was slow is halved, not what was planned");
        assert_eq!(
            batch.after(40, Duration::from_millis(1)).size(),
            500,
            "a small call proves nothing about a large one"
        );
        assert_eq!(batch.after_silence(500).size(), 250);
    }

    proptest! {
        #[test]
        fn on_any_panel_of_constant_speed_a_call_soon_stays_well_below_the_cut(per_client_us in 1_u64..800_000) {
            let took = |sent: usize| Duration::from_micros(per_client_us * sent as u64);
            let mut batch = Batch::default();
            for _ in 0..8 {
                batch = batch.after(batch.size(), took(batch.size()));
            }
            prop_assert!((SMALLEST..=LARGEST).contains(&batch.size()));
            prop_assert!(took(batch.size()) <= SLOW, "{} take {:?}", batch.size(), took(batch.size()));
        }
    }
}
