//! Facts about this installation.

use crate::{StoreError, View, Write, entity::meta, only};
use chrono::{DateTime, Utc};
use fleet::id::NodeId;
use sea_orm::{ConnectionTrait, EntityTrait, Set, sea_query::OnConflict};
use serde::{Deserialize, Serialize};

const RELEASED_AT: &str = "released_at";
const HOLD: &str = "hold";

/// That nobody is moved for now, for whoever looks from another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldNote {
    /// Why, for people.
    pub why: String,
    /// Since when.
    pub since: DateTime<Utc>,
}

impl<C: ConnectionTrait> View<'_, C> {
    /// When an operator last said that failures all over the fleet are real, and moves may begin.
    pub async fn released_at(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let row = only(meta::Entity::find_by_id(RELEASED_AT), self.c).await?;
        let unusable = |value: String| StoreError::Row { table: "muster_meta", column: "value", row: 0, value };
        let Some(row) = row else { return Ok(None) };
        let at = row.value.parse().ok().and_then(DateTime::from_timestamp_millis);
        at.map(Some).ok_or_else(|| unusable(row.value))
    }
}

impl<C: ConnectionTrait> View<'_, C> {
    /// Why nobody is moved for now, if so.
    pub async fn hold(&self) -> Result<Option<HoldNote>, StoreError> {
        let row = only(meta::Entity::find_by_id(HOLD), self.c).await?;
        // What another version wrote is no reason to fail: the next pass writes it anew.
        Ok(row.and_then(|row| serde_json::from_str(&row.value).ok()))
    }
}

/// That a node's panel refused too many logins, with the settings that the node had then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// The revision of these settings: others may succeed.
    pub revision: i64,
    /// When it refused the last one.
    pub since: DateTime<Utc>,
}

fn silence_of(node: NodeId) -> String {
    format!("silence:{node}")
}

impl<C: ConnectionTrait> View<'_, C> {
    /// When a node's panel last refused too many logins, if it ever did.
    pub async fn silence(&self, node: NodeId) -> Result<Option<Silence>, StoreError> {
        let row = only(meta::Entity::find_by_id(silence_of(node)), self.c).await?;
        Ok(row.and_then(|row| serde_json::from_str(&row.value).ok()))
    }
}

impl Write<'_> {
    /// A node's panel refused too many logins.
    pub async fn set_silence(&self, node: NodeId, silence: Silence) -> Result<(), StoreError> {
        self.set_fact(silence_of(node), serde_json::to_string(&silence).unwrap_or_default()).await
    }

    pub(crate) async fn forget_silence(&self, node: NodeId) -> Result<(), StoreError> {
        meta::Entity::delete_by_id(silence_of(node)).exec(&self.tx).await?;
        Ok(())
    }

    async fn set_fact(&self, name: String, value: String) -> Result<(), StoreError> {
        let row = meta::ActiveModel { name: Set(name), value: Set(value) };
        let again = OnConflict::column(meta::Column::Name).update_column(meta::Column::Value).to_owned();
        meta::Entity::insert(row).on_conflict(again).exec_without_returning(&self.tx).await?;
        Ok(())
    }

    /// Nobody is moved for now, or somebody may be again.
    pub async fn set_hold(&self, hold: Option<&HoldNote>) -> Result<(), StoreError> {
        let Some(hold) = hold else {
            meta::Entity::delete_by_id(HOLD).exec(&self.tx).await?;
            return Ok(());
        };
        self.set_fact(HOLD.to_owned(), serde_json::to_string(hold).unwrap_or_default()).await
    }

    /// An operator says that the failures up to now are real.
    pub async fn set_released_at(&self, at: DateTime<Utc>) -> Result<(), StoreError> {
        self.set_fact(RELEASED_AT.to_owned(), at.timestamp_millis().to_string()).await
    }
}
