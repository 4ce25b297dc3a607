//! The quick pass: what is not settled is said to the panel, removals first.

use super::{AFTER_REFUSAL, Said, Sync, SyncError, client};
use crate::twins::is_one_door;
use fleet::{
    id::{KeyId, NodeId},
    inbound::Inbound,
};
use panel::Removed;
use std::{
    collections::BTreeSet,
    mem::{replace, take},
};
use store::{StoreError, clients::ClientRow};
use tokio::{join, time::Instant};

/// The fewest clients that are worth a call of their own, where there are more: below that what a call costs by
/// itself outweighs what is won.
const SMALL_PART: usize = 250;
/// The most in one call: larger calls are hardly cheaper, and everybody in one waits for all of it.
const LARGE_PART: usize = 500;

impl Sync {
    pub(super) async fn quick(&mut self) -> Result<(), SyncError> {
        let mut said = Said::default();
        let ended = self.say_unsettled(&mut said).await;
        ended.and(self.write_down(said).await)
    }

    /// `said`: what the panel said last and is to be written down yet, however this ends.
    async fn say_unsettled(&mut self, said: &mut Said) -> Result<(), SyncError> {
        let mut told = BTreeSet::new();
        // Whoever asks while the panel works is served in the same pass, but a full one that is due has to come.
        while told.is_empty() || Instant::now() < self.full_due {
            let mut rows = self.store.read().clients_on(self.node, true).await?;
            rows.retain(|row| told.insert(row.version));
            if rows.is_empty() {
                break;
            }
            let node = self.store.read().find_node(self.node).await?.ok_or(SyncError::Deleted)?;
            let Some(inbound) = node.inbound else { break };
            let (wanted, unwanted): (Vec<_>, Vec<_>) =
                rows.into_iter().filter(|r| r.inbound == inbound.id).partition(|r| r.wanted.is_some());
            self.remove(&inbound, &unwanted).await?;
            let (known, fresh) = self.tell_fresh(wanted);
            self.say_all(&inbound, &known, false, said).await?;
            self.say_all(&inbound, &fresh, true, said).await?;
        }
        Ok(())
    }

    /// Parts those that the panel may have been asked for from those that it never was.
    fn tell_fresh(&mut self, rows: Vec<ClientRow>) -> (Vec<ClientRow>, Vec<ClientRow>) {
        let Some(asked) = self.asked else { return (rows, Vec::new()) };
        self.asked = rows.iter().map(|row| row.version.line()).max().max(Some(asked));
        rows.into_iter().partition(|row| row.version.line() <= asked)
    }

    /// Removes clients that nobody wants on the node any more. A stranger under a name of ours is not ours to
    /// remove: to us it is gone.
    pub(super) async fn remove(&mut self, inbound: &Inbound, rows: &[ClientRow]) -> Result<(), SyncError> {
        if rows.is_empty() {
            return Ok(());
        }
        let kept = self.at_home_by_another_name(rows).await?;
        let (kept, rows): (Vec<&ClientRow>, Vec<&ClientRow>) = rows.iter().partition(|row| kept.contains(&row.key));
        let identities: Vec<_> = rows.iter().map(|r| r.identity.clone()).collect();
        let answers = self.panel.remove_clients(inbound, &identities).await;
        let mut said = Said { gone: kept.iter().map(|row| row.version).collect(), ..Said::default() };
        for (row, answer) in rows.iter().zip(answers) {
            match answer {
                Ok(Removed::Removed | Removed::Absent | Removed::NotOurs) => said.gone.push(row.version),
                Err(error) => said.failure = Some(error),
            }
        }
        self.write_down(said).await
    }

    /// The keys of these that live, arrive or are leaving on another node that is this very inbound of this panel: their
    /// clients here are that node's.
    async fn at_home_by_another_name(&self, rows: &[ClientRow]) -> Result<BTreeSet<KeyId>, StoreError> {
        let nodes = self.store.read().nodes().await?;
        let Some(own) = nodes.iter().find(|n| n.node.id == self.node) else { return Ok(BTreeSet::new()) };
        let others: BTreeSet<NodeId> = nodes.iter().filter(|n| is_one_door(own, n)).map(|n| n.node.id).collect();
        if others.is_empty() {
            return Ok(BTreeSet::new());
        }
        let homes = self.store.read().homes_of(&rows.iter().map(|row| row.key).collect::<Vec<_>>()).await?;
        Ok(homes.into_iter().filter(|(_, node)| others.contains(node)).map(|(key, _)| key).collect())
    }

