//! `users`: Telegram accounts, shared with the bot's other programs.

use super::moment::Moment;
use sea_orm::entity::prelude::*;

/// The enum type `user_subscription_status` of the existing database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "user_subscription_status")]
pub enum Subscription {
    #[sea_orm(string_value = "none")]
    None,
    #[sea_orm(string_value = "active")]
    Active,
    #[sea_orm(string_value = "expired")]
    Expired,
    #[sea_orm(string_value = "suspended")]
    Suspended,
}

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub telegram_id: i64,
    pub username: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub language_code: Option<String>,
    pub is_active: Option<bool>,
    pub is_blocked: Option<bool>,
    pub created_at: Option<Moment>,
    pub updated_at: Option<Moment>,
    pub subscription_status: Option<Subscription>,
    pub valid_until: Option<Moment>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
