//! Keys that have to leave their node, or that somebody wants elsewhere: jobs are opened for them, and as many moves
//! are begun as the budget allows. A key lives where it does until its new node's panel has confirmed it.

use super::homeless::house;
use crate::ops::{
    keys::{counted, home},
    plan::{fairness, held_there},
};
use chrono::{DateTime, Utc};
use fleet::{
    budget::{Budget, Precedence},
    health::guard::Hold,
    id::{JobId, KeyId, NodeId},
    node::{Node, Policy},
    place::{Key, NoRoom, Placed, Wants, count_off, explain, may_arrive, must_leave, place_within},
    settle::Cause,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};
use store::{
    Store, StoreError, Write,
    events::Event,
    jobs::{Job, JobKind, JobMove, JobState, MoveState, NewJob, NewMove},
    moves::{Resident, StartMove},
    nodes::NodeRecord,
};

/// How many keys may move at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// In one pass.
    pub per_pass: usize,
    /// On their way to one node.
    pub per_target: usize,
    /// How long a trial lasts: who is beyond it pays, and moves first.
    pub trial_days: Option<u32>,
}

impl Limits {
    /// What may begin in a pass of this transaction. What is on its way already counts; a node that takes more than its
    /// share is at its limit all the same.
    pub(super) async fn budget(&self, tx: &Write<'_>) -> Result<Budget, StoreError> {
        let under_way = tx.read().arriving().await?;
        let total: u64 = under_way.values().sum();
        let mut budget = Budget::new(self.per_pass + usize::try_from(total).unwrap_or(0), self.per_target);
        for (node, count) in under_way {
            for _ in 0..count {
                let _ = budget.spend(node);
            }
        }
        Ok(budget)
    }
}

/// What a pass did.
#[derive(Debug, Default)]
pub struct Rescued {
    /// Nodes that have keys to take.
    pub targets: BTreeSet<NodeId>,
    /// Whether more keys wait only for their turn.
    pub more: bool,
}

/// One pass, in one transaction: opens a job for every node that keys must leave, and begins moves of all jobs that
/// run. Keys that fit nowhere stay where they are, with the reason on the job's list.
pub async fn pass(
    store: &Store,
    nodes: &[NodeRecord],
    limits: &Limits,
    hold: Option<&Hold>,
    now: DateTime<Utc>,
) -> Result<Rescued, StoreError> {
    // A dead node without a client of ours is no work, for as long as it is dead.
    let is_calm = emptied(nodes.iter().filter(|n| n.node.current_users > 0), hold).is_empty();
    let homeless = store.read().homeless_keys().await?;
    if is_calm && homeless.is_empty() && store.read().open_jobs().await?.is_empty() {
        return Ok(Rescued::default());
    }
    let tx = store.write().await?;
    let nodes = tx.read().nodes().await?;
    let must = emptied(nodes.iter(), hold);
    let nodes: BTreeMap<NodeId, NodeRecord> = nodes.into_iter().map(|n| (n.node.id, n)).collect();
    open_jobs(&tx, &must, limits, now).await?;
    let rescue = Rescue { tx: &tx, nodes: &nodes, must: &must, hold, limits, now };
    let mut rescued = rescue.carry_on().await?;
    rescued.targets.extend(house(&tx, &nodes, limits, now).await?);
    tx.commit().await?;
    Ok(rescued)
}

/// The nodes that keys must leave, and why.
fn emptied<'a>(nodes: impl Iterator<Item = &'a NodeRecord>, hold: Option<&Hold>) -> BTreeMap<NodeId, Cause> {
    nodes.filter_map(|n| Some((n.node.id, must_leave(&n.node, hold.is_some())?))).collect()
}

/// A job for each of these nodes that has keys left, with all of them on its list.
async fn open_jobs(
    tx: &Write<'_>,
    must: &BTreeMap<NodeId, Cause>,
    limits: &Limits,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    for (node, cause) in must {
        let residents = tx.read().residents(&[*node], limits.trial_days).await?;
        if residents.is_empty() {
            continue;
        }
        let kind = if *cause == Cause::Failover { JobKind::Failover } else { JobKind::Drain };
        // A dead node's users do not wait for a deletion that is paused.
        let deleting = tx.read().find_running_job(JobKind::Delete, Some(*node)).await?;
        let deleting = deleting.filter(|job| job.state == JobState::Running || *cause != Cause::Failover);
        let open = deleting.or(tx.read().find_running_job(kind, Some(*node)).await?);
        let job = if let Some(job) = open {
            job.id
        } else {
            let new = NewJob { kind, node: Some(*node), asked_by: "muster".to_owned(), deadline_at: None, note: None };
            tx.add_job(&new, now).await?
        };
        let listed = residents.iter().map(|r| NewMove {
            key: r.key,
            user: r.user,
            from: Some(r.node),
            to: None,
            state: MoveState::Planned,
            reason: None,
        });
        tx.add_moves(job, &listed.collect::<Vec<_>>(), now).await?;
    }
    Ok(())
}

