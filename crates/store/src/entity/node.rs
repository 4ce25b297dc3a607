//! `vpn_nodes`: the operator's nodes, with what was last observed of each.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "vpn_nodes")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub description: Option<String>,
    pub location: Option<String>,
    pub x3ui_url: String,
    pub x3ui_username: String,
    pub x3ui_password: String,
    pub max_users: Option<i32>,
    pub current_users: Option<i32>,
    pub status: Option<String>,
    pub last_health_check: Option<DateTime>,
    pub health_status: Option<String>,
    pub response_time_ms: Option<i32>,
    pub priority: Option<i32>,
    pub weight: Option<f64>,
    pub created_at: Option<DateTimeUtc>,
    pub updated_at: Option<DateTimeUtc>,
    pub x3ui_token: Option<String>,
    pub x3ui_totp_secret: Option<String>,
    pub tls: String,
    pub allow_http: bool,
    pub host: Option<String>,
    pub inbound_id: Option<i32>,
    #[sea_orm(column_type = "Text")]
    pub inbound_seen: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub health_reason: Option<String>,
    pub panel_version: Option<String>,
    pub revision: i64,
    /// `fleet::health::Health` as JSON.
    #[sea_orm(column_type = "Text")]
    pub health: Option<String>,
    /// The last full `fleet::health::reading::Reading` as JSON.
    #[sea_orm(column_type = "Text")]
    pub reading: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub trouble: Option<String>,
    pub connect_timeout_ms: Option<i32>,
    pub check_timeout_ms: Option<i32>,
    pub xray_version: Option<String>,
    pub cpu: Option<f64>,
    pub mem: Option<f64>,
    pub online_users: Option<i32>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
