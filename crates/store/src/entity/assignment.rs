//! `user_node_assignments`: which key lives, lived or is leaving where.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "user_node_assignments")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub user_id: i32,
    pub node_id: i32,
    pub assigned_at: DateTimeUtc,
    pub is_active: bool,
    pub xui_inbound_id: Option<i32>,
    pub xui_client_email: Option<String>,
    pub key_id: Option<i32>,
    pub state: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
