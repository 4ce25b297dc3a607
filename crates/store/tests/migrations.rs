//! Installing into a database and leaving it again.

use crate::{
    picture::{Picture, differences, picture},
    scene::{Scene, ask, now, raw},
};
use fleet::settle::Cause;
use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use std::error::Error as _;
use store::{OpenError, Store, jobs::JobKind, keys::KeyState, seal::Sealer, testing::TestDatabase};

const BOT: &str = include_str!("bot_schema.sql");

async fn tables(raw: &DatabaseConnection, is_postgres: bool) -> Vec<String> {
    let query = if is_postgres {
        "SELECT tablename::text AS answer FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    } else {
        "SELECT name AS answer FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1"
    };
    ask(raw, query).await
}

#[tokio::test]
async fn an_empty_database_is_empty_again_after_up_and_down() {
    for db in TestDatabase::all().await {
        let (store, raw) = (db.bare().await, raw(&db).await);
        for _ in 0..3 {
            assert!(store.migrations().await.unwrap().iter().all(|m| !m.applied));
            assert!(tables(&raw, store.is_postgres()).await.is_empty(), "asking writes nothing");
            store.migrate_up().await.unwrap();
            let installed = tables(&raw, store.is_postgres()).await;
            for table in ["users", "vpn_keys", "vpn_nodes", "user_node_assignments", "muster_clients"] {
                assert!(installed.iter().any(|t| t == table), "{table} on {}", db.engine);
            }
            store.migrate_up().await.unwrap();
            assert_eq!(tables(&raw, store.is_postgres()).await, installed, "a second time changes nothing");
            let states = store.migrations().await.unwrap();
            assert!(!states.is_empty() && states.iter().all(|m| m.applied), "{states:?}");
            store.migrate_down().await.unwrap();
            store.migrate_down().await.unwrap();
        }
        assert!(tables(&raw, store.is_postgres()).await.is_empty());
        if store.is_postgres() {
            let types = "SELECT count(*) AS answer FROM pg_type WHERE typnamespace = 'public'::regnamespace";
            assert_eq!(ask::<i64>(&raw, types).await, [0]);
        }
    }
}

