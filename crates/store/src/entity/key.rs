//! `vpn_keys`: what users hold; `muster_*` columns are ours, the rest may be read by other programs.

use super::moment::Moment;
use sea_orm::{entity::prelude::*, sea_query::Expr};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "vpn_keys")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub user_id: i32,
    pub node_id: Option<i32>,
    pub uuid: String,
    pub key_name: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub vless_url: String,
    pub status: Option<String>,
    pub xui_email: String,
    pub xui_client_id: Option<String>,
    pub xui_inbound_id: Option<i32>,
    pub created_at: Option<Moment>,
    pub updated_at: Option<Moment>,
    pub expires_at: Option<Moment>,
    pub muster_state: Option<String>,
    pub muster_sub_id: Option<String>,
    /// When anybody was last given the link that the key has now.
    pub muster_shown_at: Option<DateTimeUtc>,
    /// When it last began to point to another node.
    pub muster_moved_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// True for keys in force, as far as we decide it, that live nowhere. In the very words of the index on them, without
/// which no database would use it.
pub(crate) fn is_homeless() -> Expr {
    Expr::cust(r#""vpn_keys"."node_id" IS NULL AND "vpn_keys"."muster_state" = 'active'"#)
}
