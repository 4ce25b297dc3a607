//! `muster_moves`: what becomes of each key of a job. Keys, users and nodes may be gone: this is history.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "muster_moves")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub job_id: i32,
    pub key_id: i32,
    pub user_id: i32,
    pub from_node: Option<i32>,
    pub to_node: Option<i32>,
    pub state: String,
    #[sea_orm(column_type = "Text")]
    pub reason: Option<String>,
    pub at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
