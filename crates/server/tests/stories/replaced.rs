//! Panels that come back as something else, strangers on them, and keys that are replaced.

use crate::world::{World, everywhere, is_ours, reality};
use panel_sim::{Fault, Generation};
use reqwest::Method;
use serde_json::{Value, json};

fn uuid_of(link: &str) -> &str {
    link.trim_start_matches("vless://").split('@').next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panel_restored_from_an_old_backup_gets_its_clients_back() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 100).await;
        world.key(1).await;
        world.key(2).await;
        let (revoked, _) = world.key(3).await;
        let backup = world.sim("a").backup();
        for user in 4..=8 {
            world.key(user).await;
        }
        world.bot(Method::DELETE, &format!("vpn-key/{revoked}"), None).await;
        world.settle().await;
        world.sim("a").restore(&backup);
        assert_eq!(world.clients("a").len(), 3);
        world.restart().await;
        world
            .until("the panel is as it was", async |w: &World| {
                w.clients("a").iter().filter(|c| is_ours(&c.email)).count() == 7
            })
            .await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panel_upgraded_between_two_calls_serves_on() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 100).await;
        let (_, before) = world.key(1).await;
        world.sim("a").upgrade();
        world.key(2).await;
        assert_eq!(world.key(1).await.1, before);
        assert_eq!(world.clients("a").len(), 2);
        let answer = world.refresh(1).await;
        assert_eq!(answer["success"], true, "{answer}");
        world.rest().await;
        assert_eq!(world.clients("a").len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_clients_are_never_touched() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 100).await;
        let stranger = |n: u32, comment: &str| {
            json!({"id": format!("1111111{n}-1111-4111-8111-111111111111"), "email": format!("bob{n}"), "enable": true,
                   "subId": format!("bob{n}"), "comment": comment, "limitIp": n, "totalGB": 5})
        };
        for n in 0..3 {
            world.sim("a").add_client(1, stranger(n, "mine"));
        }
        let strangers =
            |world: &World| -> Vec<_> { world.clients("a").into_iter().filter(|c| !is_ours(&c.email)).collect() };
        let before = strangers(world);
        assert_eq!(before.len(), 3);
        for user in 1..=20 {
            world.key(user).await;
        }
        world.refresh(1).await;
        let (key, _) = world.key(2).await;
        world.bot(Method::DELETE, &format!("vpn-key/{key}"), Some(json!({"ensure_x3ui_deletion": true}))).await;
        world.settle().await;
        // Clients that look like another installation's are strangers too.
        world.sim("a").add_client(
            1,
            json!({"id": "22222222-2222-4222-8222-222222222222", "email": "m1-1-abcdef", "enable": true, "subId": "x"}),
        );
        world.restart().await;
        for user in 21..=25 {
            world.key(user).await;
        }
        world.settle().await;
        let after: Vec<_> = strangers(world);
        assert_eq!(after, before);
        assert!(world.clients("a").iter().any(|c| c.email == "m1-1-abcdef"), "another installation's client is gone");
        world.sim("a").remove_client(1, "m1-1-abcdef");
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_replaces_the_key_and_the_old_one_stops_working() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 100).await;
        let (old_id, old) = world.key(1).await;
        let answer = world.refresh(1).await;
        assert_eq!(answer["success"], true, "{answer}");
        let new = answer["vless_url"].as_str().unwrap();
        assert!(answer["id"].as_i64().unwrap() > old_id);
        assert_ne!(uuid_of(new), uuid_of(&old));
        assert_eq!(world.key(1).await.1, new);
        world.settle().await;
        let uuids: Vec<String> = world.clients("a").into_iter().filter(|c| c.enabled).map(|c| c.credential).collect();
        assert_eq!(uuids, [uuid_of(new)]);
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_whose_old_node_is_dead_gives_a_key_at_once_and_removes_the_old_client_later() {
    everywhere(async |world: &mut World, generation| {
        world.node("dying", generation, 100).await;
        let (_, old) = world.key(1).await;
        world.node("alive", generation, 100).await;
        world.sim("dying").inject(Fault::Dead);
        let answer = world.refresh(1).await;
        assert_eq!(answer["success"], true, "{answer}");
        assert_eq!(world.clients("alive").len(), 1);
        assert_eq!(world.clients("dying").len(), 1, "it cannot have heard of it");
        world.sim("dying").heal();
        world
            .until("the old client is gone", async |w: &World| {
                w.clients("dying").iter().all(|c| c.credential != uuid_of(&old) || !c.enabled)
            })
            .await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_that_cannot_be_had_leaves_the_old_key_working() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 1).await;
        let (id, old) = world.key(1).await;
        let answer = world.refresh(1).await;
        assert_eq!(answer["success"], false, "the only place is taken by the old key: {answer}");
        assert!(answer["error"].as_str().is_some_and(|e| !e.is_empty()));
        assert_eq!(world.key(1).await, (id, old));
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_client_of_an_inbound_goes_too_and_lets_nobody_in() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 100).await;
        let (key, _) = world.key(1).await;
        let (status, answer) = world.bot(Method::POST, &format!("vpn-key/{key}"), None).await;
        assert_eq!((status, &answer["success"]), (200, &Value::Bool(true)), "{answer}");
        world.settle().await;
        assert!(world.clients("a").iter().all(|c| !c.enabled && !is_ours(&c.email)), "{:?}", world.clients("a"));
        world.rest().await;
        world.key(1).await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inbound_replaced_by_the_operator_takes_the_keys_along() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 100).await;
        let (id, before) = world.key(1).await;
        let another = world.sim("a").add_inbound(&reality(8443));
        let (status, _) = world.api(Method::PATCH, "nodes/1", Some(json!({"inbound": another}))).await;
        if status != 200 {
            // Refused while keys live on the first: then nothing has changed.
            assert_eq!(status, 409);
            assert_eq!(world.key(1).await, (id, before));
        }
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_are_not_ours_survive_and_what_others_changed_is_set_right() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 100).await;
        world.key(1).await;
        let mine = world.clients("a")[0].clone();
        // Somebody deletes it in the panel's pages: it is back after the next full pass.
        world.sim("a").remove_client(1, &mine.email);
        world.restart().await;
        world.until("it is back", async |w: &World| w.clients("a").iter().any(|c| c.email == mine.email)).await;
        assert_eq!(world.clients("a")[0].credential, mine.credential);
        if generation == Generation::Two {
            assert_eq!(world.clients("a").len(), 1);
        }
        world.rest().await;
    })
    .await;
}
