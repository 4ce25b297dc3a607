//! Evening out the fleet.

use super::plan::{Planned, open_job};
use crate::config::Config;
use chrono::{DateTime, Utc};
use fleet::{
    id::{JobId, KeyId, NodeId},
    place::Wants,
    rebalance::{BUDGET, Rebalanced, Resident, Settings},
};
use std::collections::BTreeMap;
use store::{
    Store, StoreError, Write,
    jobs::{JobKind, MoveState, NewJob},
};

/// What would be done, and the job that does it.
#[derive(Debug)]
pub struct Evened {
    /// Which keys go where, and each node before and after.
    pub rebalanced: Rebalanced,
    /// The same moves, with whose they are.
    pub moves: Vec<Planned>,
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
    let listed = listed(&tx).await?;
    let keys: Vec<Resident> = residents
        .iter()
        .map(|r| {
            // A key that is on its way, or that another job is to move, counts where it goes, and is left alone.
            let goes = r.arriving_to.or_else(|| listed.get(&r.key).map(|to| to.unwrap_or(r.node)));
            Resident {
                key: r.key,
                node: goes.unwrap_or(r.node),
                seen_ms: r.seen_at.map(|at| at.timestamp_millis()),
                moved_ms: r.moved_at.map(|at| at.timestamp_millis()),
                wants: Wants { pin: goes, ..Wants::default() },
            }
        })
        .collect();
    let settings = Settings {
        tolerance: f64::from(config.moves.tolerance) / 100.0,
        budget: BUDGET,
        cool_down_ms: i64::try_from(config.moves.cool_down.as_millis()).unwrap_or(i64::MAX),
    };
    let rebalanced = fleet::rebalance::rebalance(&nodes, &keys, &settings, now.timestamp_millis());
    let residents: BTreeMap<KeyId, _> = residents.into_iter().map(|r| (r.key, r)).collect();
    let moves = rebalanced.moves.iter().filter_map(|m| Some(Planned::new(residents.get(&m.key)?, Some(m.to))));
    let moves: Vec<Planned> = moves.collect();
    if dry_run || moves.is_empty() {
        return Ok(Evened { rebalanced, moves, job: None });
    }
    let asked_by = asked_by.to_owned();
    let new = NewJob { kind: JobKind::Rebalance, node: None, asked_by, deadline_at: None, note: None };
    let job = open_job(&tx, &new, &moves, now).await?;
    tx.commit().await?;
    Ok(Evened { rebalanced, moves, job: Some(job) })
}

/// The keys that jobs which are not over are still to move, a paused one's as well; where to, if that is decided.
async fn listed(tx: &Write<'_>) -> Result<BTreeMap<KeyId, Option<NodeId>>, StoreError> {
    let mut listed = BTreeMap::new();
    for job in tx.read().open_jobs().await? {
        let open = tx.read().moves_in(job.id, MoveState::OPEN).await?;
        for one in open {
            // The oldest job comes first; of several orders the newest moves the key.
            listed.insert(one.key, one.to);
        }
    }
    Ok(listed)
}
