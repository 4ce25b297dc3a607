//! `muster_samples`: what nodes were like. Small numbers, for there are a million of them.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "muster_samples")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub node_id: i32,
    /// 0: as it was measured; 1: ten minutes in one; 2: an hour; 3: six hours.
    #[sea_orm(primary_key, auto_increment = false)]
    pub step: i16,
    /// Seconds since 1970.
    #[sea_orm(primary_key, auto_increment = false)]
    pub at: i64,
    /// The larger, the worse.
    pub health: i16,
    pub response_ms: Option<i32>,
    /// Tenths of a percent.
    pub cpu: Option<i16>,
    /// Tenths of a percent.
    pub mem: Option<i16>,
    pub online: Option<i32>,
    /// Only where it is another one than before.
    pub xray: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
