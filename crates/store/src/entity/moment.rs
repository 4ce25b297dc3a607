//! A point in time in a table that other programs write.
//!
//! PostgreSQL knows `infinity`, which people use for "never ends", and years that chrono does not: reading those
//! as a plain timestamp panics. Here a moment without an end reads as NULL, one without a beginning as 1970.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ColIdx, QueryResult, TryGetError, TryGetable, Value,
    sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr},
    sqlx::Row as _,
};

/// Seconds from 1970 to 2000, where PostgreSQL starts to count.
const POSTGRES_EPOCH: i64 = 946_684_800;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(DateTime<Utc>);

impl From<DateTime<Utc>> for Moment {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at)
    }
}

impl From<Moment> for DateTime<Utc> {
    fn from(moment: Moment) -> Self {
        moment.0
    }
}

impl From<Moment> for Value {
    fn from(moment: Moment) -> Self {
        moment.0.into()
    }
}

impl TryGetable for Moment {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let Some(postgres) = row.try_as_pg_row() else { return Ok(Self(DateTime::try_get_by(row, index)?)) };
        let null = || TryGetError::Null(format!("{index:?}"));
        let micros: Option<i64> = postgres
            .try_get_unchecked(index.as_sqlx_postgres_index())
            .map_err(|e| sea_orm::DbErr::Query(sea_orm::RuntimeErr::SqlxError(e.into())))?;
        match micros.ok_or_else(null)? {
            i64::MIN => Ok(Self(DateTime::UNIX_EPOCH)),
            micros => DateTime::from_timestamp(POSTGRES_EPOCH, 0)
                .and_then(|epoch| epoch.checked_add_signed(TimeDelta::microseconds(micros)))
                .map(Self)
                .ok_or_else(null),
        }
    }
}

impl ValueType for Moment {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        <DateTime<Utc> as ValueType>::try_from(value).map(Self)
    }

    fn type_name() -> String {
        <DateTime<Utc> as ValueType>::type_name()
    }

    fn array_type() -> ArrayType {
        <DateTime<Utc> as ValueType>::array_type()
    }

    fn column_type() -> ColumnType {
        <DateTime<Utc> as ValueType>::column_type()
    }
}

impl Nullable for Moment {
    fn null() -> Value {
        <DateTime<Utc> as Nullable>::null()
    }
}
