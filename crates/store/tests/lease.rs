//! Who runs the loops: one at a time, and nobody waits for a dead one.

use crate::scene::Scene;
use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};
use store::{Lease, Store, seal::Sealer};

/// Set for the program that this test starts a second time.
const HOLDER: &str = "MUSTER_TEST_LEASE_HOLDER";

#[tokio::test]
async fn of_two_who_ask_only_the_first_gets_the_lease() {
    for scene in Scene::all().await {
        let other = scene.db.bare().await;
        let lease = scene.store.find_lease().await.unwrap().expect("free");
        assert!(lease.is_held().await);
        assert!(other.find_lease().await.unwrap().is_none(), "{}", scene.db.engine);
        assert!(scene.store.find_lease().await.unwrap().is_none());
        drop(lease);
        let lease = freed(&other).await;
        assert!(lease.is_held().await && scene.store.find_lease().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn databases_have_leases_of_their_own() {
    let mut leases = Vec::new();
    for scene in [Scene::all().await, Scene::all().await].into_iter().flatten() {
        leases.push((scene.store.find_lease().await.unwrap().expect("free"), scene));
    }
}

#[tokio::test]
async fn a_lease_whose_connection_broke_is_known_to_be_lost() {
    for scene in Scene::all().await.into_iter().filter(|s| s.store.is_postgres()) {
        let lease = scene.store.find_lease().await.unwrap().expect("free");
        let holder = "SELECT pg_terminate_backend(pid) AS answer FROM pg_locks WHERE locktype = 'advisory' \
                      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        assert_eq!(scene.ask::<bool>(holder).await, [true]);
        let other = freed(&scene.store).await;
        assert!(!lease.is_held().await, "the pool connected again, but somebody else holds the lock");
        assert!(other.is_held().await);
    }
}

#[tokio::test]
async fn a_killed_holder_frees_the_lease() {
    if let Ok(url) = std::env::var(HOLDER) {
        let store = Store::open(&url, Sealer::new(&[7; 32], &[])).await.unwrap();
        let _lease = store.find_lease().await.unwrap().expect("free");
        println!("\nheld");
        std::future::pending::<()>().await;
    }
    for scene in Scene::all().await {
        let mut holder = holder(&scene.db.url);
        assert!(scene.store.find_lease().await.unwrap().is_none(), "{}", scene.db.engine);
        holder.kill().unwrap();
        holder.wait().unwrap();
        freed(&scene.store).await;
    }
}

/// Another process that holds the lease.
fn holder(url: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lease::a_killed_holder_frees_the_lease", "--nocapture"])
        .env(HOLDER, url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap() == "held"), "the other process never got the lease");
    child
}

/// PostgreSQL notices by itself, a moment later, that a holder is gone; nothing tells us when.
async fn freed(store: &Store) -> Lease {
    for _ in 0..2000 {
        if let Some(lease) = store.find_lease().await.unwrap() {
            return lease;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the lease was never freed");
}
