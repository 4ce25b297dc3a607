//! Facts about this installation.

use crate::{StoreError, View, Write, entity::meta};
use chrono::{DateTime, Utc};
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
        let row = meta::Entity::find_by_id(RELEASED_AT).one(self.c).await?;
        let unusable = |value: String| StoreError::Row { table: "muster_meta", column: "value", row: 0, value };
        let Some(row) = row else { return Ok(None) };
        let at = row.value.parse().ok().and_then(DateTime::from_timestamp_millis);
        at.map(Some).ok_or_else(|| unusable(row.value))
    }
}

impl<C: ConnectionTrait> View<'_, C> {
    /// Why nobody is moved for now, if so.
    pub async fn hold(&self) -> Result<Option<HoldNote>, StoreError> {
        let row = meta::Entity::find_by_id(HOLD).one(self.c).await?;
        // What another version wrote is no reason to fail: the next pass writes it anew.
        Ok(row.and_then(|row| serde_json::from_str(&row.value).ok()))
    }
}

impl Write<'_> {
    /// Nobody is moved for now, or somebody may be again.
    pub async fn set_hold(&self, hold: Option<&HoldNote>) -> Result<(), StoreError> {
        let Some(hold) = hold else {
            meta::Entity::delete_by_id(HOLD).exec(&self.tx).await?;
            return Ok(());
        };
        let value = serde_json::to_string(hold).unwrap_or_default();
        let row = meta::ActiveModel { name: Set(HOLD.to_owned()), value: Set(value) };
        let again = OnConflict::column(meta::Column::Name).update_column(meta::Column::Value).to_owned();
        meta::Entity::insert(row).on_conflict(again).exec_without_returning(&self.tx).await?;
        Ok(())
    }

    /// An operator says that the failures up to now are real.
    pub async fn set_released_at(&self, at: DateTime<Utc>) -> Result<(), StoreError> {
        let row =
            meta::ActiveModel { name: Set(RELEASED_AT.to_owned()), value: Set(at.timestamp_millis().to_string()) };
        let again = OnConflict::column(meta::Column::Name).update_column(meta::Column::Value).to_owned();
        meta::Entity::insert(row).on_conflict(again).exec_without_returning(&self.tx).await?;
        Ok(())
    }
}
