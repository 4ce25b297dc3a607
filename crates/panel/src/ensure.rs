//! Making clients be there: read, write what differs, read back, until it is so or there is no point.
//!
//! Reading comes first on both generations. It costs one call, and it is what makes the rest simple: strangers are
//! never written to, a repetition writes nothing, a changed value really changes (3.x answers a creation of what
//! exists with success and changes nothing), and what 3.x then reports as created needs no second look, since it
//! was not there before and nobody else gives our names. Everything else is believed only when it was read back:
//! 2.x tells whoever lost a race that all went well, and gives a new client the counters and limits that a failed
//! addition of that name left behind.
//!
//! Only clients that the panel was never asked for are added unread: their names and subscription ids were drawn a
//! moment ago, so the panel can hold nothing of ours under them, and both generations refuse a name that a stranger
//! has.

use crate::{
    Panel, PanelError,
    batch::Batch,
    call::Fault,
    family::Family,
    report::{Ensured, Outcome},
    task::{Next, Task, record},
    wire::client::{Held, Roster, Rows},
};
use fleet::{client::Client, inbound::Inbound};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// How often missing things are written before we give up; on a 2.x panel that others write to, a round is lost
/// now and then.
const ROUNDS: usize = 4;

type Tasks<'a> = Vec<Task<'a, Client, Ensured>>;

/// What one reading says is to be done, by position among the tasks.
#[derive(Default)]
struct Plan {
    add: Vec<usize>,
    attach: Vec<(usize, Held)>,
    update: Vec<(usize, Held)>,
    /// Somebody is there just so, if only his row of counters says so too.
    wants_rows: bool,
}

impl Panel {
    /// Makes these clients be on the inbound with exactly these values. Fields that are not ours (comment, limits of
    /// addresses, groups, what a newer panel may add) keep their values.
    ///
    /// Gives as many outcomes as clients, in the same order. May be repeated; a repetition writes nothing. A client
    /// whose name on the panel belongs to somebody with another credential and another subscription id is
    /// [`PanelError::Refused`] and left alone; so is, on 2.x, one whose name is on another inbound, and a name that
    /// comes twice in `clients`. [`PanelError::Unclear`] is what could not be settled by reading back.
    ///
    /// New clients cost one call per batch (500 to begin with) and one reading for all; a changed client costs one
    /// call. Writers of one panel take turns, so this may wait for another one.
    pub async fn ensure_clients(&self, inbound: &Inbound, clients: &[Client]) -> Vec<Outcome> {
        self.write_clients(inbound, clients, true).await
    }

    /// The same for clients that this panel was never asked to hold, by anybody: it saves the reading before the first
    /// write. Of one that is there all the same, say after the restoration of a backup, 3.x keeps the old values, and
    /// nobody notices before the next [`Panel::observe`].
    pub async fn add_clients(&self, inbound: &Inbound, clients: &[Client]) -> Vec<Outcome> {
        self.write_clients(inbound, clients, false).await
    }

    async fn write_clients(&self, inbound: &Inbound, clients: &[Client], read_first: bool) -> Vec<Outcome> {
        let mut names = BTreeSet::new();
        let mut tasks: Tasks<'_> = clients.iter().map(Task::new).collect();
        for task in &mut tasks {
            task.is_clean = !read_first;
            if !names.insert(task.item.identity.name.as_str()) {
                task.settle(Err(PanelError::refused("the same name was given twice in one call")));
            }
        }
        let mut batch = self.writer.lock().await;
        let ended = self.ensure_all(inbound, &mut tasks, &mut batch, read_first).await.err();
        tasks.into_iter().map(|task| task.close(ended.as_ref())).collect()
    }

