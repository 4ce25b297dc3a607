//! The quick pass: what is not settled is said to the panel, removals first.

use super::{AFTER_REFUSAL, Sync, SyncError, client};
use fleet::inbound::Inbound;
use panel::{PanelError, Removed};
use store::clients::{ClientRow, Version};
use tokio::time::Instant;

impl Sync {
    pub(super) async fn quick(&mut self) -> Result<(), SyncError> {
        let rows = self.store.read().clients_on(self.node, true).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let node = self.store.read().find_node(self.node).await?.ok_or(SyncError::Deleted)?;
        let Some(inbound) = node.inbound else { return Ok(()) };
        let (wanted, unwanted): (Vec<_>, Vec<_>) =
            rows.into_iter().filter(|r| r.inbound == inbound.id).partition(|r| r.wanted.is_some());
        self.remove(&inbound, &unwanted).await?;
        self.ensure(&inbound, &wanted).await
    }

    /// Removes clients that nobody wants on the node any more. A stranger under a name of ours is not ours to
    /// remove: to us it is gone.
    pub(super) async fn remove(&mut self, inbound: &Inbound, rows: &[ClientRow]) -> Result<(), SyncError> {
        if rows.is_empty() {
            return Ok(());
        }
        let identities: Vec<_> = rows.iter().map(|r| r.identity.clone()).collect();
        let answers = self.panel.remove_clients(inbound, &identities).await;
        let mut gone = Vec::new();
        let mut failure = None;
        for (row, answer) in rows.iter().zip(answers) {
            match answer {
                Ok(Removed::Removed | Removed::Absent | Removed::NotOurs) => gone.push(row.version),
                Err(error) => failure = Some(error),
            }
        }
        self.settle(&[], &gone, &[]).await?;
        self.note(failure, &[])
    }

    /// Makes the panel hold wanted clients as they should be.
    pub(super) async fn ensure(&mut self, inbound: &Inbound, rows: &[ClientRow]) -> Result<(), SyncError> {
        let flow = inbound.flow();
        let clients: Vec<_> = rows.iter().filter_map(|r| Some(client(r, r.wanted?, flow))).collect();
        if clients.is_empty() {
            return Ok(());
        }
        let answers = self.panel.ensure_clients(inbound, &clients).await;
        let mut confirmed = Vec::new();
        let mut refused = Vec::new();
        let mut failure = None;
        for (row, answer) in rows.iter().zip(answers) {
            match answer {
                Ok(_) => confirmed.push(row.version),
                Err(error) if error.is_refused() => {
                    refused.push((row.version, error.to_string()));
                    failure = failure.or(Some(error));
                }
                Err(error) => failure = Some(error),
            }
        }
        self.settle(&confirmed, &[], &refused).await?;
        let all_refused = if confirmed.is_empty() { refused.as_slice() } else { &[] };
        self.note(failure, all_refused)
    }

    /// A refusal of single clients is those clients' trouble; a panel that refuses everything, or fails
    /// otherwise, ends the pass.
    fn note(&mut self, failure: Option<PanelError>, all_refused: &[(Version, String)]) -> Result<(), SyncError> {
        let Some(error) = failure else { return Ok(()) };
        if error.is_refused() && all_refused.is_empty() {
            return Ok(());
        }
        if let Some((_, why)) = all_refused.first() {
            self.refusal = Some((Instant::now(), why.clone()));
        }
        Err(error.into())
    }

    /// The panel's last refusal, while it still counts.
    pub(super) fn recent_refusal(&self) -> Option<&str> {
        let (at, why) = self.refusal.as_ref()?;
        (at.elapsed() < AFTER_REFUSAL).then_some(why.as_str())
    }
}
