//! What was decided and why, for operators.

use crate::{StoreError, View, Write, batch::parts, entity::event, text::cut};
use chrono::{DateTime, Utc};
use fleet::id::{KeyId, NodeId};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: DateTime<Utc>,
    /// A stable word: `issued`, `refreshed`, `revoked`, `replaced`, `drift`, …
    pub kind: &'static str,
    /// Which node, if one.
    pub node: Option<NodeId>,
    /// Which key, if one.
    pub key: Option<KeyId>,
    /// A sentence for people, without secrets.
    pub message: String,
}

/// An event as it was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// As [`Event::kind`].
    pub kind: String,
    /// The sentence.
    pub message: String,
}

impl Write<'_> {
    /// Writes events down.
    pub async fn add_events(&self, events: &[Event]) -> Result<(), StoreError> {
        for chunk in parts(events) {
            let rows = chunk.iter().map(|e| event::ActiveModel {
                at: Set(e.at),
                kind: Set(e.kind.to_owned()),
                node_id: Set(e.node.map(|n| crate::id32(n.0))),
                key_id: Set(e.key.map(|k| crate::id32(k.0))),
                message: Set(cut(&e.message, 4096)),
                ..Default::default()
            });
            event::Entity::insert_many(rows).exec_without_returning(&self.tx).await?;
        }
        Ok(())
    }
}

impl Write<'_> {
    /// Forgets events that are older than this.
    pub async fn forget_events(&self, before: DateTime<Utc>) -> Result<(), StoreError> {
        event::Entity::delete_many().filter(event::Column::At.lt(before)).exec(&self.tx).await?;
        Ok(())
    }
}

impl<C: ConnectionTrait> View<'_, C> {
    /// The latest events, newest first.
    pub async fn events(&self, most: u64) -> Result<Vec<PastEvent>, StoreError> {
        let rows = event::Entity::find()
            .order_by_desc(event::Column::Id)
            .limit(most.min(i64::MAX.unsigned_abs()))
            .all(self.c)
            .await?;
        Ok(rows.into_iter().map(|r| PastEvent { at: r.at, kind: r.kind, message: r.message }).collect())
    }
}
