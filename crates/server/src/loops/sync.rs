//! The sync loop of one node: the only writer to its panel. Makes the panel's clients equal to the ledger.
//!
//! *Quick*: say what is not settled yet, in parts, without comparing everything. *Full*: look at the panel, list,
//! compare, repair; at the start, every few minutes, and after any doubt. Which steps are needed is `fleet`'s decision.

mod full;
mod quick;

use crate::{
    loops::{
        Pokes,
        driver::{Pass, Rest},
    },
    ops::keys::{counted, home},
    panels::Clock,
    waiters::{News, Waiters},
};
use chrono::{DateTime, Utc};
use fleet::id::{JobId, KeyId, NodeId};
use panel::{Panel, PanelError};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::{
    Store, StoreError, Write,
    arrivals::{Arrival, Arrived},
    clients::{ClientRow, Version, Wanted},
    events::Event,
    facts::Silence,
};
use tokio::time::Instant;

/// How often things are done.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Between two full passes of a healthy node.
    pub full: Duration,
    /// After a failed pass.
    pub retry: Duration,
    /// Between two looks at what other processes wrote.
    pub poll: Duration,
}

/// How long a node that refused a write is left alone by new keys, although it answers: a panel with a full disk
/// lists its clients as if nothing were wrong.
const AFTER_REFUSAL: Duration = Duration::from_mins(1);

/// One node's loop.
pub struct Sync {
    node: NodeId,
    /// Of the node's settings, those by which its panel is spoken to among them.
    revision: i64,
    panel: Arc<Panel>,
    store: Store,
    waiters: Waiters,
    pokes: Pokes,
    timing: Timing,
    clock: Clock,
    /// When the next full pass is due; now, at first: nothing is assumed of a panel.
    full_due: Instant,
    /// When the panel last refused a write, and with which words.
    refusal: Option<(Instant, String)>,
    /// Why the last full pass left clients alone that should not be there.
    next_door: Option<String>,
    /// The newest line of the ledger that the panel may have been asked for. `None` until a full pass has looked.
    asked: Option<i32>,
}

