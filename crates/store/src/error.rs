//! What can go wrong with the database.

use sea_orm::{DbErr, SqlErr};

/// A failure of the store. `Display` says what was being done; the cause is the source.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused a statement or could not be reached.
    #[error("the database did not carry out a statement")]
    Database(#[source] DbErr),
    /// A row holds a value that has no meaning here.
    #[error("row {row} of {table} holds an unusable {column}: {value:?}")]
    Row {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's id.
        row: i64,
        /// What stands there.
        value: String,
    },
    /// A sealed value cannot be opened with the keys at hand.
    #[error("a secret in row {row} of {table} cannot be opened with the key of this installation")]
    Sealed {
        /// The table.
        table: &'static str,
        /// The row's id.
        row: i64,
    },
    /// A value is longer than its column.
    #[error("{what} is too long: {length} bytes, at most {most} fit")]
    TooLong {
        /// What it is, for people.
        what: &'static str,
        /// How long it came.
        length: usize,
        /// How much fits.
        most: usize,
    },
    /// A text holds a NUL character.
    #[error("{what} holds a NUL character, which the database cannot keep")]
    Nul {
        /// What it is, for people.
        what: &'static str,
    },
    /// A row that was to be changed is not there: somebody deleted it meanwhile.
    #[error("there is no {what} {id} any more")]
    Missing {
        /// What kind of thing.
        what: &'static str,
        /// Its id.
        id: i64,
    },
    /// Another row already has this name.
    #[error("{what} {name:?} exists already")]
    Exists {
        /// What kind of thing.
        what: &'static str,
        /// The name that is taken.
        name: String,
    },
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

impl StoreError {
    /// Turns a violated uniqueness into [`StoreError::Exists`]; anything else stays what it is. Constraint names
    /// are not looked at: only PostgreSQL reports them.
    pub(crate) fn exists(error: DbErr, what: &'static str, name: &str) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::Exists { what, name: name.to_owned() },
            _ => Self::Database(error),
        }
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database could not be reached or opened.
    #[error("the database at {url} cannot be opened")]
    Connect {
        /// Where, without any password.
        url: String,
        /// Why.
        #[source]
        source: DbErr,
    },
    /// The sealing key is not the one that this database's secrets were sealed with.
    #[error(
        "the sealing key is not the one that this database's secrets were sealed with: put the right secret.key back, or name it in secrets.key_file"
    )]
    WrongKey,
    /// The check of key or schema failed.
    #[error("the database could not be checked")]
    Check(#[source] StoreError),
}
