//! Who was seen where: each panel is asked, once a minute by default, when its clients last had traffic.

use super::{
    Loops, Pokes,
    driver::{Pass, Rest},
};
use crate::panels::Clock;
use chrono::DateTime;
use fleet::{
    id::NodeId,
    seen::{Answer, first_seen, seen_between},
};
use panel::{Panel, PanelError};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use store::{Store, StoreError};

/// How many users were online at the last look; shared with whoever keeps samples. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Online(Arc<Mutex<Option<usize>>>);

impl Online {
    fn set(&self, users: usize) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(users);
    }

    /// `None` before the first look.
    pub fn users(&self) -> Option<usize> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One node's loop.
pub struct Seen {
    node: NodeId,
    panel: Arc<Panel>,
    store: Store,
    pokes: Pokes,
    clock: Clock,
    period: Duration,
    online: Online,
    /// What the panel said the last time; after a start nothing is known, and the first answer proves nothing.
    before: Option<Answer>,
}

/// Why nobody was seen.
#[derive(Debug, thiserror::Error)]
enum SeenError {
    #[error("the panel did not say who was seen")]
    Panel(#[from] PanelError),
    #[error("who was seen was not written down")]
    Store(#[from] StoreError),
}

impl Seen {
    /// A loop that has not run yet.
    pub fn new(node: NodeId, panel: Arc<Panel>, with: &Loops, online: Online) -> Self {
        let period = with.config.moves.seen_every;
        let Loops { store, pokes, clock, .. } = with.clone();
        Self { node, panel, store, pokes, clock, period, online, before: None }
    }

    async fn look(&mut self) -> Result<(), SeenError> {
        let seen = self.panel.seen().await?;
        let after = Answer { at_ms: (self.clock)().timestamp_millis(), last_online: seen.last_online };
        let (mut named, mut first) = (Vec::new(), None);
        if let Some(before) = &self.before
            && let Some(at) = DateTime::from_timestamp_millis(before.at_ms)
        {
            named.extend(seen_between(before, &after).into_iter().map(|name| (name, at)));
            first = Some((first_seen(before, &after).into_iter().collect::<Vec<_>>(), at));
        }
        self.online.set(seen.online);
        if !named.is_empty() {
            let tx = self.store.write().await?;
            tx.set_seen(self.node, &named).await?;
            if let Some((first, after)) = first {
                tx.set_first_seen(self.node, &first, after).await?;
            }
            tx.commit().await?;
            self.pokes.poke_settle();
        }
        self.before = Some(after);
        Ok(())
    }
}

impl Pass for Seen {
    async fn pass(&mut self) -> Rest {
        if let Err(error) = self.look().await {
            tracing::debug!(node = %self.node, error = &error as &dyn std::error::Error, "nobody was seen");
        }
        Rest::Until(self.period)
    }
}
