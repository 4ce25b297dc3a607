//! Who runs the loops: at most one process per database, decided by a lock that the operating system or
//! PostgreSQL releases by itself when its holder dies, so that nobody ever waits for a dead one.

use crate::{Store, StoreError, without_password};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement,
    sqlx::sqlite::SqliteConnectOptions,
};
use std::{fs::File, path::PathBuf, str::FromStr as _, time::Duration};

const LOOPS_LOCK: i64 = 0x4d55_5354_4553;

/// The right to run the loops, until it is dropped, its process ends or its database connection breaks.
#[derive(Debug)]
pub struct Lease {
    held: Held,
}

#[derive(Debug)]
enum Held {
    File(#[expect(dead_code, reason = "held open for its lock")] File),
    Connection(DatabaseConnection),
    /// An in-memory database: no other process has it.
    Alone,
}

impl Store {
    /// Takes the lease when nobody has it; `None` while another process does.
    pub async fn find_lease(&self) -> Result<Option<Lease>, StoreError> {
        if self.is_postgres() { postgres_lease(&self.url).await } else { file_lease(&self.url) }
    }
}

impl Lease {
    /// Whether the lease is still ours. False once the database connection that holds it is gone.
    pub async fn is_held(&self) -> bool {
        match &self.held {
            Held::File(_) | Held::Alone => true,
            Held::Connection(db) => still_locked(db).await.unwrap_or(false),
        }
    }
}

/// A lock on a file beside the database.
fn file_lease(url: &str) -> Result<Option<Lease>, StoreError> {
    let options = SqliteConnectOptions::from_str(url).map_err(|e| cannot_lock(&url, &e))?;
    if url.contains(":memory:") {
        return Ok(Some(Lease { held: Held::Alone }));
    }
    let mut path = options.get_filename().as_os_str().to_owned();
    path.push(".loops");
    let path = PathBuf::from(path);
    let file = File::options().create(true).append(true).open(&path).map_err(|e| cannot_lock(&path.display(), &e))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lease { held: Held::File(file) })),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(e)) => Err(cannot_lock(&path.display(), &e)),
    }
}

/// A session lock on a connection of its own: one connection, never recycled.
async fn postgres_lease(url: &str) -> Result<Option<Lease>, StoreError> {
    let mut options = ConnectOptions::new(url);
    options
        .min_connections(1)
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_timeout(Duration::from_secs(5))
        .acquire_timeout(Duration::from_secs(5))
        .sqlx_logging_level(log::LevelFilter::Trace);
    let db = Database::connect(options).await.map_err(|e| cannot_lock(&without_password(url), &e))?;
    if is_true(&db, format!("SELECT pg_try_advisory_lock({LOOPS_LOCK}) AS answer")).await? {
        return Ok(Some(Lease { held: Held::Connection(db) }));
    }
    db.close().await?;
    Ok(None)
}

/// Asks for the lock itself: a pool replaces a broken connection by itself, and the new one answers as well as the
/// old, but holds nothing.
async fn still_locked(db: &DatabaseConnection) -> Result<bool, DbErr> {
    let (high, low) = (LOOPS_LOCK >> 32, LOOPS_LOCK & 0xffff_ffff);
    let mine = format!(
        "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() \
         AND classid = {high} AND objid = {low}) AS answer"
    );
    is_true(db, mine).await
}

async fn is_true(db: &DatabaseConnection, question: String) -> Result<bool, DbErr> {
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, question)).await?;
    Ok(row.map(|r| r.try_get("", "answer")).transpose()?.unwrap_or(false))
}

fn cannot_lock(place: &dyn std::fmt::Display, cause: &dyn std::fmt::Display) -> StoreError {
    StoreError::Database(DbErr::Custom(format!("cannot take the lease at {place}: {cause}")))
}
