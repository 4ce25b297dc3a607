//! Evening out the fleet.

use super::moves::add_planned;
use crate::config::Config;
use chrono::{DateTime, Utc};
use fleet::{
    id::{JobId, KeyId},
    place::Wants,
    rebalance::{BUDGET, Rebalanced, Resident, Settings},
};
use std::collections::BTreeMap;
use store::{Store, StoreError, jobs::JobKind};

/// What would be done, and the job that does it.
#[derive(Debug)]
pub struct Evened {
    /// Which keys go where, and each node before and after.
    pub rebalanced: Rebalanced,
    /// Whose moves they are; `None` for a preview, or when there is nothing to do.
    pub job: Option<JobId>,
}

/// Brings the fleet to its weighted shares with the fewest moves: opens a job with them, unless it is a `dry_run` or
/// the loads differ by less than the tolerance.
pub async fn rebalance(
    store: &Store,
    config: &Config,
    asked_by: &str,
    dry_run: bool,
    now: DateTime<Utc>,
) -> Result<Evened, StoreError> {
    let tx = store.write().await?;
    let nodes: Vec<_> = tx.read().nodes().await?.into_iter().map(|n| n.node).collect();
    let ids: Vec<_> = nodes.iter().map(|n| n.id).collect();
    let residents = tx.read().residents(&ids, config.trial().days).await?;
    // A key that is on its way counts where it goes, and is left alone.
    let keys: Vec<Resident> = residents
        .iter()
        .map(|r| Resident {
            key: r.key,
            node: r.arriving_to.unwrap_or(r.node),
            seen_ms: r.seen_at.map(|at| at.timestamp_millis()),
            moved_ms: r.arriving_to.map_or(r.moved_at, |_| Some(now)).map(|at| at.timestamp_millis()),
            wants: Wants::default(),
        })
        .collect();
    let settings = Settings {
        tolerance: f64::from(config.moves.tolerance) / 100.0,
        budget: BUDGET,
        cool_down_ms: i64::try_from(config.moves.cool_down.as_millis()).unwrap_or(i64::MAX),
    };
    let rebalanced = fleet::rebalance::rebalance(&nodes, &keys, &settings, now.timestamp_millis());
    if dry_run || rebalanced.moves.is_empty() {
        return Ok(Evened { rebalanced, job: None });
    }
    let residents: BTreeMap<KeyId, _> = residents.into_iter().map(|r| (r.key, r)).collect();
    let moves = rebalanced.moves.iter().filter_map(|m| Some((residents.get(&m.key)?, Some(m.to))));
    let job = add_planned(&tx, JobKind::Rebalance, None, asked_by, None, moves, now).await?;
    tx.commit().await?;
    Ok(Evened { rebalanced, job: Some(job) })
}
