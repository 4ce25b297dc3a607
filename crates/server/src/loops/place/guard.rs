//! What keeps us from moving anybody when much of the fleet fails at once: the rule is `fleet`'s, here are its facts.

use chrono::{DateTime, Utc};
use fleet::{
    health::guard::{Canaries, Hold, Situation, Watched, hold},
    id::NodeId,
    node::Policy,
};
use futures::future::join_all;
use std::time::Duration;
use store::{Store, StoreError, events::Event, facts::HoldNote, nodes::NodeRecord};
use tokio::{net::TcpStream, time::timeout};

/// How long a canary may take to accept.
const CANARY: Duration = Duration::from_secs(2);

/// The guard of one process.
#[derive(Debug, Default)]
pub struct Guard {
    /// `host:port` of addresses that should always accept.
    pub canaries: Vec<String>,
    /// How long a hold outlasts its cause.
    pub linger: Duration,
    before: Option<Hold>,
    /// Nothing was written down yet: what stands there is of an earlier start.
    is_new: bool,
    canaries_failed_at: Option<i64>,
}

impl Guard {
    /// A guard that has not looked yet.
    pub fn new(canaries: Vec<String>, linger: Duration) -> Self {
        Self { canaries, linger, is_new: true, ..Self::default() }
    }

    /// Whether moves are to be held now. The canaries are asked only while some node fails. Says loudly when a hold
    /// begins or ends.
    pub async fn look(
        &mut self,
        store: &Store,
        nodes: &[NodeRecord],
        now: DateTime<Utc>,
    ) -> Result<Option<Hold>, StoreError> {
        let watched: Vec<Watched> = nodes
            .iter()
            .map(|n| Watched {
                node: n.node.id,
                in_service: n.node.policy != Policy::Inactive,
                failing_since_ms: n.watch.failing_since_ms(),
            })
            .collect();
        let now_ms = now.timestamp_millis();
        let canaries = if watched.iter().any(|w| w.failing_since_ms.is_some()) {
            self.ask_canaries(now_ms).await
        } else {
            self.canaries_failed_at = None;
            Canaries::None
        };
        let situation = Situation {
            nodes: &watched,
            canaries,
            released_at_ms: store.read().released_at().await?.map(|at| at.timestamp_millis()),
            before: self.before.as_ref(),
            linger: self.linger,
        };
        let found = hold(&situation, now_ms);
        match (&self.before, &found) {
            (None, Some(hold)) => {
                tracing::error!(
                    "nobody is moved: {}; `muster health release` moves them all the same",
                    hold.in_words(named(nodes))
                );
            }
            (Some(_), None) => tracing::info!("moves are no longer held"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        let shown = |hold: &Option<Hold>| hold.as_ref().map(|h| (h.since_ms, h.cause.clone()));
        if shown(&self.before) != shown(&found) || self.is_new {
            self.is_new = false;
            let why = found.as_ref().map(|hold| hold.in_words(named(nodes)));
            self.write_down(store, found.as_ref().zip(why), now).await?;
        }
        self.before.clone_from(&found);
        Ok(found)
    }

    /// For whoever looks from another process, and for the events.
    async fn write_down(
        &self,
        store: &Store,
        hold: Option<(&Hold, String)>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let note = hold
            .map(|(hold, why)| HoldNote { why, since: DateTime::from_timestamp_millis(hold.since_ms).unwrap_or(now) });
        let message = match (&self.before, &note) {
            (None, Some(note)) => Some(format!("nobody is moved: {}", note.why)),
            (Some(_), Some(note)) => Some(format!("still nobody is moved: {}", note.why)),
            (Some(_), None) => Some("moves are no longer held".to_owned()),
            (None, None) => None,
        };
        let event = message.map(|message| Event { at: now, kind: "hold", node: None, key: None, message });
        let tx = store.write().await?;
        tx.set_hold(note.as_ref()).await?;
        tx.add_events(event.as_slice()).await?;
        tx.commit().await
    }

    async fn ask_canaries(&mut self, now_ms: i64) -> Canaries {
        if self.canaries.is_empty() {
            return Canaries::None;
        }
        let answers = self.canaries.iter().map(|address| timeout(CANARY, TcpStream::connect(address.as_str())));
        if join_all(answers).await.into_iter().any(|answer| matches!(answer, Ok(Ok(_)))) {
            self.canaries_failed_at = None;
            return Canaries::Good;
        }
        Canaries::AllFailed { since_ms: *self.canaries_failed_at.get_or_insert(now_ms) }
    }
}

fn named(nodes: &[NodeRecord]) -> impl Fn(NodeId) -> String {
    |id| nodes.iter().find(|n| n.node.id == id).map_or_else(|| id.to_string(), |n| n.node.name.clone())
}
