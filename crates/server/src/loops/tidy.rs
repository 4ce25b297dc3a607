//! Throwing away what nobody will ask for: old samples are thinned, old events and jobs go. And evening the fleet out,
//! where the operator wants that by the clock.

use super::{
    Pokes,
    driver::{Pass, Rest},
};
use crate::{config::Config, ops::rebalance, panels::Clock};
use chrono::TimeDelta;
use std::{sync::Arc, time::Duration};
use store::{Store, StoreError};
use tokio::time::Instant;

/// How often. Thinning does a bounded amount of work each time.
const PERIOD: Duration = Duration::from_mins(1);
/// For how long events and ended jobs are kept.
const KEPT: TimeDelta = TimeDelta::days(90);

/// The tidy loop of one process.
pub struct Tidy {
    store: Store,
    config: Arc<Config>,
    pokes: Pokes,
    clock: Clock,
    /// When the fleet was last evened out; the program's start, at first.
    rebalanced: Instant,
}

impl Tidy {
    /// A loop that has not run yet.
    pub fn new(store: Store, config: Arc<Config>, pokes: Pokes, clock: Clock) -> Self {
        Self { store, config, pokes, clock, rebalanced: Instant::now() }
    }

    async fn tidy(&mut self) -> Result<(), StoreError> {
        let now = (self.clock)();
        let tx = self.store.write().await?;
        tx.thin_samples(now).await?;
        tx.forget_jobs(now - KEPT).await?;
        tx.forget_events(now - KEPT).await?;
        tx.commit().await?;
        let due = self.config.moves.rebalance_every.is_some_and(|every| self.rebalanced.elapsed() >= every);
        if due {
            self.rebalanced = Instant::now();
            rebalance::rebalance(&self.store, &self.config, "schedule", false, now).await?;
            self.pokes.poke_place();
        }
        Ok(())
    }
}

impl Pass for Tidy {
    async fn pass(&mut self) -> Rest {
        if let Err(error) = self.tidy().await {
            tracing::error!(error = &error as &dyn std::error::Error, "old things could not be thrown away");
        }
        Rest::Until(PERIOD)
    }
}
