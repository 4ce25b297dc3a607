//! Users: Telegram accounts, in a table that other programs may write as well.

use crate::{
    StoreError, View, Write,
    batch::{padded, parts},
    entity::user::{self, Subscription},
    id32, only,
    text::cut,
};
use chrono::{DateTime, Utc};
use fleet::id::UserId;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect, Set,
    sea_query::OnConflict,
};
use std::collections::BTreeMap;

/// A user as everybody sees him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Our id.
    pub id: UserId,
    /// His Telegram id.
    pub telegram_id: i64,
    /// Telegram user name.
    pub username: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Such as `ru`.
    pub language_code: Option<String>,
    /// False once somebody switched the account off.
    pub is_active: bool,
    /// True once somebody blocked it.
    pub is_blocked: bool,
    /// `none`, `active`, `expired` or `suspended`.
    pub subscription_status: &'static str,
    /// When access ends; `None` = never.
    pub valid_until: Option<DateTime<Utc>>,
    /// When the account was made.
    pub created_at: Option<DateTime<Utc>>,
}

/// What the bot tells of a user. Absent members leave what is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// Telegram user name.
    pub username: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Such as `ru`.
    pub language_code: Option<String>,
}

impl User {
    /// Whether the account may have a working key at `now`: switched on, not blocked, not run out.
    pub fn is_entitled(&self, now: DateTime<Utc>) -> bool {
        self.is_active && !self.is_blocked && self.valid_until.is_none_or(|end| end > now)
    }
}

impl<C: ConnectionTrait> View<'_, C> {
    /// The user with this Telegram id.
    pub async fn find_user(&self, telegram_id: i64) -> Result<Option<User>, StoreError> {
        let found = only(user::Entity::find().filter(user::Column::TelegramId.eq(telegram_id)), self.c).await?;
        Ok(found.map(from_row))
    }

    /// Those of these Telegram ids that are known, in no particular order.
    pub async fn users(&self, telegram_ids: &[i64]) -> Result<Vec<User>, StoreError> {
        let mut users = BTreeMap::new();
        for ids in padded(telegram_ids) {
            let found = user::Entity::find().filter(user::Column::TelegramId.is_in(ids)).all(self.c).await?;
            users.extend(found.into_iter().map(|row| (row.telegram_id, from_row(row))));
        }
        Ok(users.into_values().collect())
    }

    /// The Telegram ids of these users, as far as they are known.
    pub async fn telegram_ids(&self, users: &[UserId]) -> Result<BTreeMap<UserId, i64>, StoreError> {
        let users: Vec<i32> = users.iter().map(|user| id32(user.0)).collect();
        let mut known = BTreeMap::new();
        for ids in padded(&users) {
            let rows: Vec<(i32, i64)> = user::Entity::find()
                .select_only()
                .columns([user::Column::Id, user::Column::TelegramId])
                .filter(user::Column::Id.is_in(ids))
                .into_tuple()
                .all(self.c)
                .await?;
            known.extend(rows.into_iter().map(|(id, telegram_id)| (UserId(id.into()), telegram_id)));
        }
        Ok(known)
    }
}

impl Write<'_> {
    /// Adds users with a trial until `valid_until` (`None`: an account that never runs out and has no
    /// subscription); who exists already is left as he is.
    pub async fn add_users(
        &self,
        users: &[(i64, Profile)],
        trial_until: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let status = if trial_until.is_some() { Subscription::Active } else { Subscription::None };
        for chunk in parts(users) {
            let rows = chunk.iter().map(|(telegram_id, profile)| user::ActiveModel {
                telegram_id: Set(*telegram_id),
                username: Set(kept(profile.username.as_deref(), 255)),
                first_name: Set(kept(profile.first_name.as_deref(), 255)),
                last_name: Set(kept(profile.last_name.as_deref(), 255)),
                language_code: Set(kept(profile.language_code.as_deref(), 10)),
                is_active: Set(Some(true)),
                is_blocked: Set(Some(false)),
                created_at: Set(Some(now.into())),
                updated_at: Set(Some(now.into())),
                subscription_status: Set(Some(status)),
                valid_until: Set(trial_until.map(Into::into)),
                ..Default::default()
            });
            user::Entity::insert_many(rows)
                .on_conflict(OnConflict::column(user::Column::TelegramId).do_nothing().to_owned())
                .try_insert()
                .exec_without_returning(&self.tx)
                .await?;
        }
        Ok(())
    }

    /// Takes over what the bot tells of a user; `None` if there is no such user.
    pub async fn update_user(
        &self,
        telegram_id: i64,
        profile: &Profile,
        now: DateTime<Utc>,
    ) -> Result<Option<User>, StoreError> {
        let found = only(user::Entity::find().filter(user::Column::TelegramId.eq(telegram_id)), &self.tx).await?;
        let Some(row) = found else { return Ok(None) };
        let mut row = row.into_active_model();
        let told = [
            (&mut row.username, &profile.username, 255),
            (&mut row.first_name, &profile.first_name, 255),
            (&mut row.last_name, &profile.last_name, 255),
            (&mut row.language_code, &profile.language_code, 10),
        ];
        for (column, value, most) in told {
            if value.is_some() {
                *column = Set(kept(value.as_deref(), most));
            }
        }
        row.updated_at = Set(Some(now.into()));
        Ok(Some(from_row(row.update(&self.tx).await?)))
    }
}

pub(crate) fn from_row(row: user::Model) -> User {
    let subscription_status = match row.subscription_status {
        Some(Subscription::Active) => "active",
        Some(Subscription::Expired) => "expired",
        Some(Subscription::Suspended) => "suspended",
        Some(Subscription::None) | None => "none",
    };
    User {
        id: UserId(row.id.into()),
        telegram_id: row.telegram_id,
        username: row.username,
        first_name: row.first_name,
        last_name: row.last_name,
        language_code: row.language_code,
        is_active: row.is_active.unwrap_or(true),
        is_blocked: row.is_blocked.unwrap_or(false),
        subscription_status,
        valid_until: row.valid_until.map(Into::into),
        created_at: row.created_at.map(Into::into),
    }
}

fn kept(value: Option<&str>, most: usize) -> Option<String> {
    value.map(|text| cut(text, most))
}
