//! Payments, as the bot's backend keeps them. Looked at for the pages that show a user; never written.

use crate::{StoreError, View, entity::moment::Moment, id32};
use chrono::{DateTime, Utc};
use fleet::id::UserId;
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

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
    /// The latest payments of a user, newest first. Empty where the database has no table of payments.
    ///
    /// The table is somebody else's: its status may be a text or an enum, its times with or without a zone
    /// (without one they are taken as UTC).
    pub async fn payments(&self, user: UserId, most: u64) -> Result<Vec<Payment>, StoreError> {
        let backend = self.c.get_database_backend();
        let (has_table, payments) = if backend == DbBackend::Postgres {
            (
                "SELECT 1 WHERE to_regclass('payments') IS NOT NULL",
                "SELECT CAST(id AS bigint) AS id, COALESCE(CAST(amount AS double precision), 0) AS amount, \
                 CAST(status AS text) AS status, CAST(created_at AS timestamptz) AS created_at FROM payments \
                 WHERE user_id = $1 ORDER BY payments.created_at DESC NULLS LAST, payments.id DESC LIMIT $2",
            )
        } else {
            (
                "SELECT 1 FROM sqlite_master WHERE name = 'payments'",
                "SELECT id, COALESCE(CAST(amount AS REAL), 0.0) AS amount, CAST(status AS TEXT) AS status, created_at \
                 FROM payments WHERE user_id = ? ORDER BY created_at DESC NULLS LAST, id DESC LIMIT ?",
            )
        };
        if self.c.query_one_raw(Statement::from_string(backend, has_table)).await?.is_none() {
            return Ok(Vec::new());
        }
        let values = [id32(user.0).into(), i64::try_from(most).unwrap_or(i64::MAX).into()];
        let rows = self.c.query_all_raw(Statement::from_sql_and_values(backend, payments, values)).await?;
        rows.iter().map(|row| Ok(Row::from_query_result(row, "")?.into())).collect()
    }
}

#[derive(FromQueryResult)]
struct Row {
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
