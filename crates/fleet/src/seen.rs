//! Who was seen on a node, from two answers of its panel about when each client last had traffic.

use crate::key::ClientName;
use std::collections::BTreeMap;

/// When each client of a panel last had traffic, by the panel's own clock: worth comparing with an earlier answer of
/// the same panel, and with nothing else.
pub type LastOnline = BTreeMap<ClientName, i64>;

/// What one panel said, and when we asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// By our clock, in ms since 1970.
    pub at_ms: i64,
    /// What it said.
    pub last_online: LastOnline,
}

/// Who had traffic between two answers, and the time to note for it, in ms since 1970.
///
/// The traffic of somebody who was known before is certainly not older than the earlier answer, and that is the time
/// noted: the time of the later one would make the last traffic before a node's death look like a sign of life after
/// its return. Somebody who never had traffic there before has it since the client is there: the later time is noted.
/// A panel that was restored from a backup may name an earlier time than before; that is no traffic.
pub fn seen_between(before: &Answer, after: &Answer) -> BTreeMap<ClientName, i64> {
    let news = after.last_online.iter().filter_map(|(name, ms)| match before.last_online.get(name) {
        None => Some((name.clone(), after.at_ms)),
        Some(was) if ms > was => Some((name.clone(), before.at_ms)),
        Some(_) => None,
    });
    news.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(at_ms: i64, named: &[(&str, i64)]) -> Answer {
        let last_online = named.iter().map(|(name, ms)| (ClientName::from_stored(*name), *ms)).collect();
        Answer { at_ms, last_online }
    }

    #[test]
    fn only_traffic_after_the_earlier_answer_counts_and_never_as_newer_than_is_certain() {
        let before = answer(1_000, &[("idle", 5), ("busy", 7), ("restored", 9), ("gone", 3)]);
        let after = answer(61_000, &[("idle", 5), ("busy", 8), ("restored", 2), ("new", 1)]);
        let seen = seen_between(&before, &after);
        let seen: Vec<(&str, i64)> = seen.iter().map(|(name, ms)| (name.as_str(), *ms)).collect();
        assert_eq!(seen, [("busy", 1_000), ("new", 61_000)]);
    }
}
