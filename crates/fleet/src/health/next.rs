//! What is looked at next, and when.

use super::{
    Health, State,
    reading::Depth,
    rules::{Timing, ms},
    streak::Kind,
};

/// Ordinary checks of different nodes begin together when they are due within so many ms: of a thousand nodes, each
/// alone would wake the machine hundreds of times a second.
pub const STEP_MS: i64 = 50;

/// The checks of a node so far, by when they began; whether they have ended does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Begun {
    /// The last full one, in ms since 1970.
    pub full_ms: Option<i64>,
    /// The last light one.
    pub light_ms: Option<i64>,
}

/// The check that a node is due for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextCheck {
    /// When to begin it: now or later.
    pub at_ms: i64,
    /// How closely to look.
    pub depth: Depth,
}

impl Health {
    /// The next check. Ask again when a check was begun and when a reading was observed, for either changes it.
    ///
    /// - A node that was never checked fully is due at once.
    /// - In question (suspect, or failing in a way that would change what we hold): a full check every
    ///   [`Timing::recheck`] from the start of the last, which may still be under way. No longer than for an interval
    ///   after the last failure: if the checks then prove neither, the ordinary ones will do.
    /// - Otherwise a full check every [`Timing::interval`] and, beside them, a light one every [`Timing::liveness`].
    ///   A full check does not stand in for a light one: it may take longer to fail, and then a node that vanishes
    ///   just before it would be known to be down after 10.5 s, not 10.
    ///   Both begin up to [`STEP_MS`] early, in step with those of other nodes.
    ///
    /// `jitter` in 0..1 spreads full checks by a tenth to either side, so that a fleet added at once is not checked
    /// at once for ever. It is drawn once per full check: drawn anew for each question, the earliest would win.
    pub fn next_check(&self, now_ms: i64, begun: Begun, timing: &Timing, jitter: f64) -> NextCheck {
        let full = |at_ms| NextCheck { at_ms, depth: Depth::Full };
        let due = |last_ms: i64, period_ms: i64| {
            // A start in the future is a clock set back; it must not put checks off for longer than a period.
            last_ms.saturating_add(period_ms).clamp(now_ms, now_ms.saturating_add(period_ms))
        };
        let Some(full_ms) = begun.full_ms else { return full(now_ms) };
        let light_ms = begun.light_ms.unwrap_or(full_ms);
        if self.is_in_question(now_ms, timing) {
            return full(due(light_ms.max(full_ms), ms(timing.recheck)));
        }
        let ordinary = |last_ms, period_ms| in_step(due(last_ms, period_ms), period_ms).max(now_ms);
        let full_at = ordinary(full_ms, jittered(ms(timing.interval), jitter));
        let light_at = ordinary(light_ms, ms(timing.liveness));
        if full_at <= light_at { full(full_at) } else { NextCheck { at_ms: light_at, depth: Depth::Light } }
    }

    /// Whether the newest failures would, if they went on, change what we hold.
    fn is_in_question(&self, now_ms: i64, timing: &Timing) -> bool {
        let Some(newest) = self.streak.counted(self.is_misconfigured()).next_back() else { return false };
        let is_recent = now_ms.saturating_sub(newest.ended_ms) < ms(timing.interval);
        is_recent
            && match self.state {
                State::Suspect { .. } | State::Misconfigured { .. } => true,
                State::Degraded { .. } => newest.kind > Kind::Degraded,
                State::Unknown | State::Up { .. } | State::Down { .. } | State::Probation { .. } => false,
            }
    }
}

/// The last step before this time. Short periods have shorter steps, so that none ends before it began.
fn in_step(at_ms: i64, period_ms: i64) -> i64 {
    let step_ms = STEP_MS.min(period_ms / 20).max(1);
    at_ms.saturating_sub(at_ms.rem_euclid(step_ms))
}

/// The period, times 0.9 to 1.1.
fn jittered(period_ms: i64, jitter: f64) -> i64 {
    let jitter = if jitter.is_nan() { 0.5 } else { jitter.clamp(0.0, 1.0) };
    #[expect(clippy::cast_possible_truncation, reason = "a number from 0 to 1,000")]
    let permille = (jitter * 1_000.0) as i64;
    // From a tenth below the period goes a fifth of it up, to the tenth above.
    period_ms.saturating_sub(period_ms / 10).saturating_add(period_ms.saturating_mul(permille) / 5_000)
}