    async fn ensure_all(
        &self,
        inbound: &Inbound,
        tasks: &mut Tasks<'_>,
        batch: &mut Batch,
        read_first: bool,
    ) -> Result<(), PanelError> {
        for round in 0..=ROUNDS {
            if !tasks.iter().any(Task::is_open) {
                break;
            }
            let family = self.family().await?;
            let done = if round == 0 && !read_first {
                let all = tasks.iter().enumerate().filter(|(_, task)| task.is_open()).map(|(at, _)| at).collect();
                self.add(family, inbound, tasks, all, batch).await.map(|_| ())
            } else {
                self.ensure_round(family, inbound, tasks, batch, round == ROUNDS).await
            };
            match done {
                Ok(()) => {}
                Err(Fault::Gone(gap)) => {
                    self.family_after(family, gap).await?;
                }
                Err(fault) => return Err(fault.into_error()),
            }
        }
        Ok(())
    }

    /// Reads, settles what is as it should be, and unless this is the last round writes what is not.
    async fn ensure_round(
        &self,
        family: Family,
        inbound: &Inbound,
        tasks: &mut Tasks<'_>,
        batch: &mut Batch,
        last: bool,
    ) -> Result<(), Fault> {
        let (mut roster, rows) = self.read(family, inbound, tasks).await?;
        let mut plan = plan(family, inbound, &roster, rows.as_ref(), tasks);
        if plan.wants_rows {
            let (again, rows) = self.roster_of_two_with_rows(inbound.id).await?;
            roster = again;
            plan = self::plan(family, inbound, &roster, Some(&rows), tasks);
        }
        if last {
            return Ok(());
        }
        if let Next::ReadBack = self.add(family, inbound, tasks, plan.add, batch).await? {
            return Ok(());
        }
        for (at, held) in plan.attach {
            let result = self.attach_in_three(inbound, &held).await;
            if let Next::ReadBack = record(tasks[at..=at].iter_mut(), Ensured::Updated, result)? {
                return Ok(());
            }
        }
        for (at, held) in plan.update {
            let client = tasks[at].item;
            let result = if family.has_records() {
                self.update_in_three(inbound, &held, client).await
            } else {
                self.update_in_two(inbound, &roster, &held, client).await
            };
            if let Next::ReadBack = record(tasks[at..=at].iter_mut(), Ensured::Updated, result)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What there is of the clients that are not settled; with their rows where these are sure to be asked for.
    async fn read(
        &self,
        family: Family,
        inbound: &Inbound,
        tasks: &Tasks<'_>,
    ) -> Result<(Roster, Option<Rows>), Fault> {
        let open = || tasks.iter().filter(|task| task.is_open());
        if family.has_records() {
            let names: Vec<&str> = open().map(|task| task.item.identity.name.as_str()).collect();
            // Whoever has our name in another spelling is not found by asking for it, and is why the panel refuses it.
            let refused = open().any(Task::was_refused);
            let roster = if refused { self.roster_of_three().await? } else { self.roster_of_names(&names).await? };
            return Ok((roster, Some(Rows::new())));
        }
        if open().any(|task| task.did.is_some() && !task.was_taken_at_once()) {
            let (roster, rows) = self.roster_of_two_with_rows(inbound.id).await?;
            return Ok((roster, Some(rows)));
        }
        Ok((self.roster_of_two(inbound.id).await?.1, None))
    }

    async fn add(
        &self,
        family: Family,
        inbound: &Inbound,
        tasks: &mut Tasks<'_>,
        mut missing: Vec<usize>,
        batch: &mut Batch,
    ) -> Result<Next, Fault> {
        while !missing.is_empty() {
            let now: Vec<usize> = missing.drain(..missing.len().min(batch.size())).collect();
            let clients: Vec<&Client> = now.iter().map(|&at| tasks[at].item).collect();
            let started = Instant::now();
            let result = if family.has_records() {
                self.add_to_three(family, inbound, &clients).await
            } else {
                self.add_to_two(inbound, &clients).await.map(|()| BTreeMap::new())
            };
            *batch = match &result {
                Err(Fault::Unclear(_)) => batch.after_silence(now.len()),
                Ok(_) | Err(Fault::Gone(_) | Fault::Error(_)) => batch.after(now.len(), started.elapsed()),
            };
            match result {
                Ok(skipped) => {
                    for &at in &now {
                        added(family, &mut tasks[at], &skipped);
                    }
                }
                Err(Fault::Error(PanelError::Refused { message })) if culprit(&message).is_some() => {
                    self.settle_names_elsewhere(inbound, tasks, &now).await?;
                    for &at in &now {
                        refused(&mut tasks[at], &message);
                    }
                }
                Err(fault) => {
                    let concerned = tasks.iter_mut().enumerate().filter(|(at, _)| now.contains(at));
                    let next = record(concerned.map(|(_, task)| task), Ensured::Added, Err(fault))?;
                    if let Next::ReadBack = next {
                        return Ok(next);
                    }
                }
            }
        }
        Ok(Next::On)
    }

    /// Settles those whose names other inbounds of a 2.x panel have, so that the rest goes through in the next round.
    async fn settle_names_elsewhere(
        &self,
        inbound: &Inbound,
        tasks: &mut Tasks<'_>,
        now: &[usize],
    ) -> Result<(), Fault> {
        let clients: Vec<&Client> = now.iter().map(|&at| tasks[at].item).collect();
        let elsewhere = self.names_elsewhere(inbound.id, &clients).await?;
        for &at in now {
            if let Some(reason) = elsewhere.get(tasks[at].item.identity.name.as_str()) {
                tasks[at].settle(Err(PanelError::refused(reason)));
            }
        }
        Ok(())
    }
}

/// Takes down that an addition succeeded, but for those that were skipped.
fn added(family: Family, task: &mut Task<'_, Client, Ensured>, skipped: &BTreeMap<String, String>) {
    match skipped.get(task.item.identity.name.as_str()) {
        Some(reason) => refused(task, reason),
        None if family.has_records() && task.item.enabled => task.settle(Ok(Ensured::Added)),
        None => task.succeeded(Ensured::Added),
    }
}

/// Takes down a refusal. Both generations refuse a whole batch for one name that is taken, and say which.
fn refused(task: &mut Task<'_, Client, Ensured>, message: &str) {
    match culprit(message) {
        Some(name) if !name.eq_ignore_ascii_case(task.item.identity.name.as_str()) => task.held_up(message),
        Some(_) | None => task.refused(message),
    }
}

fn culprit(message: &str) -> Option<&str> {
    message.strip_prefix("Duplicate email: ")
}

/// Compares what should be with what is; settles what agrees or must be left alone.
fn plan(family: Family, inbound: &Inbound, roster: &Roster, rows: Option<&Rows>, tasks: &mut Tasks<'_>) -> Plan {
    let mut plan = Plan::default();
    let names = roster.names();
    for (at, task) in tasks.iter_mut().enumerate().filter(|(_, task)| task.is_open()) {
        let identity = &task.item.identity;
        let Some(held) = names.find(identity.name.as_str()) else {
            plan.add.push(at);
            continue;
        };
        if held.name != identity.name.as_str() {
            task.settle(Err(PanelError::refused(format!("the name is taken in another spelling: {}", held.name))));
        } else if !held.is_of(identity, &inbound.protocol) {
            task.settle(Err(PanelError::refused(
                "a client of this name with another credential and another subscription id is on the panel; it is \
                 not ours, so it is left alone",
            )));
        } else if family.has_records() && !held.inbounds.contains(&inbound.id.0) {
            plan.attach.push((at, held.clone()));
        } else if held.is_like(task.item, &inbound.protocol) {
            match rows.map(|rows| rows.get(&held.name)) {
                None if !task.was_taken_at_once() => plan.wants_rows = true,
                Some(Some(row)) if !row.is_like(task.item) => plan.update.push((at, held.clone())),
                None | Some(_) => task.settle(Ok(task.did.unwrap_or(Ensured::Unchanged))),
            }
        } else {
            plan.update.push((at, held.clone()));
        }
    }
    plan
}
