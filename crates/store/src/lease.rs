//! Who runs the loops: at most one process per database, decided by a lock that the operating system or
//! PostgreSQL releases by itself when its holder dies, so that nobody ever waits for a dead one.

use crate::{Store, StoreError, without_password};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr};
use std::{fs::File, path::PathBuf, time::Duration};

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
            Held::File(_) => true,
            Held::Connection(db) => db.execute_unprepared("SELECT 1").await.is_ok(),
        }
    }
}

/// A lock on a file beside the database; in-memory databases belong to one process and need none.
fn file_lease(url: &str) -> Result<Option<Lease>, StoreError> {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let path = PathBuf::from(format!("{}.loops", path.split('?').next().unwrap_or_default()));
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
    let asked = sea_orm::Statement::from_string(
        sea_orm::DbBackend::Postgres,
        format!("SELECT pg_try_advisory_lock({LOOPS_LOCK}) AS taken"),
    );
    let row = db.query_one_raw(asked).await?;
    let taken = row.map(|r| r.try_get::<bool>("", "taken")).transpose()?.unwrap_or(false);
    if taken {
        return Ok(Some(Lease { held: Held::Connection(db) }));
    }
    db.close().await?;
    Ok(None)
}

fn cannot_lock(place: &dyn std::fmt::Display, cause: &dyn std::fmt::Display) -> StoreError {
    StoreError::Database(DbErr::Custom(format!("cannot take the lease at {place}: {cause}")))
}
