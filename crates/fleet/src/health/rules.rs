//! The numbers that health goes by: how much proof a conclusion needs, and how often to look.

use std::{fmt, time::Duration};

/// How much proof a conclusion needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// So many failures in a row make a node down. Default 3: one lost packet is no outage, and two may be one.
    pub failures: u32,
    /// From the start of the first of them to the end of the last passes at least this. Default 5 s: far longer
    /// than a restart of panel and xray keeps a port closed (measured: about 0.1 s), and short enough that a node that
    /// vanishes is known to be down within 10 s (shown by a test).
    pub spread: Duration,
    /// So many good full checks bring a node back. Default 3: one good answer is not health.
    pub probation_checks: u32,
    /// Over at least this long. Default 60 s: two intervals, so that the checks are ordinary ones.
    pub probation: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        let (spread, probation) = (Duration::from_secs(5), Duration::from_mins(1));
        Self { failures: 3, spread, probation_checks: 3, probation }
    }
}

impl Rules {
    /// All mistakes in these numbers, by setting.
    pub fn validate(&self) -> Result<(), Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let zeros = [
            ("failures", self.failures == 0),
            ("spread", self.spread < MS),
            ("probation_checks", self.probation_checks == 0),
            ("probation", self.probation < MS),
        ];
        refuse_zeros(&mut mistakes, zeros);
        told(mistakes)
    }
}

/// How often a node is looked at, and how long one look may take. May differ per node: far ones need longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// Between two full checks (`health.interval`), give or take a tenth. Default 30 s.
    pub interval: Duration,
    /// Between two light looks. Default 3 s: with the deadline and the re-checks below, a node that
    /// vanishes is down within 10 s.
    pub liveness: Duration,
    /// Between the full checks that follow a failure and do not wait for one another. Default 1.5 s: the second and
    /// the third failure fall due within the 5 s that the rule wants anyway.
    pub recheck: Duration,
    /// A light look gives up after this. Default 2 s, time for a second SYN: the first is repeated after 1 s.
    pub liveness_deadline: Duration,
    /// A full check gives up connecting after this. Default 3 s.
    pub connect_deadline: Duration,
    /// A whole full check gives up after this. Default 8 s.
    pub check_deadline: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            liveness: Duration::from_secs(3),
            recheck: Duration::from_millis(1_500),
            liveness_deadline: Duration::from_secs(2),
            connect_deadline: Duration::from_secs(3),
            check_deadline: Duration::from_secs(8),
        }
    }
}

/// The longest that a check may take. Half of the time by which a reading may be late before it is taken for a sign
/// that the clock was set back ([`Health::observe`](super::Health::observe)).
pub const LONGEST_CHECK: Duration = Duration::from_secs(30);

/// The most checks of one node that may be under way at once. The defaults make it six (8 s / 1.5 s).
pub const MOST_AT_ONCE: u32 = 16;

impl Timing {
    /// All mistakes in these numbers, by setting: zeros, a period shorter than its own deadline, deadlines that do
    /// not fit into one another.
    pub fn validate(&self) -> Result<(), Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let each = [
            ("interval", self.interval),
            ("liveness", self.liveness),
            ("recheck", self.recheck),
            ("liveness_deadline", self.liveness_deadline),
            ("connect_deadline", self.connect_deadline),
            ("check_deadline", self.check_deadline),
        ];
        refuse_zeros(&mut mistakes, each.map(|(setting, value)| (setting, value < MS)));
        let mut must_fit = |setting, value: Duration, within: &str, limit: Duration| {
            if value > limit {
                let what = format!("{value:?} is longer than {within} ({limit:?})");
                mistakes.push(Mistake { setting, what });
            }
        };
        must_fit("liveness_deadline", self.liveness_deadline, "the period of liveness checks", self.liveness);
        must_fit("connect_deadline", self.connect_deadline, "the deadline of the whole check", self.check_deadline);
        must_fit("check_deadline", self.check_deadline, "the interval of full checks", self.interval);
        must_fit("check_deadline", self.check_deadline, "any check may take", LONGEST_CHECK);
        if self.recheck >= MS && self.check_deadline > self.recheck.saturating_mul(MOST_AT_ONCE) {
            let what = format!("{:?} would have more than {MOST_AT_ONCE} checks of a node run at once", self.recheck);
            mistakes.push(Mistake { setting: "recheck", what });
        }
        told(mistakes)
    }

    /// The longest between something happening to a node and the end of the first full check begun after it: a
    /// whole interval, the tenth that chance may add, and the check itself.
    pub fn full_round(&self) -> Duration {
        self.interval.saturating_add(self.interval / 10).saturating_add(self.check_deadline)
    }
}

/// A number that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The setting, as it is named here.
    pub setting: &'static str,
    /// What is wrong with it, for people.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.what)
    }
}

/// The grain of all times here: what is shorter counts as nothing.
const MS: Duration = Duration::from_millis(1);

/// A duration in ms, as times here are counted. One that does not fit is as good as for ever.
pub(super) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn refuse_zeros<const N: usize>(mistakes: &mut Vec<Mistake>, zeros: [(&'static str, bool); N]) {
    for (setting, _) in zeros.into_iter().filter(|(_, is_zero)| *is_zero) {
        mistakes.push(Mistake { setting, what: "must be more than zero".to_owned() });
    }
}

fn told(mistakes: Vec<Mistake>) -> Result<(), Vec<Mistake>> {
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
}
