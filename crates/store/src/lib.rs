//! Nodes, users, keys and assignments, in SQLite or PostgreSQL.
//!
//! [`Store`] is the one way in. [`Store::read`] gives a [`View`] for questions; [`Store::write`] gives a [`Write`], one
//! transaction at a time over the whole database, for whoever reads in order to write. Methods take and return
//! values of `fleet` and of this crate; SeaORM and its entities stay inside.
//!
//! The crate makes no choices (that is `fleet`) and speaks to no panel (that is `panel`). It reads no clock: the
//! time is an argument wherever a row keeps one.
//!
//! | to find | open |
//! |---|---|
//! | a table | `entity/`, its history in `migration/` |
//! | how a node is kept, and its secrets sealed | [`nodes`], [`seal`] |
//! | users and their keys, as the bot's database has them | [`users`], [`keys`] |
//! | which clients of ours a panel may hold | [`clients`] |
//! | who runs the loops when several controllers share a database | [`lease`] |

pub mod clients;
mod entity;
pub mod error;
pub mod events;
pub mod keys;
pub mod lease;
mod migration;
pub mod nodes;
pub mod schema;
pub mod seal;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tokens;
pub mod users;

pub use error::{OpenError, StoreError};

use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};
use seal::Sealer;
use std::time::Duration;

/// One writer at a time also across processes on one PostgreSQL; the number only has to be ours.
const WRITE_LOCK: i64 = 0x4d55_5354_4552;
/// How many connections are held. Reads run side by side; writes queue anyway.
const CONNECTIONS: u32 = 8;
/// How long a statement may wait for SQLite's write lock or for a free connection.
const WAIT: Duration = Duration::from_secs(10);

/// The database. Cheap to clone; all clones share one pool.
#[derive(Debug, Clone)]
pub struct Store {
    db: DatabaseConnection,
    sealer: Sealer,
    url: String,
}

impl Store {
    /// Connects to `url` (`sqlite://path` or `postgres://…`); an SQLite file is created when missing.
    ///
    /// Touches no table; see [`Store::migrate_up`] and [`Store::check_key`]. Fails when the database cannot be
    /// reached; the error names it without its password.
    pub async fn open(url: &str, sealer: Sealer) -> Result<Self, OpenError> {
        let mut options = ConnectOptions::new(url);
        options
            .max_connections(CONNECTIONS)
            .acquire_timeout(WAIT)
            .connect_timeout(WAIT)
            .sqlx_logging_level(log::LevelFilter::Trace)
            .sqlx_slow_statements_logging_settings(log::LevelFilter::Warn, Duration::from_secs(2))
            .map_sqlx_sqlite_opts(|o| {
                o.create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal)
                    .foreign_keys(true)
                    .busy_timeout(WAIT)
            });
        let db = Database::connect(options)
            .await
            .map_err(|source| OpenError::Connect { url: without_password(url), source })?;
        Ok(Self { db, sealer, url: url.to_owned() })
    }

    /// Questions outside any transaction: each sees what was committed when it was asked.
    pub fn read(&self) -> View<'_, DatabaseConnection> {
        View { c: &self.db, sealer: &self.sealer }
    }

    /// The one write transaction: waits until every other one, in any process, has ended. Nothing is kept unless
    /// [`Write::commit`] is called.
    pub async fn write(&self) -> Result<Write<'_>, StoreError> {
        let options = TransactionOptions {
            isolation_level: None,
            access_mode: Some(AccessMode::ReadWrite),
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        };
        let tx = self.db.begin_with_options(options).await?;
        if self.is_postgres() {
            tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({WRITE_LOCK})")).await?;
        }
        Ok(Write { tx, sealer: &self.sealer })
    }

    /// Whether this is PostgreSQL, which other programs may share, and not our own SQLite file.
    pub fn is_postgres(&self) -> bool {
        self.db.get_database_backend() == DbBackend::Postgres
    }

    /// Closes the pool; every later call fails.
    pub async fn close(self) {
        if let Err(error) = self.db.close().await {
            tracing::debug!(%error, "the database did not close cleanly");
        }
    }
}

/// Questions, inside or outside a transaction.
#[derive(Debug)]
pub struct View<'a, C> {
    c: &'a C,
    sealer: &'a Sealer,
}

/// The write transaction.
#[derive(Debug)]
pub struct Write<'a> {
    tx: DatabaseTransaction,
    sealer: &'a Sealer,
}

impl Write<'_> {
    /// Questions that see what this transaction has written so far.
    pub fn read(&self) -> View<'_, DatabaseTransaction> {
        View { c: &self.tx, sealer: self.sealer }
    }

    /// Makes everything permanent, for every reader at once.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.tx.commit().await?)
    }
}

/// `postgres://user:***@host/db`: what may be shown of a database address.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((who, place)) = rest.rsplit_once('@') else { return url.to_owned() };
    let user = who.split(':').next().unwrap_or_default();
    format!("{scheme}://{user}:***@{place}")
}

/// Ids and numbers are 32 bits wide in the database that was there before us. Larger ones name no row: the
/// largest number stands for them and finds none.
pub(crate) fn id32(id: i64) -> i32 {
    i32::try_from(id).unwrap_or(i32::MAX)
}
