//! Nodes that come back as something else, and panels that lie.

use crate::world::{World, on_every_database, reality, watchful};
use panel_sim::{Fault, Generation, Setup, Sim};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_returns_from_an_old_backup_holds_what_it_should_and_no_more() {
    on_every_database(watchful(), async |world: &mut World| {
        world.node("a", Generation::Two, 200).await;
        for user in 1..=4 {
            world.key(user).await;
        }
        let (revoked, _) = world.key(5).await;
        let backup = world.sim("a").backup();
        world.bot(Method::DELETE, &format!("vpn-key/{revoked}"), None).await;
        world.settle().await;
        for user in 6..=8 {
            world.key(user).await;
        }
        world.node("b", Generation::Three, 200).await;
        world.sim("a").inject(Fault::Dead);
        world.until("everybody has moved", async |w: &World| w.residents("b").await == 7).await;
        world.sim("a").restore(&backup);
        world.sim("a").heal();
        world.until_state("a", "up").await;
        // Old clients that are leaving work there again, also those that the backup had not yet; the revoked one does not.
        world.until("the panel is as it should be", async |w: &World| w.clients("a").len() == 7).await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_returns_with_a_newer_panel_is_the_same_node() {
    on_every_database(watchful(), async |world: &mut World| {
        world.node("a", Generation::Two, 200).await;
        for user in 1..=4 {
            world.key(user).await;
        }
        world.node("b", Generation::Two, 200).await;
        world.sim("a").inject(Fault::Dead);
        world.until("everybody has moved", async |w: &World| w.residents("b").await == 4).await;
        world.sim("a").upgrade();
        world.sim("a").heal();
        world.until_state("a", "up").await;
        world.settle().await;
        assert_eq!(world.clients("a").len(), 4, "they work there as well until the moves are settled");
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panel_that_lists_nobody_although_all_are_there_costs_nobody_anything() {
    on_every_database(watchful(), async |world: &mut World| {
        for (name, generation) in [("a", Generation::Two), ("b", Generation::Three)] {
            world.node(name, generation, 200).await;
        }
        for user in 1..=8 {
            world.key(user).await;
        }
        let before = [world.clients("a"), world.clients("b")];
        for name in ["a", "b"] {
            world.sim(name).inject(Fault::EmptyLists);
        }
        let listed = world.sim("a").listings() + world.sim("b").listings();
        world.restart().await;
        world
            .until("both were listed again and again", async |w: &World| {
                w.sim("a").listings() + w.sim("b").listings() > listed + 8
            })
            .await;
        for name in ["a", "b"] {
            world.sim(name).heal();
            world.until_state(name, "up").await;
        }
        world.rest().await;
        assert_eq!([world.clients("a"), world.clients("b")], before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_while_another_is_drained_onto_it_hands_on_what_it_got() {
    on_every_database(watchful(), async |world: &mut World| {
        world.node("a", Generation::Three, 200).await;
        for user in 1..=20 {
            world.key(user).await;
        }
        world.node("b", Generation::Two, 200).await;
        world.sim("b").inject(Fault::Slow(Duration::from_millis(300)));
        let (status, _) = world.api(Method::POST, "nodes/1/drain", Some(json!({}))).await;
        assert_eq!(status, 200);
        world
            .until("keys are on their way", async |w: &World| {
                !w.store.read().arriving().await.unwrap().is_empty() || w.residents("b").await > 0
            })
            .await;
        world.sim("b").inject(Fault::Dead);
        world.until_state("b", "down").await;
        // Nothing takes them but the node that is being emptied: there they stay, served.
        assert!(world.clients("a").len() == 20, "the old clients work on");
        world.node("c", Generation::Three, 200).await;
        world.until("everybody is served by c", async |w: &World| w.residents("c").await == 20).await;
        world.sim("b").heal();
        world.until_state("b", "up").await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_server_loses_nobody_and_gets_nobody_until_somebody_sees_to_it() {
    on_every_database(watchful(), async |world: &mut World| {
        world.node("a", Generation::Three, 200).await;
        for user in 1..=3 {
            world.key(user).await;
        }
        let copy = Sim::start(Generation::Three, Setup::default()).await.unwrap();
        let original = world.store.read().find_node_named("a").await.unwrap().unwrap();
        copy.add_inbound(&reality(original.inbound.unwrap().port));
        let copied = world.clients("a");
        for client in &copied {
            copy.add_client(
                1,
                json!({"id": client.credential, "email": client.email, "subId": client.sub_id, "enable": true}),
            );
        }
        world.join("b", copy, json!({"max_users": 200, "weight": 10})).await;
        world
            .until("what is wrong is said", async |w: &World| {
                let node = w.store.read().find_node_named("b").await.unwrap().unwrap();
                node.trouble.is_some_and(|why| why.contains("3 clients of that node"))
            })
            .await;
        for user in 4..=6 {
            world.key(user).await;
        }
        assert_eq!((world.residents("a").await, world.clients("a").len(), world.clients("b").len()), (6, 6, 3));
        for client in &copied {
            world.sim("b").remove_client(1, &client.email);
        }
        world.restart().await;
        world.until_takes_keys("b").await;
        world.rest().await;
    })
    .await;
}
