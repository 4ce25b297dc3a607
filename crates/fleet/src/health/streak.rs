//! Failures that nothing has contradicted yet, in the order in which the checks began.

use super::{
    LATEST,
    rules::{MOST_AT_ONCE, Rules, ms},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a failure proves, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// The panel is silent; users are served.
    Degraded,
    /// A port is closed, seen by a light look at a panel that accepts: means nothing while it is misconfigured.
    PortClosed,
    /// Users are not served.
    Bad,
}

/// One failed check, or several of the oldest drawn together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    pub(super) checks: u32,
    pub(super) started_ms: i64,
    pub(super) ended_ms: i64,
    pub(super) why: String,
}

/// The failures since the last reading that said otherwise, ordered by start and not by arrival: checks overlap, and
/// what is concluded must not depend on which answer was the slowest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Streak(Vec<Failure>);

/// Failures kept apart. A late reading can only fall among the checks that were under way with it; what is older
/// is drawn together, so that an outage of a week is as small as one of a minute.
const KEPT: usize = 2 * MOST_AT_ONCE as usize;

/// Failures further apart than this are not in a row: in between nobody looked, for after a failure the next check is
/// due within seconds. So the first failure after we were stopped for a night does not complete what began before.
const IN_A_ROW: Duration = LATEST;

/// Failures in a row, enough of them.
pub(super) struct Confirmed {
    /// When the first of them began.
    pub(super) since_ms: i64,
    /// When the last one that it took ended.
    pub(super) known_ms: i64,
    pub(super) why: String,
}

impl Streak {
    pub(super) fn add(&mut self, failure: Failure) {
        let at = self.0.partition_point(|f| f.started_ms <= failure.started_ms);
        self.0.insert(at, failure);
        if self.0.len() > KEPT {
            let oldest = self.0.remove(0);
            self.0[0].absorb(&oldest);
        }
    }

    /// Drops what began no later than a reading that said otherwise.
    pub(super) fn forget_until(&mut self, started_ms: i64) {
        self.0.retain(|failure| failure.started_ms > started_ms);
    }

    pub(super) fn redate(&mut self, by_ms: i64) {
        for failure in &mut self.0 {
            failure.started_ms = failure.started_ms.saturating_sub(by_ms);
            failure.ended_ms = failure.ended_ms.saturating_sub(by_ms);
        }
    }

    /// The failure whose check began last.
    pub(super) fn newest(&self) -> Option<&Failure> {
        self.0.last()
    }

    /// When the first check of the streak began.
    pub(super) fn since_ms(&self) -> Option<i64> {
        self.0.first().map(|failure| failure.started_ms)
    }

    /// Those that count for a node that is misconfigured, or is not.
    pub(super) fn counted(&self, is_misconfigured: bool) -> impl DoubleEndedIterator<Item = &Failure> {
        self.0.iter().filter(move |failure| !(is_misconfigured && failure.kind == Kind::PortClosed))
    }

    /// When the failures at the end of the streak that say "users are not served" began.
    pub(super) fn failing_since_ms(&self, is_misconfigured: bool) -> Option<i64> {
        let mut since_ms = None;
        for failure in self.counted(is_misconfigured).rev() {
            let is_in_a_row = since_ms.is_none_or(|next_ms| failure.is_soon_before(next_ms));
            if failure.kind == Kind::Degraded || !is_in_a_row {
                break;
            }
            since_ms = Some(failure.started_ms);
        }
        since_ms
    }

    /// Enough failures in a row that say "users are not served".
    pub(super) fn find_outage(&self, is_misconfigured: bool, rules: &Rules) -> Option<Confirmed> {
        let mut run: Option<Failure> = None;
        for failure in self.counted(is_misconfigured) {
            run = run.filter(|before| before.is_soon_before(failure.started_ms));
            if failure.kind == Kind::Degraded {
                run = None;
            } else if let Some(confirmed) = extend(&mut run, failure).find_confirmed(rules) {
                return Some(confirmed);
            }
        }
        None
    }

    /// Enough failures of any kind, the last of which says "the panel is silent": one that says worse says that, too.
    pub(super) fn find_silence(&self, is_misconfigured: bool, rules: &Rules) -> Option<Confirmed> {
        let mut run: Option<Failure> = None;
        self.counted(is_misconfigured).find_map(|failure| {
            let confirmed = extend(&mut run, failure).find_confirmed(rules);
            confirmed.filter(|_| failure.kind == Kind::Degraded)
        })
    }
}

fn extend<'a>(run: &'a mut Option<Failure>, failure: &Failure) -> &'a Failure {
    let mut longer = failure.clone();
    if let Some(before) = run {
        longer.absorb(before);
    }
    run.insert(longer)
}

impl Failure {
    /// Takes in the failure before it. Together they prove what the weaker one does.
    fn absorb(&mut self, before: &Self) {
        self.kind = self.kind.min(before.kind);
        self.checks = self.checks.saturating_add(before.checks);
        self.started_ms = self.started_ms.min(before.started_ms);
        self.ended_ms = self.ended_ms.max(before.ended_ms);
    }

    fn is_soon_before(&self, next_started_ms: i64) -> bool {
        next_started_ms.saturating_sub(self.ended_ms) <= ms(IN_A_ROW)
    }

    fn find_confirmed(&self, rules: &Rules) -> Option<Confirmed> {
        let lasted = self.ended_ms.saturating_sub(self.started_ms);
        let enough = self.checks >= rules.failures && lasted >= ms(rules.spread);
        enough.then(|| Confirmed { since_ms: self.started_ms, known_ms: self.ended_ms, why: self.why.clone() })
    }
}
