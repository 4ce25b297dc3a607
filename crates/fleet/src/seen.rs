//! Who was seen on a node, from two answers of its panel about when each client last had traffic.

use crate::key::ClientName;
use std::collections::{BTreeMap, BTreeSet};

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

/// Who had traffic between two answers. The time to note for it is that of the *earlier* answer: the traffic is
/// certainly not older, while the time of the later one would make the last traffic before a node's death look like a
/// sign of life after its return. (Of a client that is younger than that answer more is known: [`first_seen`].) A panel that was restored from a backup may name an earlier time than before; that is no traffic.
pub fn seen_between(before: &Answer, after: &Answer) -> BTreeSet<ClientName> {
    let is_newer = |name: &ClientName, ms: i64| before.last_online.get(name).is_none_or(|was| ms > *was);
    let news = after.last_online.iter().filter(|(name, ms)| is_newer(name, **ms));
    news.map(|(name, _)| name.clone()).collect()
}

/// Who had traffic for the first time as far as these answers tell. Where the client came after the earlier answer, the
/// traffic is not older than the client, and a user who came once is known to have come.
pub fn first_seen(before: &Answer, after: &Answer) -> BTreeSet<ClientName> {
    after.last_online.keys().filter(|name| !before.last_online.contains_key(*name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(at_ms: i64, named: &[(&str, i64)]) -> Answer {
        let last_online = named.iter().map(|(name, ms)| (ClientName::from_stored(*name), *ms)).collect();
        Answer { at_ms, last_online }
    }

    #[test]
    fn only_traffic_after_the_earlier_answer_counts() {
        let before = answer(1_000, &[("idle", 5), ("busy", 7), ("restored", 9), ("gone", 3)]);
        let after = answer(61_000, &[("idle", 5), ("busy", 8), ("restored", 2), ("new", 1)]);
        let seen = seen_between(&before, &after);
        assert_eq!(seen.iter().map(ClientName::as_str).collect::<Vec<_>>(), ["busy", "new"]);
        assert_eq!(first_seen(&before, &after), [ClientName::from_stored("new")].into());
    }
}
