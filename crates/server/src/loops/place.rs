//! The place loop: every key that lives where it may not stay gets another home.
//!
//! Keys that nobody has seen yet, and whose node cannot take them after all ([`pending`]); keys of nodes that died or
//! are being emptied, and keys that somebody wants moved ([`rescue`]). There is no other code for a bad night.

pub mod guard;
mod homeless;
pub mod pending;
pub mod rescue;

use crate::{
    loops::{
        Pokes,
        driver::{Pass, Rest},
    },
    panels::Clock,
    waiters::{News, Waiters},
};
use fleet::{id::KeyId, place::Held};
use guard::Guard;
use rescue::Limits;
use std::{collections::BTreeMap, time::Duration};
use store::Store;
use tokio::time::Instant;

/// How often homeless keys are looked for without a poke.
const PERIOD: Duration = Duration::from_secs(5);
/// The same while there are some.
const SHORT_PERIOD: Duration = Duration::from_millis(500);
/// How long whoever waits for a key is left waiting while no node can take it: time for a panel that failed once
/// to be asked again, and little to somebody who would be told "no" anyway.
const PATIENCE: Duration = Duration::from_secs(3);

/// The place loop of one process.
pub struct Place {
    /// Where keys and nodes are.
    pub store: Store,
    /// Who waits for them.
    pub waiters: Waiters,
    /// Whom to wake.
    pub pokes: Pokes,
    /// The time.
    pub clock: Clock,
    /// How many keys may move at once.
    pub limits: Limits,
    /// What keeps us from moving anybody when it is our own line that failed.
    pub guard: Guard,
    /// Since when which keys find no home.
    pub held: BTreeMap<KeyId, Instant>,
}

impl Pass for Place {
    async fn pass(&mut self) -> Rest {
        match pending::pass(&self.store, (self.clock)()).await {
            Ok(placed) => {
                for node in placed.moves.iter().map(|m| m.to) {
                    self.pokes.poke_node(node);
                }
                self.give_up_on(placed.held);
            }
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "keys could not be placed"),
        }
        let more = self.rescue().await;
        Rest::Until(if self.held.is_empty() && !more { PERIOD } else { SHORT_PERIOD })
    }
}

impl Place {
    /// Moves keys off nodes that may not keep them. True while there are more than could be moved at once.
    async fn rescue(&mut self) -> bool {
        let moved = async {
            let nodes = self.store.read().nodes().await?;
            let hold = self.guard.look(&self.store, &nodes, (self.clock)()).await?;
            rescue::pass(&self.store, &nodes, &self.limits, hold.as_ref(), (self.clock)()).await
        };
        match moved.await {
            Ok(rescued) => {
                for node in &rescued.targets {
                    self.pokes.poke_node(*node);
                }
                rescued.more
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "keys could not be moved");
                false
            }
        }
    }

    /// Tells whoever waits for keys that have been without a home for a while. Before that their nodes may be back:
    /// one failed call is no reason to send anybody away.
    fn give_up_on(&mut self, held: Vec<Held>) {
        let now = Instant::now();
        let since = |key: &KeyId| self.held.get(key).copied().unwrap_or(now);
        self.held = held.iter().map(|held| (held.key, since(&held.key))).collect();
        for held in held {
            if now - self.held[&held.key] >= PATIENCE {
                self.waiters.tell([held.key], &News::Homeless(held.why));
            }
        }
    }
}