    /// Makes the panel hold wanted clients as they should be.
    pub(super) async fn ensure(&mut self, inbound: &Inbound, rows: &[ClientRow]) -> Result<(), SyncError> {
        let mut said = Said::default();
        let ended = self.say_all(inbound, rows, false, &mut said).await;
        ended.and(self.write_down(said).await)
    }

    /// The same in parts: what the panel said of one is written down, and whoever waits for it is told, while the panel
    /// works on the next. `fresh`: it was never asked for any of these. `said`: as in [`Self::say_unsettled`].
    async fn say_all(
        &mut self,
        inbound: &Inbound,
        rows: &[ClientRow],
        fresh: bool,
        said: &mut Said,
    ) -> Result<(), SyncError> {
        for part in rows.chunks(part_of(rows.len())) {
            if said.ends_the_pass() {
                return self.write_down(take(said)).await;
            }
            let (answers, settled) = join!(self.say(inbound, part, fresh), self.settle(said));
            let written = replace(said, answers);
            settled?;
            self.note(written)?;
        }
        Ok(())
    }

    async fn write_down(&mut self, said: Said) -> Result<(), SyncError> {
        self.settle(&said).await?;
        self.note(said)
    }

    async fn say(&self, inbound: &Inbound, rows: &[ClientRow], fresh: bool) -> Said {
        let flow = inbound.flow();
        let clients: Vec<_> = rows.iter().filter_map(|r| Some(client(r, r.wanted?, flow))).collect();
        let answers = if fresh {
            self.panel.add_clients(inbound, &clients).await
        } else {
            self.panel.ensure_clients(inbound, &clients).await
        };
        let mut said = Said::default();
        for (row, answer) in rows.iter().zip(answers) {
            match answer {
                Ok(_) => said.confirmed.push(row.version),
                Err(error) if error.is_refused() => {
                    said.refused.push((row.version, error.to_string()));
                    said.failure = said.failure.or(Some(error));
                }
                Err(error) => said.failure = Some(error),
            }
        }
        said
    }

    fn note(&mut self, said: Said) -> Result<(), SyncError> {
        let (ends, refused_all) = (said.ends_the_pass(), said.is_refusal());
        let Some(error) = said.failure.filter(|_| ends) else { return Ok(()) };
        if let Some((_, why)) = said.refused.into_iter().next().filter(|_| refused_all) {
            self.refusal = Some((Instant::now(), why));
        }
        Err(error.into())
    }

    /// The panel's last refusal, while it still counts.
    pub(super) fn recent_refusal(&self) -> Option<&str> {
        let (at, why) = self.refusal.as_ref()?;
        (at.elapsed() < AFTER_REFUSAL).then_some(why.as_str())
    }
}

impl Said {
    fn is_refusal(&self) -> bool {
        self.confirmed.is_empty() && !self.refused.is_empty()
    }

    /// A refusal of single clients is those clients' trouble; a panel that refuses everything, or fails otherwise,
    /// ends the pass.
    fn ends_the_pass(&self) -> bool {
        self.failure.as_ref().is_some_and(|error| !error.is_refused() || self.is_refusal())
    }
}

/// How many of so many clients go into one call: all, where half would be too few.
fn part_of(clients: usize) -> usize {
    let parts = (clients / SMALL_PART).clamp(1, 2).max(clients.div_ceil(LARGE_PART));
    clients.div_ceil(parts).max(1)
}

#[cfg(test)]
mod tests {
    use super::part_of;

    #[test]
    fn parts_are_of_one_size_and_neither_too_small_nor_too_large() {
        let parts = [0, 1, 250, 251, 499, 500, 501, 1000, 1001, 10_000].map(part_of);
        assert_eq!(parts, [1, 1, 250, 251, 499, 250, 251, 500, 334, 500]);
    }
}
