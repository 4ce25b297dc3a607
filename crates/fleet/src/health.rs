//! When a node counts as up, and when as down: readings go in, one by one, and conclusions come out with inertia.
//!
//! One failure makes a node suspect: it takes nobody new. Several over some time, with nothing that contradicts
//! them, make it down: only then are its users moved. It comes back through probation. A panel that is silent
//! while users are served, or that does not let us in, is never a reason to move anybody.
//!
//! | question | file |
//! |---|---|
//! | what a check writes down | [`reading`] |
//! | what one reading says | [`verdict`] |
//! | how much proof a conclusion needs, how often to look | [`rules`] |
//! | what is looked at next, and when | [`next`] |
//! | when we suspect ourselves and move nobody | [`guard`] |
//! | when a reading is not to be believed | [`stall`] |

pub mod guard;
pub mod next;
pub mod reading;
pub mod rules;
pub mod stall;
mod state;
mod streak;
pub mod verdict;

pub use state::State;

use reading::Reading;
use rules::{LONGEST_CHECK, Rules, ms};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};
use streak::{Failure, Kind, Streak};
use verdict::Verdict;

/// What we hold to be true of a node, and the readings that it rests on. Kept across restarts.
///
/// Of readings that overlap, the one that began later knows better, whichever arrives first. All but two states are
/// plain functions of what was read, in whatever order it came; down and probation are promises (users were
/// moved), which a reading that comes late does not take back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    state: State,
    heard: Heard,
    /// Failures whose checks began after what was heard.
    streak: Streak,
}

/// The reading that began last among those that were no failure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "lowercase")]
enum Heard {
    #[default]
    Nothing,
    Good {
        started_ms: i64,
        ended_ms: i64,
    },
    Misconfigured {
        started_ms: i64,
        ended_ms: i64,
        why: String,
    },
}

/// A reading that is older than what we have by more than this is not a late one: the clock was set back. Twice the
/// longest time that a check may take.
const LATEST: Duration = LONGEST_CHECK.saturating_mul(2);

impl Health {
    /// Nothing was read yet.
    pub fn unknown() -> Self {
        Self::default()
    }

    /// Somebody looked, layer by layer, and all was well: as good as a first good reading.
    pub fn seen_well(started_ms: i64, ended_ms: i64) -> Self {
        let heard = Heard::Good { started_ms, ended_ms };
        Self { state: State::Up { since_ms: ended_ms }, heard, streak: Streak::default() }
    }

    /// What one more reading makes of it. The same readings give the same health.
    ///
    /// - A reading that began before the newest good one changes nothing.
    /// - A failure makes the node suspect at once; [`Rules::failures`] over [`Rules::spread`], with no good reading
    ///   begun since, make it down, or degraded when users are still served.
    /// - One good full reading clears everything but down, which [`Rules::probation_checks`] of them over
    ///   [`Rules::probation`] do; a bad one meanwhile undoes that at once, and any other that is not good begins it
    ///   anew.
    /// - A light reading where all is well proves life, not health: it changes nothing. Nor does one that finds ports
    ///   closed on a misconfigured node whose panel accepts.
    #[must_use]
    pub fn observe(mut self, reading: &Reading, rules: &Rules) -> Self {
        self.redate(reading);
        if self.heard.started_ms().is_some_and(|heard_ms| reading.started_ms <= heard_ms) {
            return self;
        }
        match reading.verdict() {
            Verdict::Alive | Verdict::Undecided => self,
            Verdict::Good => self.good(reading, rules),
            Verdict::Misconfigured { why } => self.misconfigured(reading, why, rules),
            Verdict::Degraded { why } => self.failed(Kind::Degraded, reading, why, rules),
            Verdict::Bad { why } if reading.knows_only_ports() => self.failed(Kind::PortClosed, reading, why, rules),
            Verdict::Bad { why } => self.failed(Kind::Bad, reading, why, rules),
        }
    }

    fn good(mut self, reading: &Reading, rules: &Rules) -> Self {
        self.hear(Heard::Good { started_ms: reading.started_ms, ended_ms: reading.ended_ms });
        let is_newest = self.streak.newest().is_none();
        self.state = match self.state {
            State::Down { .. } if is_newest => State::on_probation(reading.ended_ms).passed(reading, rules),
            State::Probation { .. } => self.state.passed(reading, rules),
            State::Down { .. } => self.state,
            State::Unknown
            | State::Up { .. }
            | State::Suspect { .. }
            | State::Degraded { .. }
            | State::Misconfigured { .. } => return self.concluded(rules),
        };
        self
    }

    fn misconfigured(mut self, reading: &Reading, why: String, rules: &Rules) -> Self {
        let (started_ms, ended_ms) = (reading.started_ms, reading.ended_ms);
        self.hear(Heard::Misconfigured { started_ms, ended_ms, why: why.clone() });
        let is_newest = self.streak.newest().is_none();
        match &mut self.state {
            State::Down { why: shown, .. } if is_newest => *shown = why,
            State::Down { .. } => {}
            State::Probation { .. } => self.state.set_back(why),
            State::Unknown
            | State::Up { .. }
            | State::Suspect { .. }
            | State::Degraded { .. }
            | State::Misconfigured { .. } => return self.concluded(rules),
        }
        self
    }

