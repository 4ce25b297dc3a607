//! Who goes where: worked out before anything is done, shown as it is, and written down as a job's list.

use chrono::{DateTime, Utc};
use fleet::{
    budget::{Budget, Fairness},
    id::{JobId, KeyId, NodeId, UserId},
    node::Node,
    place::{Key, NoRoom, Placed, Wants, place_within},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use store::{
    StoreError, Write,
    jobs::{JobKind, JobState, MoveState, NewJob, NewMove},
    moves::Resident,
};

/// A key that moves, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Which.
    pub key: KeyId,
    /// Whose.
    pub user: UserId,
    /// His Telegram id.
    pub telegram_id: i64,
    /// Where it lives.
    pub from: NodeId,
    /// Where it goes; `None` if it fits nowhere.
    pub to: Option<NodeId>,
}

impl Planned {
    /// This key's move.
    pub fn new(resident: &Resident, to: Option<NodeId>) -> Self {
        let Resident { key, user, telegram_id, node: from, .. } = *resident;
        Self { key, user, telegram_id, from, to }
    }
}

/// Who goes where, or would.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Every key, who moves first coming first.
    pub moves: Vec<Planned>,
    /// Why some go nowhere.
    pub why: Option<Arc<NoRoom>>,
}

impl Plan {
    /// Where these keys go by the rules, with what is wished of each, if all went at once.
    pub(super) fn place(nodes: &[Node], mut keys: Vec<(Resident, Wants)>) -> Self {
        keys.sort_by_key(|(resident, _)| fairness(resident));
        let wishes = keys.iter().map(|(r, wants)| Key { id: r.key, home: None, wants: wants.clone() });
        let wishes: Vec<Key> = wishes.collect();
        let Placed { moves, held, .. } = place_within(nodes, &wishes, &mut Budget::unlimited());
        let to: BTreeMap<KeyId, NodeId> = moves.into_iter().map(|m| (m.key, m.to)).collect();
        Self {
            moves: keys.iter().map(|(r, _)| Planned::new(r, to.get(&r.key).copied())).collect(),
            why: held.into_iter().next().map(|h| h.why),
        }
    }

    /// The keys that fit nowhere.
    pub fn unplaced(&self) -> Vec<KeyId> {
        self.moves.iter().filter(|m| m.to.is_none()).map(|m| m.key).collect()
    }
}

/// Of keys that go to these nodes, those of which the node holds a client still.
pub(crate) async fn held_there(
    tx: &Write<'_>,
    going: &BTreeMap<KeyId, NodeId>,
) -> Result<BTreeSet<(KeyId, NodeId)>, StoreError> {
    let homes = tx.read().homes_of(&going.keys().copied().collect::<Vec<_>>()).await?;
    Ok(homes.into_iter().filter(|(key, node)| going.get(key) == Some(node)).collect())
}

/// Who moves first.
pub(crate) fn fairness(resident: &Resident) -> Fairness {
    Fairness { paying: resident.paying, seen_ms: resident.seen_at.map(|at| at.timestamp_millis()), key: resident.key }
}

/// Ends a job: what has not begun is not to be done, for this reason; what is on its way arrives.
pub(super) async fn call_off(tx: &Write<'_>, job: JobId, why: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    let open = tx.read().moves_in(job, &[MoveState::Planned, MoveState::Waiting]).await?;
    let keys: Vec<KeyId> = open.iter().map(|m| m.key).collect();
    tx.set_moves(job, &keys, MoveState::Cancelled, Some(why), now).await?;
    tx.set_job_state(job, JobState::Done, now).await?;
    Ok(())
}

/// Ends whatever empties a node, or deletes it: something else is wanted of it now.
pub(super) async fn call_off_emptying(tx: &Write<'_>, node: NodeId, now: DateTime<Utc>) -> Result<(), StoreError> {
    for kind in [JobKind::Drain, JobKind::Delete] {
        if let Some(job) = tx.read().find_running_job(kind, Some(node)).await? {
            call_off(tx, job.id, "its node is no longer to be emptied", now).await?;
        }
    }
    Ok(())
}

/// Opens a job with these moves on its list. Where such jobs send keys wherever there is room, no target is listed.
pub(super) async fn open_job(
    tx: &Write<'_>,
    job: &NewJob,
    moves: &[Planned],
    now: DateTime<Utc>,
) -> Result<JobId, StoreError> {
    let id = tx.add_job(job, now).await?;
    let listed = moves.iter().map(|m| NewMove {
        key: m.key,
        user: m.user,
        from: Some(m.from),
        to: m.to.filter(|_| job.kind.names_targets()),
        state: MoveState::Planned,
        reason: None,
    });
    tx.add_moves(id, &listed.collect::<Vec<_>>(), now).await?;
    Ok(id)
}
