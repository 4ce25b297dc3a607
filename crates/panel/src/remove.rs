//! Making clients be gone: read, delete what is ours, read back, until it is so or there is no point.

use crate::{
    Panel, PanelError,
    batch::Batch,
    call::Fault,
    family::Family,
    report::Removed,
    task::{Next, Task, record},
    wire::client::{Held, Roster},
};
use fleet::{inbound::Inbound, key::Identity};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// How often a deletion is tried before we give up.
const ROUNDS: usize = 3;

type Tasks<'a> = Vec<Task<'a, Identity, Removed>>;

impl Panel {
    /// Makes these clients be gone.
    ///
    /// A client is removed only when its name and its credential or its subscription id are ours. On 2.x it is
    /// removed from this inbound; on 3.x a name is one record for the whole panel, and that is removed, with its
    /// counters. `Removed` is reported only after reading back. Gives as many outcomes as identities, in the same
    /// order; may be repeated.
    ///
    /// 2.x deletes one client per call and refuses to delete an inbound's last one: then a disabled client of ours
    /// is put there first ([`crate::PLACEHOLDER`]). A 2.x client whose row of counters is missing cannot be deleted
    /// at all (`Refused`, "record not found").
    pub async fn remove_clients(&self, inbound: &Inbound, clients: &[Identity]) -> Vec<Result<Removed, PanelError>> {
        let mut tasks: Tasks<'_> = clients.iter().map(Task::new).collect();
        let mut batch = self.writer.lock().await;
        let ended = self.remove_all(inbound, &mut tasks, &mut batch).await.err();
        tasks.into_iter().map(|task| task.close(ended.as_ref())).collect()
    }

    async fn remove_all(&self, inbound: &Inbound, tasks: &mut Tasks<'_>, batch: &mut Batch) -> Result<(), PanelError> {
        for round in 0..=ROUNDS {
            if !tasks.iter().any(Task::is_open) {
                break;
            }
            let family = self.family().await?;
            match self.remove_round(family, inbound, tasks, batch, round == ROUNDS).await {
                Ok(()) => {}
                Err(Fault::Gone(gap)) => {
                    self.family_after(family, gap).await?;
                }
                Err(fault) => return Err(fault.into_error()),
            }
        }
        Ok(())
    }

    /// Reads, settles what is gone or not ours, and unless this is the last round deletes what is ours.
    async fn remove_round(
        &self,
        family: Family,
        inbound: &Inbound,
        tasks: &mut Tasks<'_>,
        batch: &mut Batch,
        last: bool,
    ) -> Result<(), Fault> {
        let roster = if family.has_records() {
            let names: Vec<&str> =
                tasks.iter().filter(|task| task.is_open()).map(|task| task.item.name.as_str()).collect();
            self.roster_of_names(&names).await?
        } else {
            self.roster_of_two(inbound.id).await?.1
        };
        let doomed = plan(inbound, &roster, tasks);
        if last || doomed.is_empty() {
            return Ok(());
        }
        if family.has_records() {
            self.remove_from_three(family, tasks, &doomed, batch).await
        } else {
            self.remove_from_two(family, inbound, &roster, tasks, &doomed).await
        }
    }

    async fn remove_from_three(
        &self,
        family: Family,
        tasks: &mut Tasks<'_>,
        doomed: &[(usize, Held)],
        batch: &mut Batch,
    ) -> Result<(), Fault> {
        let mut rest = doomed;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(batch.size()));
            rest = later;
            let names: Vec<&str> = now.iter().map(|(_, held)| held.name.as_str()).collect();
            let started = Instant::now();
            let result = self.delete_in_three(family, &names).await;
            *batch = match &result {
                Err(Fault::Unclear(_)) => batch.after_silence(now.len()),
                Ok(()) | Err(Fault::Gone(_) | Fault::Error(_)) => batch.after(now.len(), started.elapsed()),
            };
            let concerned: BTreeSet<usize> = now.iter().map(|(at, _)| *at).collect();
            let concerned = tasks.iter_mut().enumerate().filter(|(at, _)| concerned.contains(at));
            if let Next::ReadBack = record(concerned.map(|(_, task)| task), Removed::Removed, result)? {
                break;
            }
        }
        Ok(())
    }

    async fn remove_from_two(
        &self,
        family: Family,
        inbound: &Inbound,
        roster: &Roster,
        tasks: &mut Tasks<'_>,
        doomed: &[(usize, Held)],
    ) -> Result<(), Fault> {
        // An unreadable entry is another client too, but it may be the one that the panel does not count.
        if roster.clients.len() == doomed.len() {
            let concerned: BTreeSet<usize> = doomed.iter().map(|(at, _)| *at).collect();
            match self.add_placeholder(inbound).await {
                Ok(()) => {}
                Err(fault) => {
                    let concerned = tasks.iter_mut().enumerate().filter(|(at, _)| concerned.contains(at));
                    record(concerned.map(|(_, task)| task), Removed::Removed, Err(fault))?;
                    return Ok(());
                }
            }
        }
        for (at, held) in doomed {
            let result = self.delete_in_two(family, inbound, roster, held).await;
            if let Next::ReadBack = record(tasks[*at..=*at].iter_mut(), Removed::Removed, result)? {
                break;
            }
        }
        Ok(())
    }
}

/// Settles what is not there or not ours; gives the others by position, with what the panel holds.
fn plan(inbound: &Inbound, roster: &Roster, tasks: &mut Tasks<'_>) -> Vec<(usize, Held)> {
    let names = roster.names();
    let mut doomed = Vec::new();
    for (at, task) in tasks.iter_mut().enumerate().filter(|(_, task)| task.is_open()) {
        match names.find(task.item.name.as_str()).filter(|held| held.name == task.item.name.as_str()) {
            Some(held) if held.is_of(task.item, &inbound.protocol) => doomed.push((at, held.clone())),
            Some(_) => task.settle(Ok(Removed::NotOurs)),
            None if roster.complete => task.settle(Ok(task.did.unwrap_or(Removed::Absent))),
            None => task.settle(Err(PanelError::unexpected(
                "the panel's clients could not be read completely, so it is unknown whether this one is there",
                b"",
            ))),
        }
    }
    doomed
}