    fn failed(mut self, kind: Kind, reading: &Reading, why: String, rules: &Rules) -> Self {
        let (started_ms, ended_ms) = (reading.started_ms, reading.ended_ms);
        if matches!(self.state, State::Probation { .. }) && kind == Kind::Degraded {
            // No good check that began earlier counts any more.
            self.hear(Heard::Good { started_ms, ended_ms });
            self.state.set_back(why);
            return self;
        }
        self.streak.add(Failure { kind, checks: 1, started_ms, ended_ms, why: why.clone() });
        match &mut self.state {
            State::Probation { .. } => {
                self.state = State::Down { since_ms: ended_ms, failing_since_ms: started_ms, why }
            }
            State::Down { why: shown, .. } => {
                if let Some(newest) = self.streak.newest() {
                    shown.clone_from(&newest.why);
                }
            }
            State::Unknown
            | State::Up { .. }
            | State::Suspect { .. }
            | State::Degraded { .. }
            | State::Misconfigured { .. } => return self.concluded(rules),
        }
        self
    }

    fn hear(&mut self, heard: Heard) {
        if let Some(started_ms) = heard.started_ms() {
            self.streak.forget_until(started_ms);
        }
        self.heard = heard;
    }

    /// The conclusion from what was heard and what failed since, for a node that nobody was moved from.
    fn concluded(mut self, rules: &Rules) -> Self {
        let is_misconfigured = self.is_misconfigured();
        let newest = self.streak.since_ms().zip(self.streak.newest());
        let concluded = if let Some(outage) = self.streak.find_outage(is_misconfigured, rules) {
            State::Down { since_ms: outage.known_ms, failing_since_ms: outage.since_ms, why: outage.why }
        } else if let Some(silence) = self.streak.find_silence(is_misconfigured, rules) {
            State::Degraded { since_ms: silence.known_ms, why: newest.map_or(silence.why, |(_, f)| f.why.clone()) }
        } else {
            match (&self.heard, newest) {
                (Heard::Misconfigured { ended_ms, why, .. }, _) => {
                    State::Misconfigured { since_ms: *ended_ms, why: why.clone() }
                }
                (_, Some((since_ms, newest))) => State::Suspect { since_ms, why: newest.why.clone() },
                (Heard::Good { ended_ms, .. }, None) => State::Up { since_ms: *ended_ms },
                (Heard::Nothing, None) => State::Unknown,
            }
        };
        self.state = self.state.becomes(concluded);
        self
    }

    /// After the clock was set back, what we have lies in the future and would outweigh everything that is read from
    /// now on. It is dated back, to just before this reading.
    fn redate(&mut self, reading: &Reading) {
        let heard_ms = self.heard.started_ms().max(self.streak.newest().map(|failure| failure.started_ms));
        let Some(newest_ms) = heard_ms else { return };
        let behind_ms = newest_ms.saturating_sub(reading.started_ms);
        if behind_ms <= ms(LATEST) {
            return;
        }
        let by_ms = behind_ms.saturating_add(1);
        self.state.redate(by_ms);
        self.streak.redate(by_ms);
        match &mut self.heard {
            Heard::Nothing => {}
            Heard::Good { started_ms, ended_ms } | Heard::Misconfigured { started_ms, ended_ms, .. } => {
                *started_ms = started_ms.saturating_sub(by_ms);
                *ended_ms = ended_ms.saturating_sub(by_ms);
            }
        }
    }

    fn is_misconfigured(&self) -> bool {
        matches!(self.heard, Heard::Misconfigured { .. })
    }
}

/// What others ask of it.
impl Health {
    /// The state, with its data.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether the node may be given new keys.
    pub fn may_take_new(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Whether users are left where they are. Only a node that is down may not keep them.
    pub fn may_keep(&self) -> bool {
        !matches!(self.state, State::Down { .. })
    }

    /// When the failures began that say "users are not served" and that nothing has contradicted: of a node that is
    /// down, suspect, or for another reason not well and failing as well. This is what the mass-failure
    /// [`guard`] counts.
    pub fn failing_since_ms(&self) -> Option<i64> {
        match &self.state {
            State::Down { failing_since_ms, .. } => Some(*failing_since_ms),
            State::Probation { .. } => None,
            State::Unknown
            | State::Up { .. }
            | State::Suspect { .. }
            | State::Degraded { .. }
            | State::Misconfigured { .. } => self.streak.failing_since_ms(self.is_misconfigured()),
        }
    }
}

impl Heard {
    fn started_ms(&self) -> Option<i64> {
        match self {
            Self::Nothing => None,
            Self::Good { started_ms, .. } | Self::Misconfigured { started_ms, .. } => Some(*started_ms),
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(f)
    }
}
