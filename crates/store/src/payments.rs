//! Payments, as the bot's backend keeps them. Looked at for the pages that show a user; never written.

use crate::{StoreError, View, batch::padded, entity::moment::Moment, id32};
use chrono::{DateTime, Utc};
use fleet::id::UserId;
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};
use std::{collections::BTreeMap, iter};

/// One payment.
#[derive(Debug, Clone, PartialEq)]
pub struct Payment {
    /// Its id in that table.
    pub id: i64,
    /// How much, in the bot's currency; 0 where nothing is written.
    pub amount: f64,
    /// The bot's word for where it stands.
    pub status: Option<String>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
}

impl<C: ConnectionTrait> View<'_, C> {
    /// The latest payments of each of these users, newest first, at most so many of each; users without any are left
    /// out. Empty where the database has no table of payments.
    ///
    /// The table is somebody else's: its status may be a text or an enum, its times with or without a zone
    /// (without one they are taken as UTC).
    pub async fn payments(&self, users: &[UserId], most: u64) -> Result<BTreeMap<UserId, Vec<Payment>>, StoreError> {
        let backend = self.c.get_database_backend();
        let (has_table, columns) = if backend == DbBackend::Postgres {
            (
                "SELECT 1 WHERE to_regclass('payments') IS NOT NULL",
                "CAST(user_id AS integer) AS user_id, CAST(id AS bigint) AS id, \
                 COALESCE(CAST(amount AS double precision), 0) AS amount, CAST(status AS text) AS status, \
                 CAST(created_at AS timestamptz) AS created_at",
            )
        } else {
            (
                "SELECT 1 FROM sqlite_master WHERE name = 'payments'",
                "user_id, id, COALESCE(CAST(amount AS REAL), 0.0) AS amount, CAST(status AS TEXT) AS status, created_at",
            )
        };
        let mut payments: BTreeMap<UserId, Vec<Payment>> = BTreeMap::new();
        if self.c.query_one_raw(Statement::from_string(backend, has_table)).await?.is_none() {
            return Ok(payments);
        }
        let users: Vec<i32> = users.iter().map(|user| id32(user.0)).collect();
        for users in padded(&users) {
            // SQLite knows this way of numbering as well.
            let places: Vec<String> = (2..users.len() + 2).map(|n| format!("${n}")).collect();
            let latest = format!(
                "SELECT * FROM (SELECT {columns}, ROW_NUMBER() OVER (PARTITION BY user_id \
                 ORDER BY payments.created_at DESC NULLS LAST, payments.id DESC) AS place \
                 FROM payments WHERE user_id IN ({})) AS latest WHERE place <= $1 ORDER BY user_id, place",
                places.join(", "),
            );
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let values = iter::once(most.into()).chain(users.into_iter().map(Into::into));
            for row in self.c.query_all_raw(Statement::from_sql_and_values(backend, latest, values)).await? {
                let row = Row::from_query_result(&row, "")?;
                payments.entry(UserId(row.user_id.into())).or_default().push(row.into());
            }
        }
        Ok(payments)
    }
}

#[derive(FromQueryResult)]
struct Row {
    user_id: i32,
    id: i64,
    amount: f64,
    status: Option<String>,
    created_at: Option<Moment>,
}

impl From<Row> for Payment {
    fn from(row: Row) -> Self {
        Self { id: row.id, amount: row.amount, status: row.status, created_at: row.created_at.map(Into::into) }
    }
}
