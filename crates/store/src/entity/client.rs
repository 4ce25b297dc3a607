//! `muster_clients`: every client that Muster ever asked a panel to hold and has not yet seen gone.
//!
//! It has no foreign key to users or keys on purpose: when another program deletes a user, the row stays and
//! says that the client on the panel is ours to remove.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "muster_clients")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub node_id: i32,
    pub inbound_id: i32,
    pub key_id: i32,
    pub name: String,
    pub uuid: String,
    pub sub_id: String,
    pub dirty: bool,
    pub generation: i64,
    pub confirmed_at: Option<DateTimeUtc>,
    pub refusal: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
