//! Whether a reading is to be believed: a prober that was starved finds nodes silent that are not.
//!
//! A deadline is kept by a timer of our own. When the program does not get to run (a suspended machine, a starved
//! container, a blocked runtime), the timer is found expired before the answer that lies in the socket is read.
//! Such a reading is dropped, a good one as well: it is not known what it is about.

use std::fmt;

/// A moment by two clocks. The monotonic one never jumps and stands still while the machine sleeps (`Instant` on
/// Linux); the wall clock jumps and does not stand still. Between two moments they agree, or something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// In ms since any fixed point.
    pub monotonic_ms: i64,
    /// In ms since 1970.
    pub wall_ms: i64,
}

/// How a check went by the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// When it was to begin, by either clock as they stood when it was planned. A check that waits its turn behind
    /// others on purpose is planned for when its turn comes.
    pub planned: Moment,
    /// When it began, by the monotonic clock.
    pub started_ms: i64,
    /// When it was complete.
    pub ended: Moment,
    /// How long it may take at most, its deadline.
    pub deadline_ms: i64,
}

/// A check that began later than this after its time was kept waiting by us. Half of the shortest deadline (2 s): a
/// runtime that is late by as much may use up half of a deadline before it looks at the socket, and the kernel
/// repeats a lost SYN after 1 s, which must still fit.
pub const LATE_MS: i64 = 1_000;

/// A check that is over later than this after its deadline was not ended by it. The same second: what kept the
/// timer from firing kept the answer from being read.
pub const OVERRUN_MS: i64 = 1_000;

/// Clocks that drift apart by more than this during one check were set, or the machine slept. Time synchronisation
/// slews by 500 ppm at most: 15 ms in the 30 s that a check is planned ahead. Below a second, either way, nothing
/// is decided wrongly.
pub const JUMP_MS: i64 = 1_000;

/// Why a reading is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stall {
    /// The clocks drifted apart: one was set, or the machine slept.
    ClockJumped {
        /// By how much the wall clock ran ahead; negative when it fell back.
        by_ms: i64,
    },
    /// It began late.
    BeganLate {
        /// By how much.
        by_ms: i64,
    },
    /// It ended late, after its own deadline.
    EndedLate {
        /// By how much.
        by_ms: i64,
    },
}

/// Whether the prober itself was starved during this check. `None`: the reading may be believed.
#[must_use]
pub fn stall(run: &Run) -> Option<Stall> {
    let by_monotonic = run.ended.monotonic_ms.saturating_sub(run.planned.monotonic_ms);
    let by_wall = run.ended.wall_ms.saturating_sub(run.planned.wall_ms);
    let jumped_ms = by_wall.saturating_sub(by_monotonic);
    let began_late_ms = run.started_ms.saturating_sub(run.planned.monotonic_ms);
    let ended_late_ms = run.ended.monotonic_ms.saturating_sub(run.started_ms).saturating_sub(run.deadline_ms);
    if jumped_ms.saturating_abs() > JUMP_MS {
        Some(Stall::ClockJumped { by_ms: jumped_ms })
    } else if began_late_ms > LATE_MS {
        Some(Stall::BeganLate { by_ms: began_late_ms })
    } else if ended_late_ms > OVERRUN_MS {
        Some(Stall::EndedLate { by_ms: ended_late_ms })
    } else {
        None
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClockJumped { by_ms } => write!(f, "our own clock jumped by {by_ms} ms"),
            Self::BeganLate { by_ms } => write!(f, "our own check began {by_ms} ms late"),
            Self::EndedLate { by_ms } => write!(f, "our own check ended {by_ms} ms after its deadline"),
        }
    }
}
