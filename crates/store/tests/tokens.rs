//! Bearer tokens, and the events that tell what was decided.

use crate::scene::{Scene, now};
use fleet::id::NodeId;
use store::{StoreError, events::Event, tokens::Scope};

#[tokio::test]
async fn a_token_opens_its_scope_until_it_is_revoked() {
    for scene in Scene::all().await {
        let tx = scene.store.write().await.unwrap();
        tx.add_token("bot", Scope::Bot, "clear-1", now()).await.unwrap();
        tx.add_token("ops", Scope::Admin, "clear-2", now()).await.unwrap();
        tx.commit().await.unwrap();
        let read = scene.store.read();
        assert_eq!(read.find_scope("clear-1").await.unwrap(), Some(Scope::Bot));
        assert_eq!(read.find_scope("clear-2").await.unwrap(), Some(Scope::Admin));
        for wrong in ["", "clear-3", "clear-1 ", "CLEAR-1", "\0", "' OR 1=1 --"] {
            assert_eq!(read.find_scope(wrong).await.unwrap(), None, "{wrong:?}");
        }
        let hashes: Vec<String> = scene.ask("SELECT hash AS answer FROM muster_tokens").await;
        assert!(hashes.iter().all(|hash| hash.len() == 64 && !hash.contains("clear")));

        let tx = scene.store.write().await.unwrap();
        assert!(tx.revoke_token("bot", now()).await.unwrap());
        assert!(!tx.revoke_token("bot", now()).await.unwrap(), "once");
        assert!(!tx.revoke_token("no such", now()).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(read.find_scope("clear-1").await.unwrap(), None);
        let listed = read.tokens().await.unwrap();
        let listed: Vec<_> = listed.iter().map(|t| (t.name.as_str(), t.scope, t.revoked_at)).collect();
        assert_eq!(listed, [("bot", Scope::Bot, Some(now())), ("ops", Scope::Admin, None)]);
    }
}

#[tokio::test]
async fn a_name_is_free_again_once_its_token_is_revoked() {
    for scene in Scene::all().await {
        let tx = scene.store.write().await.unwrap();
        tx.add_token("bot", Scope::Bot, "clear-1", now()).await.unwrap();
        tx.commit().await.unwrap();
        let tx = scene.store.write().await.unwrap();
        let taken = tx.add_token("bot", Scope::Read, "clear-2", now()).await;
        assert!(matches!(&taken, Err(StoreError::Exists { name, .. }) if name == "bot"), "{taken:?}");
        drop(tx);
        for clear in ["clear-3", "clear-4", "clear-5"] {
            let tx = scene.store.write().await.unwrap();
            assert!(tx.revoke_token("bot", now()).await.unwrap());
            tx.add_token("bot", Scope::Read, clear, now()).await.unwrap();
            tx.commit().await.unwrap();
        }
        assert_eq!(scene.store.read().tokens().await.unwrap().len(), 4);
    }
}

#[tokio::test]
async fn the_latest_events_come_first() {
    for scene in Scene::all().await {
        let event = |n: i64| Event {
            at: now(),
            kind: "issued",
            node: Some(NodeId(n)),
            key: None,
            message: format!("событие {n}\0"),
        };
        let tx = scene.store.write().await.unwrap();
        tx.add_events(&(0..1234).map(event).collect::<Vec<_>>()).await.unwrap();
        tx.add_events(&[]).await.unwrap();
        tx.commit().await.unwrap();
        let latest = scene.store.read().events(2).await.unwrap();
        let latest: Vec<_> = latest.iter().map(|e| (e.at, e.kind.as_str(), e.message.as_str())).collect();
        assert_eq!(latest, [(now(), "issued", "событие 1233"), (now(), "issued", "событие 1232")]);
        assert_eq!(scene.store.read().events(u64::MAX).await.unwrap().len(), 1234);
    }
}
