//! Where users were seen, and what they were shown.

use crate::scene::{Scene, now};
use chrono::TimeDelta;
use fleet::key::ClientName;

#[tokio::test]
async fn a_sighting_is_kept_by_node_and_never_goes_back_in_time() {
    for scene in Scene::all().await {
        let (here, there) = (scene.node("ams-1", 5).await, scene.node("ams-2", 5).await);
        let key = scene.issue_confirmed(scene.user(1).await, here).await;
        scene.move_key(key, there, now()).await;
        let name = scene.line(key, here).await.identity.name;
        let stranger = ClientName::from_stored("somebody@else");
        let at = |minutes| now() + TimeDelta::minutes(minutes);
        for (node, seen, expected) in [
            (here, vec![(name.clone(), at(3)), (stranger.clone(), at(9)), (name.clone(), at(1))], at(3)),
            (here, vec![(name.clone(), at(2))], at(3)),
            (here, vec![(name.clone(), at(4))], at(4)),
            (there, vec![], at(4)),
        ] {
            let tx = scene.store.write().await.unwrap();
            tx.set_seen(node, &seen).await.unwrap();
            tx.commit().await.unwrap();
            let moved = scene.left().await.moved;
            assert_eq!(moved.leaving[0].seen_ms, Some(expected.timestamp_millis()), "{}", scene.db.engine);
            assert_eq!(moved.home.seen_ms, None, "not there");
        }
        let [resident] = scene.store.read().residents(&[there], None).await.unwrap().try_into().unwrap();
        assert_eq!(resident.seen_at, Some(at(4)), "anywhere");
    }
}

#[tokio::test]
async fn a_key_remembers_when_it_was_shown() {
    for scene in Scene::all().await {
        let key = scene.issue_confirmed(scene.user(1).await, scene.node("ams-1", 5).await).await;
        assert_eq!((scene.key(key).await.shown_at, scene.key(key).await.moved_at), (None, None));
        let tx = scene.store.write().await.unwrap();
        tx.set_shown(&[key], now()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(scene.key(key).await.shown_at, Some(now()));
    }
}

#[tokio::test]
async fn the_last_release_of_a_hold_is_remembered() {
    for scene in Scene::all().await {
        assert_eq!(scene.store.read().released_at().await.unwrap(), None);
        for at in [now(), now() + TimeDelta::seconds(1)] {
            let tx = scene.store.write().await.unwrap();
            tx.set_released_at(at).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(scene.store.read().released_at().await.unwrap(), Some(at));
        }
    }
}

#[tokio::test]
async fn traffic_is_not_older_than_a_client_that_came_since() {
    for scene in Scene::all().await {
        let (here, there) = (scene.node("ams-1", 5).await, scene.node("ams-2", 5).await);
        let key = scene.issue_confirmed(scene.user(1).await, here).await;
        let at = |seconds| now() + TimeDelta::seconds(seconds);
        scene.move_key(key, there, at(60)).await;
        let name = scene.line(key, there).await.identity.name;
        let first = async |node, after| {
            let tx = scene.store.write().await.unwrap();
            tx.set_seen(node, &[(name.clone(), after)]).await.unwrap();
            tx.set_first_seen(node, &[name.clone(), ClientName::from_stored("somebody@else")], after).await.unwrap();
            tx.commit().await.unwrap();
            let moved = scene.left().await.moved;
            (moved.leaving[0].seen_ms, moved.home.seen_ms)
        };
        let ms = |seconds| Some(at(seconds).timestamp_millis());
        assert_eq!(first(there, at(90)).await, (None, ms(90)), "it was there before");
        assert_eq!(first(here, at(-30)).await, (ms(0), ms(90)), "its client there is older than the move");
        scene.run("UPDATE user_node_assignments SET seen_at = NULL").await;
        assert_eq!(first(there, at(-5)).await, (None, ms(60)), "since it lives there");
    }
}
