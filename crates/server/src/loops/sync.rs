//! The sync loop of one node: the only writer to its panel. Makes the panel's clients equal to the ledger.
//!
//! *Quick*: say what is not settled yet, in batches, without listing. *Full*: look at the panel, list, compare,
//! repair; at the start, every few minutes, and after any doubt. Which steps are needed is `fleet`'s decision.

mod full;
mod quick;

use crate::{
    loops::{
        Pokes,
        driver::{Pass, Rest},
    },
    panels::Clock,
    waiters::{News, Waiters},
};
use fleet::{id::NodeId, node::Health};
use panel::{Panel, PanelError};
use std::{sync::Arc, time::Duration};
use store::{
    Store, StoreError,
    clients::{ClientRow, Version, Wanted},
    nodes::Look,
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
        node: NodeId,
        panel: Arc<Panel>,
        store: Store,
        waiters: Waiters,
        pokes: Pokes,
        timing: Timing,
        clock: Clock,
    ) -> Self {
        Self { node, panel, store, waiters, pokes, timing, clock, full_due: Instant::now(), refusal: None }
    }

    async fn due(&mut self) -> Result<(), SyncError> {
        if Instant::now() >= self.full_due {
            self.full().await?;
            self.full_due = Instant::now() + self.timing.full;
        }
        self.quick().await
    }

    /// Writes down that the node cannot take keys, and lets the place loop find other homes.
    async fn failed(&mut self, error: &SyncError) -> Result<(), StoreError> {
        self.full_due = Instant::now();
        let reason = match error {
            SyncError::Store(_) | SyncError::Deleted | SyncError::NotYet => return Ok(()),
            SyncError::Panel(error) => error.to_string(),
            SyncError::Inbound(_) | SyncError::Xray(_) => error.to_string(),
        };
        self.look(&Look { health: Health::Down { reason }, inbound: None, panel_version: None, response_ms: 0 })
            .await?;
        self.pokes.poke_place();
        Ok(())
    }

    /// Writes down what was seen of the node; a change of health is logged once.
    async fn look(&self, look: &Look) -> Result<(), StoreError> {
        let tx = self.store.write().await?;
        let Some(before) = tx.read().find_node(self.node).await? else { return Ok(()) };
        tx.set_look(self.node, look, (self.clock)()).await?;
        tx.commit().await?;
        let name = &before.node.name;
        match (&before.node.health, &look.health) {
            (Health::Up, Health::Up) | (Health::Down { .. }, Health::Down { .. }) | (_, Health::Unknown) => {}
            (_, Health::Up) => tracing::info!(node = %name, "node {name} is up"),
            (_, Health::Down { reason }) => tracing::warn!(node = %name, "node {name} is down: {reason}"),
        }
        Ok(())
    }

    /// Commits what a panel confirmed and gave up, and tells whoever waits for it.
    async fn settle(
        &self,
        confirmed: &[Version],
        gone: &[Version],
        refused: &[(Version, String)],
    ) -> Result<(), StoreError> {
        if confirmed.is_empty() && gone.is_empty() && refused.is_empty() {
            return Ok(());
        }
        let tx = self.store.write().await?;
        let in_force = tx.set_confirmed(confirmed, (self.clock)()).await?;
        if !gone.is_empty() {
            tx.set_gone(self.node, gone).await?;
        }
        tx.set_refused(refused).await?;
        tx.commit().await?;
        if !in_force.is_empty() {
            self.waiters.tell(in_force, &News::Confirmed);
            // Keys that these replaced are now to be removed, perhaps elsewhere.
            self.pokes.poke_unsettled();
        }
        if !refused.is_empty() {
            self.pokes.poke_place();
        }
        Ok(())
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
