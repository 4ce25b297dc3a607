//! How the fleet is, and an operator's word that its failures are real.

use chrono::{DateTime, Utc};
use store::{Store, StoreError, events::Event, facts::HoldNote, nodes::NodeRecord};

/// How the fleet is.
#[derive(Debug)]
pub struct FleetHealth {
    /// Why nobody is moved for now, if so.
    pub hold: Option<HoldNote>,
    /// Every node with its health and its last full reading.
    pub nodes: Vec<NodeRecord>,
}

/// How the fleet is now, as far as it is written down.
pub async fn load(store: &Store) -> Result<FleetHealth, StoreError> {
    let read = store.read();
    Ok(FleetHealth { hold: read.hold().await?, nodes: read.nodes().await? })
}

/// Says that failures up to now are real: moves that are held begin with the next pass. False if none were held.
pub async fn release(store: &Store, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let tx = store.write().await?;
    tx.set_released_at(now).await?;
    if tx.read().hold().await?.is_none() {
        tx.commit().await?;
        return Ok(false);
    }
    tx.set_hold(None).await?;
    let message = "an operator said that the failures are real: moves begin".to_owned();
    tx.add_events(&[Event { at: now, kind: "hold", node: None, key: None, message }]).await?;
    tx.commit().await?;
    Ok(true)
}
