//! Nodes, users, keys and assignments, in SQLite or PostgreSQL.
//!
//! [`Store`] is the one way in. [`Store::read`] gives a [`View`] for questions; [`Store::write`] gives a [`Write`], one
//! transaction at a time over the whole database, for whoever reads in order to write. Methods take and return
//! values of `fleet` and of this crate; `SeaORM` and its entities stay inside.
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
//! | which key lives where, and what a panel's word changes | [`assignments`], [`arrivals`] |
//! | keys on the move, and what they left behind | [`moves`], [`leaving`] |
//! | moves that were asked for together | [`jobs`] |
//! | where users were seen, what nodes were like | [`seen`], [`samples`] |
//! | what the bot's backend knows of payments | [`payments`] |
//! | who runs the loops when several controllers share a database | [`lease`] |

pub mod arrivals;
pub mod assignments;
mod batch;
pub mod clients;
mod entity;
pub mod error;
pub mod events;
pub mod facts;
pub mod jobs;
pub mod keys;
pub mod lease;
pub mod leaving;
mod migration;
pub mod moves;
pub mod nodes;
pub mod payments;
pub mod samples;
pub mod schema;
pub mod seal;
pub mod seen;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
pub mod tokens;
pub mod users;

pub use error::{OpenError, StoreError};
pub use lease::Lease;

use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    EntityTrait, RuntimeErr, Select, SqliteTransactionMode, TransactionOptions, TransactionTrait,
    sqlx::{
        Connection as _, PgConnection,
        postgres::PgConnectOptions,
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};
use seal::Sealer;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};

/// One writer at a time also across processes on one PostgreSQL; the number only has to be ours.
const WRITE_LOCK: i64 = 0x4d55_5354_4552;
/// How many connections are held. Reads run side by side, writes queue anyway, and each connection is a thread with
/// its own cache where the database is a file, a process of its own where it is a server.
const CONNECTIONS: u32 = 4;
/// How long a statement may wait for SQLite's write lock or for a free connection.
const WAIT: Duration = Duration::from_secs(10);

/// The database. Cheap to clone; all clones share one pool.
#[derive(Debug, Clone)]
pub struct Store {
    db: DatabaseConnection,
    sealer: Sealer,
    url: String,
    /// Whose turn it is to write, in this process: writers wait here, in order, without holding connections
    /// that readers need, and without the naps in which SQLite asks again and again for its lock.
    turn: Arc<Mutex<()>>,
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
        let db = match Database::connect(options).await {
            Ok(db) => db,
            Err(error) => {
                return Err(OpenError::Connect { url: without_password(url), source: cause(url, error).await });
            }
        };
        Ok(Self { db, sealer, url: url.to_owned(), turn: Arc::default() })
    }

    /// Questions outside any transaction: each sees what was committed when it was asked.
    pub fn read(&self) -> View<'_, DatabaseConnection> {
        View { c: &self.db, sealer: &self.sealer }
    }

    /// The one write transaction: waits until every other one, in any process, has ended. Nothing is kept unless
    /// [`Write::commit`] is called. A task that asks for a second one while it has one waits for itself.
    pub async fn write(&self) -> Result<Write<'_>, StoreError> {
        let options = TransactionOptions {
            isolation_level: None,
            // SQLite has no access modes, and SeaORM warns at every transaction that asks for one.
            access_mode: self.is_postgres().then_some(AccessMode::ReadWrite),
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        };
        let turn = self.turn.lock().await;
        let tx = self.db.begin_with_options(options).await?;
        if self.is_postgres() {
            tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({WRITE_LOCK})")).await?;
        }
        Ok(Write { tx, sealer: &self.sealer, _turn: turn })
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

/// The row of a query that finds one at most. Unlike `one`, without a `LIMIT`: `SQLite` prepares a statement again
/// each time when a bound value limits it, which costs more than to carry it out.
async fn only<E: EntityTrait>(query: Select<E>, c: &impl ConnectionTrait) -> Result<Option<E::Model>, DbErr> {
    Ok(query.all(c).await?.pop())
}

/// The write transaction.
#[derive(Debug)]
pub struct Write<'a> {
    tx: DatabaseTransaction,
    sealer: &'a Sealer,
    _turn: MutexGuard<'a, ()>,
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

/// What is shown of a failure to connect. A pool asks a server that refuses again and again, and in the end says
/// only that it took too long: asked once, without a pool, the server says why. An address that cannot be read is
/// quoted with its password.
async fn cause(url: &str, error: DbErr) -> DbErr {
    if let DbErr::Conn(RuntimeErr::Internal(text)) = error {
        return DbErr::Conn(RuntimeErr::Internal(text.replace(url, &without_password(url))));
    }
    let DbErr::ConnectionAcquire(_) = error else { return error };
    let Ok(options) = url.parse::<PgConnectOptions>() else { return error };
    match timeout(WAIT / 2, PgConnection::connect_with(&options)).await {
        Ok(Err(why)) => DbErr::Conn(RuntimeErr::SqlxError(why.into())),
        Ok(Ok(_)) | Err(_) => error,
    }
}

/// `postgres://user:***@host/db`: what may be shown of a database address.
pub fn without_password(url: &str) -> String {
    let (address, has_options) = url.split_once('?').map_or((url, false), |(address, _)| (address, true));
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let separator = if scheme.is_empty() { "" } else { "://" };
    let options = if has_options { "?…" } else { "" };
    match rest.rsplit_once('@') {
        Some((who, place)) => {
            let user = who.split(':').next().unwrap_or_default();
            format!("{scheme}{separator}{user}:***@{place}{options}")
        }
        None => format!("{scheme}{separator}{rest}{options}"),
    }
}

/// Ids are 32 bits wide in the database that was there before us. Larger ones name no row: the largest number
/// stands for them and finds none.
pub(crate) fn id32(id: i64) -> i32 {
    i32::try_from(id).unwrap_or(i32::MAX)
}

/// Numbers are 32 bits wide as well: the nearest one stands for what is out of range.
pub(crate) fn clamp32(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX })
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn no_spelling_of_an_address_shows_the_password() {
        for (url, shown) in [
            ("postgres://bot:s3cret@db:5432/bot", "postgres://bot:***@db:5432/bot"),
            ("postgres://bot:s3@cret:x@db/bot?sslmode=require", "postgres://bot:***@db/bot?…"),
            ("postgres://db/bot?user=bot&password=s3cret", "postgres://db/bot?…"),
            ("bot:s3cret@db", "bot:***@db"),
            ("sqlite:///var/lib/muster/muster.db", "sqlite:///var/lib/muster/muster.db"),
            ("", ""),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
