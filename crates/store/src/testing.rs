//! Throw-away databases for tests: SQLite always, PostgreSQL where `MUSTER_TEST_POSTGRES` names a server.

use crate::{Store, seal::Sealer};
use rand::TryRngCore as _;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbErr};
use std::env;

/// A database of its own for one test; gone when it is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    /// Where it is.
    pub url: String,
    /// `sqlite` or `postgres`, for messages.
    pub engine: &'static str,
    folder: tempfile::TempDir,
    #[expect(dead_code, reason = "kept for what happens when it is dropped")]
    on_server: Option<OnServer>,
}

/// What seals panel secrets in tests.
pub fn sealer() -> Sealer {
    Sealer::new(&[7; 32], &[])
}

/// A database that must be dropped.
#[derive(Debug)]
struct OnServer {
    server: String,
    name: String,
}

#[expect(clippy::missing_panics_doc, reason = "a test that gets no database has failed")]
impl TestDatabase {
    /// One empty database per engine to test on. PostgreSQL is left out only where no server is named and
    /// `MUSTER_REQUIRE_POSTGRES` is not set.
    pub async fn all() -> Vec<Self> {
        let mut all = vec![Self::sqlite()];
        all.extend(Self::postgres().await);
        all
    }

    /// An empty SQLite database.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite://{}", folder.path().join("test.db").display());
        Self { url, engine: "sqlite", folder, on_server: None }
    }

    /// An empty PostgreSQL database, where there is a server.
    pub async fn postgres() -> Option<Self> {
        let Ok(server) = env::var("MUSTER_TEST_POSTGRES") else {
            assert!(env::var("MUSTER_REQUIRE_POSTGRES").is_err(), "MUSTER_TEST_POSTGRES must name a server");
            return None;
        };
        let name = format!("muster_test_{:016x}", rand::rngs::OsRng.try_next_u64().expect("random bytes"));
        run(&server, &format!("CREATE DATABASE {name}")).await.expect("a database of its own");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = named(&server, &name);
        Some(Self { url, engine: "postgres", folder, on_server: Some(OnServer { server, name }) })
    }

    /// A store on it, without tables yet.
    pub async fn bare(&self) -> Store {
        Store::open(&self.url, sealer()).await.expect("a store")
    }

    /// A store on it, with tables.
    pub async fn store(&self) -> Store {
        let store = self.bare().await;
        store.migrate_up().await.expect("migrated");
        store
    }

    /// A folder that lives as long as this.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

impl Drop for OnServer {
    /// On a thread of its own, for a test's runtime cannot be waited for from within.
    fn drop(&mut self) {
        let (server, drop) = (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run(&server, &drop)).map_err(std::io::Error::other)
        });
        if let Ok(Err(error)) = dropping.join() {
            tracing::warn!(%error, "database {} stays on the test server", self.name);
        }
    }
}

async fn run(server: &str, statement: &str) -> Result<(), DbErr> {
    let mut options = ConnectOptions::new(server);
    options.max_connections(1).sqlx_logging(false);
    let admin = Database::connect(options).await?;
    admin.execute_unprepared(statement).await?;
    admin.close().await
}

/// The server's address with another database in it.
fn named(server: &str, database: &str) -> String {
    let (address, options) = server.split_once('?').unwrap_or((server, ""));
    let (scheme, rest) = address.split_once("://").expect("a scheme in MUSTER_TEST_POSTGRES");
    let place = rest.split_once('/').map_or(rest, |(place, _)| place);
    let options = if options.is_empty() { String::new() } else { format!("?{options}") };
    format!("{scheme}://{place}/{database}{options}")
}