#[tokio::test]
async fn a_database_that_is_not_prepared_says_so() {
    for db in TestDatabase::all().await {
        let store = db.bare().await;
        assert!(store.migrations().await.unwrap().iter().all(|m| !m.applied));
        let refused = store.check_key().await.unwrap_err();
        assert!(matches!(refused, OpenError::Check(_)), "{refused:?}");
        let mut told = refused.to_string();
        let mut cause = refused.source();
        while let Some(error) = cause {
            told.push_str(": ");
            told.push_str(&error.to_string());
            cause = error.source();
        }
        assert!(told.contains("muster_meta"), "{told}");
        assert!(store.read().nodes().await.is_err());
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    let mut urls = vec!["postgres://muster:s3cret@127.0.0.1:notaport/bot".to_owned()];
    if let Some(db) = TestDatabase::postgres().await {
        urls.push(db.url.replace("postgres@", "postgres:s3cret@") + "_which_does_not_exist");
    }
    for url in urls {
        let refused = Store::open(&url, Sealer::new(&[7; 32], &[])).await.unwrap_err();
        let shown = url.replace("s3cret", "***");
        assert_eq!(refused.to_string(), format!("the database at {shown} cannot be opened"));
        assert!(refused.source().is_some() && !format!("{refused:?}").contains("s3cret"), "{refused:?}");
    }
}

/// The rows that were there before, which are all that must be as they were: what was done in between stays.
fn without_newcomers(mut after: Picture, before: &Picture) -> (Picture, Picture) {
    let mut newcomers = Picture::new();
    for table in ["rows of users", "rows of vpn_keys", "rows of active_keys"] {
        let old = &before[table];
        let rows = after.get_mut(table).expect("the table");
        let (kept, new): (Vec<_>, Vec<_>) = rows.drain(..).partition(|row| old.contains(row));
        *rows = kept;
        newcomers.insert(table.to_owned(), new);
    }
    (after, newcomers)
}

#[tokio::test]
async fn the_bots_database_is_left_as_it_was_found() {
    let Some(db) = TestDatabase::postgres().await else { return };
    let raw = raw(&db).await;
    raw.execute_unprepared(BOT).await.unwrap();
    let before = picture(&raw).await;
    let sizes = ["columns", "functions", "rows of payments"].map(|section| before[section].len());
    assert!(sizes[0] > 50 && sizes[1] > 1 && sizes[2] == 3, "{sizes:?}");

    let store = db.bare().await;
    assert!(store.migrations().await.unwrap().iter().all(|m| !m.applied));
    assert_eq!(differences(&before, &picture(&raw).await), Vec::<String>::new(), "asking writes nothing");
    store.migrate_up().await.unwrap();
    let installed = differences(&before, &picture(&raw).await);
    for section in ["columns", "constraints", "indexes", "sequences", "triggers", "rows of vpn_keys"] {
        assert!(installed.iter().any(|d| d.contains(section)), "the picture shows no new {section}: {installed:#?}");
    }
    store.migrate_down().await.unwrap();
    assert_eq!(differences(&before, &picture(&raw).await), Vec::<String>::new(), "up and down at once");

    store.migrate_up().await.unwrap();
    let scene = Scene { db, store, raw };
    work(&scene).await;
    scene.store.migrate_down().await.unwrap();
    let (mut after, newcomers) = without_newcomers(picture(&scene.raw).await, &before);
    // Numbers that were given out are not given out again.
    for sequence in ["position of users_id_seq", "position of vpn_keys_id_seq"] {
        after.insert(sequence.to_owned(), before[sequence].clone());
    }
    assert_eq!(differences(&before, &after), Vec::<String>::new());

    // What stays of our work: the accounts, and the keys that somebody was shown, as rows of no node of ours.
    // The pending key, which nobody ever saw, is gone.
    assert_eq!(newcomers["rows of users"].len(), 3);
    let keys = &newcomers["rows of vpn_keys"];
    let with = |what: &str| keys.iter().filter(|row| row.contains(what)).count();
    assert_eq!((keys.len(), with("\"status\": \"active\""), with("\"status\": \"revoked\"")), (2, 1, 1), "{keys:?}");
    assert_eq!(with("\"node_id\": null"), 2);

    scene.store.migrate_up().await.unwrap();
    let known = scene.store.read().find_user(9001).await.unwrap().expect("from the last time");
    assert_eq!(scene.keys(known.id).await[0].state, KeyState::Foreign, "a key of an earlier installation");
}

/// Users and keys of ours beside the bot's: one key in force, one ended, one pending.
async fn work(scene: &Scene) {
    let boris = scene.store.read().find_user(1002).await.unwrap().expect("there before us");
    let keys = scene.keys(boris.id).await;
    assert_eq!((keys.len(), keys[0].state), (1, KeyState::Foreign), "in upper case, and not the revoked one");
    assert_eq!(boris.username.as_deref(), Some("борис"));
    assert_eq!(scene.store.read().find_user(1004).await.unwrap().expect("there").valid_until, None, "infinity");
    assert_eq!(
        scene.store.read().payments(&[boris.id], 5).await.unwrap()[&boris.id][0].status.as_deref(),
        Some("PENDING")
    );

    let (here, there) = (scene.node("ams-1", 5).await, scene.node("ams-2", 5).await);
    let used = scene.issue_confirmed(scene.user(9001).await, here).await;
    let key = &scene.keys(scene.store.read().find_user(9001).await.unwrap().expect("ours").id).await[0];
    scene.release(used, None).await;
    scene.send(key, there).await;
    scene.confirm(&[scene.line(used, there).await.version]).await;
    let ended = scene.issue_confirmed(scene.user(9002).await, here).await;
    scene.end(ended).await;
    scene.issue(scene.user(9003).await, here).await;
    // A move that is under way when we leave, and one that is not settled.
    let job = scene.job(JobKind::Drain, Some(there), None).await;
    assert!(scene.start(used, here, Cause::Drain, Some(job)).await);
    scene.confirm(&[scene.line(used, here).await.version]).await;
    assert!(scene.start(used, there, Cause::Drain, Some(job)).await);
    let tx = scene.store.write().await.unwrap();
    tx.set_shown(&[used], now()).await.unwrap();
    tx.commit().await.unwrap();
    scene.store.check_key().await.unwrap();
}

#[tokio::test]
async fn leaving_a_database_of_our_own_takes_the_users_along() {
    for scene in Scene::all().await {
        let node = scene.node("ams-1", 5).await;
        scene.issue_confirmed(scene.user(1).await, node).await;
        scene.store.migrate_down().await.unwrap();
        assert!(tables(&scene.raw, scene.store.is_postgres()).await.is_empty(), "{}", scene.db.engine);
    }
}
