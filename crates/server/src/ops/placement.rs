//! Which node a key would go to, and why no other.

use fleet::{
    id::NodeId,
    place::{Verdict, Wants, explain},
};
use store::{Store, StoreError, keys::KeyState};

/// Where a key is, or would go.
#[derive(Debug, Clone)]
pub struct Placement {
    /// The node of the key that the user holds now, if he has one.
    pub home: Option<NodeId>,
    /// Every node, best first; the first without reasons against it is where a new key would go.
    pub verdicts: Vec<Verdict>,
}

/// Explains where a key of this user (known or not) lives, or would be placed if it were asked for now. Changes
/// nothing.
pub async fn placement(store: &Store, telegram_id: Option<i64>, wants: &Wants) -> Result<Placement, StoreError> {
    let read = store.read();
    let nodes: Vec<_> = read.nodes().await?.into_iter().map(|n| n.node).collect();
    let mut home = None;
    if let Some(id) = telegram_id
        && let Some(user) = read.find_user(id).await?
    {
        let keys = read.keys_of(&[user.id]).await?;
        home = keys.iter().find(|k| k.state != KeyState::Pending).and_then(|k| k.node);
    }
    Ok(Placement { home, verdicts: explain(&nodes, wants) })
}