/// What a panel said, to be written down.
#[derive(Default)]
struct Said {
    /// These it holds as wanted.
    confirmed: Vec<Version>,
    /// These it holds no more.
    gone: Vec<Version>,
    /// These it will not hold, and why.
    refused: Vec<(Version, String)>,
    /// What went wrong last.
    failure: Option<PanelError>,
}

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    /// The panel did not do what it was asked.
    #[error("the panel failed")]
    Panel(#[from] PanelError),
    /// It has no inbound for keys.
    #[error(transparent)]
    Inbound(#[from] fleet::inbound::NoInbound),
    /// Its xray does not run, so nobody is served.
    #[error("xray does not run there: {0}")]
    Xray(String),
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// The node was deleted meanwhile.
    #[error("the node was deleted")]
    Deleted,
    /// The panel started a moment ago and cannot say yet how it is.
    #[error("the panel has just started and cannot tell yet how it is")]
    NotYet,
}

impl Sync {
    /// A loop that has not run yet.
    pub fn new(
        (node, revision): (NodeId, i64),
        panel: Arc<Panel>,
        store: Store,
        waiters: Waiters,
        pokes: Pokes,
        timing: Timing,
        clock: Clock,
    ) -> Self {
        Self {
            node,
            revision,
            panel,
            store,
            waiters,
            pokes,
            timing,
            clock,
            full_due: Instant::now(),
            refusal: None,
            next_door: None,
            asked: None,
        }
    }

    async fn due(&mut self) -> Result<(), SyncError> {
        if self.pokes.take_doubt(self.node) || Instant::now() >= self.full_due {
            self.full().await?;
            self.full_due = Instant::now() + self.timing.full;
        }
        self.quick().await
    }

    /// Writes down that the panel does not do what it is asked, so that nobody new is sent there, has the node looked
    /// at, and lets the place loop find other homes for keys that nobody has seen yet.
    async fn failed(&mut self, error: &SyncError) -> Result<(), StoreError> {
        self.full_due = Instant::now();
        let trouble = match error {
            SyncError::Store(_) | SyncError::Deleted | SyncError::NotYet => return Ok(()),
            SyncError::Panel(error) => error.to_string(),
            SyncError::Inbound(_) | SyncError::Xray(_) => error.to_string(),
        };
        self.set_trouble(Some(&trouble)).await?;
        self.keep_silence().await?;
        self.pokes.poke_probe(self.node);
        self.pokes.poke_place();
        Ok(())
    }

    /// Writes down that the panel refused too many logins: a start of the program must not make them more, for then it
    /// would lock the operator out.
    async fn keep_silence(&self) -> Result<(), StoreError> {
        let Some(since) = self.panel.silent_since() else { return Ok(()) };
        let silence = Silence { revision: self.revision, since: since.into() };
        if self.store.read().silence(self.node).await? == Some(silence) {
            return Ok(());
        }
        let tx = self.store.write().await?;
        tx.set_silence(self.node, silence).await?;
        tx.commit().await
    }

    /// Writes down what the panel does not do, or that it does; a change is logged once.
    async fn set_trouble(&self, trouble: Option<&str>) -> Result<(), StoreError> {
        let Some(before) = self.store.read().find_node(self.node).await? else { return Ok(()) };
        if before.trouble.as_deref() == trouble {
            return Ok(());
        }
        let tx = self.store.write().await?;
        tx.set_trouble(self.node, trouble).await?;
        tx.commit().await?;
        let name = &before.node.name;
        match (&before.trouble, trouble) {
            (_, None) => tracing::info!(node = %name, "the panel of node {name} does what it is asked again"),
            (None, Some(why)) => tracing::warn!(node = %name, "the panel of node {name} takes nobody: {why}"),
            (Some(_), Some(_)) => {}
        }
        Ok(())
    }

    /// Commits what a panel confirmed and gave up, writes where moved keys live into their rows, and tells whoever
    /// waits.
    async fn settle(&self, said: &Said) -> Result<(), StoreError> {
        let Said { confirmed, gone, refused, failure: _ } = said;
        if confirmed.is_empty() && gone.is_empty() && refused.is_empty() {
            return Ok(());
        }
        let now = (self.clock)();
        let tx = self.store.write().await?;
        let arrived = tx.set_confirmed(confirmed, now).await?;
        let moved = self.follow(&tx, &arrived, now).await?;
        if !gone.is_empty() {
            tx.set_gone(self.node, gone).await?;
        }
        tx.set_refused(refused).await?;
        tx.commit().await?;
        if moved > 0 {
            // There is room on their way for more.
            self.pokes.poke_place();
            self.pokes.poke_settle();
        }
        if !arrived.is_empty() {
            self.waiters.tell(arrived.into_iter().map(|a| a.key), &News::Confirmed);
            // Keys that these replaced are now to be removed, perhaps elsewhere.
            self.pokes.poke_unsettled();
        }
        if !refused.is_empty() {
            self.pokes.poke_place();
        }
        Ok(())
    }

    /// "3 keys moved from a to b (job 5)".
    async fn arrivals(
        &self,
        tx: &Write<'_>,
        here: &str,
        moved: &[&Arrived],
        now: DateTime<Utc>,
    ) -> Result<Vec<Event>, StoreError> {
        let mut groups: BTreeMap<(Option<NodeId>, Option<JobId>), Vec<KeyId>> = BTreeMap::new();
        for arrived in moved {
            if let Arrival::Moved { from, job, .. } = arrived.how {
                groups.entry((from, job)).or_default().push(arrived.key);
            }
        }
        let labels = tx.read().node_labels(&groups.keys().filter_map(|(from, _)| *from).collect()).await?;
        let event = |((from, job), keys): ((Option<NodeId>, Option<JobId>), Vec<KeyId>)| {
            let from = from.map_or(String::new(), |id| {
                let name = labels.get(&id).map_or("a deleted node", |label| label.name.as_str());
                format!(" from {name}")
            });
            let job = job.map(|job| format!(" (job {job})")).unwrap_or_default();
            let message = format!("{} moved{from} to {here}{job}", counted(keys.len(), "key"));
            let key = keys.first().copied().filter(|_| keys.len() == 1);
            Event { at: now, kind: "moved", node: Some(self.node), key, message }
        };
        Ok(groups.into_iter().map(event).collect())
    }

    /// Keys that moved here point here from now on. Says how many there are.
    async fn follow(&self, tx: &Write<'_>, arrived: &[Arrived], now: DateTime<Utc>) -> Result<usize, StoreError> {
        let moved: Vec<&Arrived> = arrived.iter().filter(|a| matches!(a.how, Arrival::Moved { .. })).collect();
        if moved.is_empty() {
            return Ok(0);
        }
        let Some(node) = tx.read().find_node(self.node).await? else { return Ok(0) };
        let addresses = moved.iter().filter_map(|a| Some(home(&node, a.key, a.user, a.identity.clone()).ok()?.address));
        tx.set_addresses(&addresses.collect::<Vec<_>>(), now).await?;
        tx.add_events(&self.arrivals(tx, &node.node.name, &moved, now).await?).await?;
        Ok(moved.len())
    }
}

impl Pass for Sync {
    async fn pass(&mut self) -> Rest {
        let result = self.due().await;
        let Err(error) = result else { return Rest::Until(self.full_due.saturating_duration_since(Instant::now())) };
        if matches!(error, SyncError::Store(_)) {
            tracing::error!(node = %self.node, error = &error as &dyn std::error::Error, "a sync pass failed");
        } else {
            tracing::debug!(node = %self.node, error = &error as &dyn std::error::Error, "a sync pass ended early");
        }
        if let Err(error) = self.failed(&error).await {
            tracing::error!(node = %self.node, error = &error as &dyn std::error::Error, "a failure could not be noted");
        }
        Rest::Regardless(self.timing.retry)
    }
}

/// The client that a line of the ledger asks for, on an inbound with this flow.
fn client(row: &ClientRow, wanted: Wanted, flow: &str) -> fleet::client::Client {
    fleet::client::Client {
        identity: row.identity.clone(),
        flow: flow.to_owned(),
        enabled: wanted.enabled,
        expires_at_ms: wanted.expires_at_ms,
        traffic_limit: 0,
        telegram_id: wanted.telegram_id,
    }
}
