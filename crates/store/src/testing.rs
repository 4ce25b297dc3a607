//! Throw-away databases for tests: SQLite always, PostgreSQL where `MUSTER_TEST_POSTGRES` names a server.

use crate::{Store, seal::Sealer};
use rand::TryRngCore as _;
use sea_orm::{ConnectionTrait, Database};
use std::env;

/// A database of its own for one test; gone when it is dropped (SQLite) or with its server (PostgreSQL).
#[derive(Debug)]
pub struct TestDatabase {
    /// Where it is.
    pub url: String,
    /// `sqlite` or `postgres`, for messages.
    pub engine: &'static str,
    folder: tempfile::TempDir,
}

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
        Self { url, engine: "sqlite", folder }
    }

    /// An empty PostgreSQL database, where there is a server.
    pub async fn postgres() -> Option<Self> {
        let Ok(server) = env::var("MUSTER_TEST_POSTGRES") else {
            assert!(env::var("MUSTER_REQUIRE_POSTGRES").is_err(), "MUSTER_TEST_POSTGRES must name a server");
            return None;
        };
        let name = format!("muster_test_{:016x}", rand::rngs::OsRng.try_next_u64().expect("random bytes"));
        let admin = Database::connect(&server).await.expect("the test server");
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("a database of its own");
        admin.close().await.expect("closed");
        let (head, _) = server.rsplit_once('/').expect("a database in the URL");
        let folder = tempfile::tempdir().expect("a temporary folder");
        Some(Self { url: format!("{head}/{name}"), engine: "postgres", folder })
    }

    /// A store on it, without tables yet.
    pub async fn bare(&self) -> Store {
        Store::open(&self.url, Sealer::new(&[7; 32], &[])).await.expect("a store")
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