/// One transaction's work.
struct Rescue<'a> {
    tx: &'a Write<'a>,
    nodes: &'a BTreeMap<NodeId, NodeRecord>,
    must: &'a BTreeMap<NodeId, Cause>,
    hold: Option<&'a Hold>,
    limits: &'a Limits,
    now: DateTime<Utc>,
}

/// A key that is to move, on behalf of a job.
struct Wanted {
    job: JobId,
    kind: JobKind,
    resident: Resident,
    to: Option<NodeId>,
}

impl Rescue<'_> {
    async fn carry_on(&self) -> Result<Rescued, StoreError> {
        let mut wanted: Vec<Wanted> = Vec::new();
        for job in self.tx.read().open_jobs().await? {
            match job.state {
                JobState::Running => wanted.extend(self.open_moves(&job).await?),
                JobState::Paused | JobState::Done => {}
            }
        }
        // A key may be on several lists. Where the one that comes first finds no room for it, the next is tried.
        wanted.sort_by_key(|w| Precedence { cause: w.kind.cause(), job: w.job });
        let mut rescued = Rescued::default();
        let mut fleet: Vec<Node> = self.nodes.values().map(|n| n.node.clone()).collect();
        loop {
            let mut chosen = BTreeMap::new();
            for one in &wanted {
                chosen.entry(one.resident.key).or_insert(one.job);
            }
            let (mut now, later) = wanted.into_iter().partition::<Vec<_>, _>(|w| chosen[&w.resident.key] == w.job);
            now.sort_by_key(|w| fairness(&w.resident));
            let named = now.iter().filter_map(|w| Some((w.resident.key, w.to?)));
            let back = held_there(self.tx, &named.collect()).await?;
            let placed = self.place(&now, &back, fleet).await?;
            rescued.more |= !placed.waiting.is_empty();
            rescued.targets.extend(self.begin(&now, &placed, &back).await?);
            self.note_held(&now, &placed).await?;
            let held: BTreeSet<KeyId> = placed.held.iter().map(|held| held.key).collect();
            let (next, idle) = later.into_iter().partition::<Vec<_>, _>(|w| held.contains(&w.resident.key));
            self.note_idle(&idle, &chosen).await?;
            wanted = next;
            if wanted.is_empty() {
                break;
            }
            fleet = self.tx.read().nodes().await?.into_iter().map(|n| n.node).collect();
        }
        Ok(rescued)
    }

    /// Moves that another job makes.
    async fn note_idle(&self, idle: &[Wanted], chosen: &BTreeMap<KeyId, JobId>) -> Result<(), StoreError> {
        let mut groups: BTreeMap<(JobId, JobId), Vec<KeyId>> = BTreeMap::new();
        for one in idle {
            groups.entry((one.job, chosen[&one.resident.key])).or_default().push(one.resident.key);
        }
        for ((job, by), keys) in groups {
            let why = format!("job {by} moves it");
            self.tx.set_moves(job, &keys, MoveState::Planned, Some(&why), self.now).await?;
        }
        Ok(())
    }

    /// The moves of a job that are to be begun now. Ends moves that are no longer needed, and a job without any.
    async fn open_moves(&self, job: &Job) -> Result<Vec<Wanted>, StoreError> {
        if job.kind == JobKind::Delete && job.node.is_none() {
            // Its keys live nowhere ([`house`]).
            return Ok(Vec::new());
        }
        let moves = self.tx.read().moves_in(job.id, MoveState::OPEN).await?;
        if moves.is_empty() {
            if job.kind != JobKind::Delete || self.delete(job).await? {
                self.tx.set_job_state(job.id, JobState::Done, self.now).await?;
            }
            return Ok(Vec::new());
        }
        let from: BTreeSet<NodeId> = moves.iter().filter_map(|m| m.from).collect();
        let residents = self.tx.read().residents(&from.into_iter().collect::<Vec<_>>(), self.limits.trial_days).await?;
        let mut residents: BTreeMap<KeyId, Resident> = residents.into_iter().map(|r| (r.key, r)).collect();
        // Where a target is named nowhere else will do, and what was refused is tried again.
        let under_way = residents.values().filter(|r| r.arriving_to.is_some() && !job.kind.names_targets());
        let refused = self.tx.read().refusals(&under_way.map(|r| r.key).collect::<Vec<_>>()).await?;
        let (mut wanted, mut over, mut stay) = (Vec::new(), Vec::new(), Vec::new());
        for open in moves {
            match residents.remove(&open.key) {
                None => over.push(open.key),
                Some(resident) if self.is_on_its_way(&resident, &refused) => {}
                Some(_) if self.may_stay(job.kind, &open) => stay.push(open.key),
                Some(resident) => {
                    let to = open.to.filter(|_| job.kind.names_targets());
                    wanted.push(Wanted { job: job.id, kind: job.kind, resident, to });
                }
            }
        }
        let set = async |keys: &[KeyId], state, why| self.tx.set_moves(job.id, keys, state, Some(why), self.now).await;
        set(&over, MoveState::Cancelled, "the key no longer lives there").await?;
        match self.hold {
            Some(hold) => set(&stay, MoveState::Waiting, &self.held_because(hold)).await?,
            None => set(&stay, MoveState::Cancelled, "its node serves again").await?,
        }
        Ok(wanted)
    }

    fn held_because(&self, hold: &Hold) -> String {
        let name = |id| self.nodes.get(&id).map_or_else(|| id.to_string(), |n| n.node.name.clone());
        format!("nobody is moved for now: {}", hold.in_words(name))
    }

    /// Deletes the node that a job is to delete, once nothing of ours is left on it. True if nothing remains to be done:
    /// it is gone, or somebody has put it into service again.
    async fn delete(&self, job: &Job) -> Result<bool, StoreError> {
        let Some(node) = job.node.and_then(|id| self.nodes.get(&id)) else { return Ok(true) };
        if node.node.policy != Policy::Maintenance {
            return Ok(true);
        }
        if self.tx.read().count_clients(node.node.id).await? > 0 {
            return Ok(false);
        }
        self.tx.delete_node(node.node.id).await?;
        let message = format!("node {} is deleted: nothing of ours is left there (job {})", node.node.name, job.id);
        self.tx.add_events(&[Event { at: self.now, kind: "deleted", node: None, key: None, message }]).await?;
        Ok(true)
    }

    /// A key whose new node is about to take it is left alone, unless that node cannot any more, or refused this very
    /// key.
    fn is_on_its_way(&self, resident: &Resident, refused: &BTreeMap<KeyId, Vec<NodeId>>) -> bool {
        let refused_by = refused.get(&resident.key).map_or(&[][..], Vec::as_slice);
        let target = resident.arriving_to.and_then(|to| self.nodes.get(&to));
        target.is_some_and(|target| may_arrive(&target.node, refused_by))
    }

    /// Whether the reason for which a job was opened is gone: failovers and drains end by themselves, deletions when the
    /// node was put into service again.
    fn may_stay(&self, kind: JobKind, open: &JobMove) -> bool {
        let leaves = open.from.is_some_and(|from| self.must.contains_key(&from));
        let is_called_off =
            open.from.and_then(|from| self.nodes.get(&from)).is_some_and(|n| n.node.policy != Policy::Maintenance);
        let ends_by_itself =
            matches!(kind, JobKind::Failover | JobKind::Drain) || kind == JobKind::Delete && is_called_off;
        ends_by_itself && !leaves
    }

    async fn place(
        &self,
        wanted: &[Wanted],
        back: &BTreeSet<(KeyId, NodeId)>,
        mut fleet: Vec<Node>,
    ) -> Result<Placed, StoreError> {
        let keys: Vec<KeyId> = wanted.iter().map(|w| w.resident.key).collect();
        let refused = self.tx.read().refusals(&keys).await?;
        let wishes = wanted.iter().map(|w| {
            let mut avoid: BTreeSet<NodeId> = refused.get(&w.resident.key).into_iter().flatten().copied().collect();
            avoid.insert(w.resident.node);
            Key { id: w.resident.key, home: None, wants: Wants { pin: w.to, avoid, ..Wants::default() } }
        });
        let mut budget = self.limits.budget(self.tx).await?;
        count_off(&mut fleet, back.iter().map(|(_, node)| *node));
        Ok(place_within(&fleet, &wishes.collect::<Vec<_>>(), &mut budget))
    }

    /// Writes the moves down, as one batch for each target.
    async fn begin(
        &self,
        wanted: &[Wanted],
        placed: &Placed,
        back: &BTreeSet<(KeyId, NodeId)>,
    ) -> Result<BTreeSet<NodeId>, StoreError> {
        let by_key: BTreeMap<KeyId, &Wanted> = wanted.iter().map(|w| (w.resident.key, w)).collect();
        let mut groups: BTreeMap<(NodeId, NodeId, JobId), Vec<&Wanted>> = BTreeMap::new();
        for step in &placed.moves {
            let Some(wanted) = by_key.get(&step.key) else { continue };
            groups.entry((step.to, wanted.resident.node, wanted.job)).or_default().push(wanted);
        }
        let mut targets = BTreeSet::new();
        let mut events = Vec::new();
        for ((to, from, job), group) in groups {
            let Some(target) = self.nodes.get(&to) else { continue };
            let newcomers = group.iter().filter(|w| !back.contains(&(w.resident.key, to))).count();
            if newcomers > 0 && !self.tx.take_room(to, newcomers).await? {
                continue;
            }
            let starts = group.iter().filter_map(|w| {
                let Resident { key, user, identity, .. } = &w.resident;
                let home = home(target, *key, *user, identity.clone()).ok()?;
                Some(StartMove { assign: home.assign, from: Some(from), cause: w.kind.cause(), job: Some(job) })
            });
            let starts: Vec<StartMove> = starts.collect();
            self.tx.start_moves(&starts, self.now).await?;
            let why = self.why(from, to, group[0]);
            let keys: Vec<KeyId> = starts.iter().map(|s| s.assign.key).collect();
            self.tx.set_moves(job, &keys, MoveState::Arriving, Some(&why), self.now).await?;
            tracing::info!(job = job.0, "moving {} {why}", counted(keys.len(), "key"));
            let message = format!("moving {} {why} (job {job})", counted(keys.len(), "key"));
            events.push(Event { at: self.now, kind: "moving", node: Some(to), key: None, message });
            targets.insert(to);
        }
        self.tx.add_events(&events).await?;
        Ok(targets)
    }

    /// "from A (down since 12:03:11: tcp refused) to B (load 0.41; next C 0.47)".
    fn why(&self, from: NodeId, to: NodeId, example: &Wanted) -> String {
        let name = |id: &NodeId| self.nodes.get(id).map_or("a deleted node", |n| n.node.name.as_str());
        let mut text = format!("from {}", name(&from));
        let reason = match (example.kind, self.nodes.get(&from)) {
            (JobKind::Failover, Some(node)) => {
                let state = node.watch.state();
                let since = state.since_ms().and_then(DateTime::from_timestamp_millis);
                let since = since.map(|at| format!(" since {}", at.format("%H:%M:%S"))).unwrap_or_default();
                format!("{}{since}: {}", state.name(), state.why().unwrap_or("no reason known"))
            }
            (JobKind::Undo, _) => "taken back".to_owned(),
            (kind, _) => kind.cause().to_string(),
        };
        // Writing to a string does not fail.
        let _ = write!(text, " ({reason}) to {}", name(&to));
        let fleet: Vec<_> = self.nodes.values().map(|n| n.node.clone()).collect();
        let wants = Wants { avoid: [from].into(), ..Wants::default() };
        let ranked: Vec<String> = explain(&fleet, &wants)
            .iter()
            .filter_map(|verdict| Some((verdict, verdict.load_after?)))
            .take(3)
            .map(|(verdict, load)| format!("{} {load:.2}", verdict.name))
            .collect();
        if !ranked.is_empty() {
            let _ = write!(text, ", loads then {}", ranked.join(", "));
        }
        text
    }

    async fn note_held(&self, wanted: &[Wanted], placed: &Placed) -> Result<(), StoreError> {
        for (job, why, keys) in by_reason(wanted, placed) {
            self.tx.set_moves(job, &keys, MoveState::Waiting, Some(&why), self.now).await?;
        }
        Ok(())
    }
}

/// Keys that fit nowhere, those with the same reasons together. Keys with the same wishes share theirs, which are long:
/// they are put into words once.
fn by_reason(wanted: &[Wanted], placed: &Placed) -> Vec<(JobId, String, Vec<KeyId>)> {
    let jobs: BTreeMap<KeyId, JobId> = wanted.iter().map(|w| (w.resident.key, w.job)).collect();
    let mut groups: BTreeMap<(JobId, *const NoRoom), (String, Vec<KeyId>)> = BTreeMap::new();
    for held in &placed.held {
        if let Some(job) = jobs.get(&held.key) {
            let shared = (*job, Arc::as_ptr(&held.why));
            groups.entry(shared).or_insert_with(|| (held.why.to_string(), Vec::new())).1.push(held.key);
        }
    }
    groups.into_iter().map(|((job, _), (why, keys))| (job, why, keys)).collect()
}
