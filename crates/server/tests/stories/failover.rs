//! Nodes that die, are cut off, come back, or seem to.

use crate::world::{World, on_every_database, quick, watchful};
use panel_sim::{Fault, Generation};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

async fn fleet(world: &mut World, users: i64) {
    world.node("a", Generation::Two, 200).await;
    for user in 1..=users {
        world.key(user).await;
    }
    world.node("b", Generation::Three, 200).await;
    world.node("c", Generation::Two, 200).await;
}

fn uuid(link: &str) -> String {
    link.trim_start_matches("vless://").split('@').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_users_of_a_node_that_dies_are_served_elsewhere_with_the_same_key() {
    on_every_database(watchful(), async |world: &mut World| {
        fleet(world, 12).await;
        let before = world.key(3).await;
        world.sim("a").inject(Fault::Dead);
        world.until("everybody has moved", async |w: &World| w.residents("a").await == 0).await;
        let (id, link) = world.key(3).await;
        assert_eq!((id, uuid(&link)), (before.0, uuid(&before.1)), "the same key with another address");
        assert_ne!(link, before.1);
        assert_eq!((world.residents("b").await, world.residents("c").await), (6, 6));
        assert_eq!(world.clients("a").len(), 12, "nobody can have told it");
        let (_, jobs) = world.api(Method::GET, "jobs", None).await;
        let job = &jobs["jobs"][0];
        assert_eq!((&job["kind"], &job["done"]), (&json!("failover"), &json!(12)), "{job}");
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_goes_dark_is_a_dead_node_too() {
    on_every_database(watchful(), async |world: &mut World| {
        fleet(world, 6).await;
        world.sim("a").inject(Fault::Cut);
        world.until("everybody has moved", async |w: &World| w.residents("a").await == 0).await;
        assert_eq!(world.clients("b").len() + world.clients("c").len(), 6);
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blip_shorter_than_the_threshold_moves_nobody() {
    on_every_database(watchful(), async |world: &mut World| {
        fleet(world, 6).await;
        for _ in 0..3 {
            world.sim("a").inject(Fault::Dead);
            world.until_state("a", "suspect").await;
            world.sim("a").heal();
            world.until_state("a", "up").await;
        }
        assert_eq!(world.residents("a").await, 6);
        let (_, jobs) = world.api(Method::GET, "jobs", None).await;
        assert_eq!(jobs["jobs"], json!([]));
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_panel_whose_users_are_served_keeps_them_and_takes_nobody() {
    on_every_database(watchful(), async |world: &mut World| {
        fleet(world, 4).await;
        world.sim("a").inject(Fault::PanelDead);
        world.until_state("a", "degraded").await;
        world.key(50).await;
        assert_eq!(world.residents("a").await, 4, "nobody moved, nobody came");
        world.sim("a").heal();
        world.until_state("a", "up").await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_port_or_a_stopped_xray_is_down_although_the_panel_answers() {
    on_every_database(watchful(), async |world: &mut World| {
        fleet(world, 4).await;
        world.sim("a").inject(Fault::PortClosed);
        world.until("everybody has moved", async |w: &World| w.residents("a").await == 0).await;
        world.sim("a").heal();
        let name = if world.residents("b").await > 0 { "b" } else { "c" };
        world.until_state("a", "up").await;
        world.sim(name).set_xray("stop");
        world.until("everybody has moved", async |w: &World| w.residents(name).await == 0).await;
        assert_eq!(world.state(name).await, "down");
        world.sim(name).set_xray("running");
        world.until_state(name, "up").await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_are_our_mistake_and_move_nobody() {
    on_every_database(watchful(), async |world: &mut World| {
        world.node("a", Generation::Three, 200).await;
        for user in 1..=4 {
            world.key(user).await;
        }
        world.node("b", Generation::Three, 200).await;
        world.sim("a").revoke_tokens();
        world.until_state("a", "misconfigured").await;
        world.key(50).await;
        assert_eq!(world.residents("a").await, 4);
        let token = world.sim("a").create_token("new").unwrap();
        let (status, _) = world.api(Method::PATCH, "nodes/1", Some(json!({"token": token}))).await;
        assert_eq!(status, 200);
        world.until_state("a", "up").await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_two_of_three_die_at_once_we_suspect_ourselves_until_somebody_says_go() {
    on_every_database(watchful(), async |world: &mut World| {
        fleet(world, 6).await;
        for node in ["a", "b"] {
            world.sim(node).inject(Fault::Dead);
        }
        world.until_state("a", "down").await;
        world.until_state("b", "down").await;
        let (_, health) = world.api(Method::GET, "health", None).await;
        assert!(health["hold"]["why"].as_str().unwrap().contains("2 of 3 nodes"), "{health}");
        assert!(health["hold"]["why"].as_str().unwrap().contains("(a, b)"), "{health}");
        world.until("the hold shows on no job", async |w: &World| w.residents("a").await == 6).await;
        let (status, _) = world.api(Method::POST, "health/release", None).await;
        assert_eq!(status, 200);
        world.until("everybody has moved", async |w: &World| w.residents("c").await == 6).await;
        let (_, told) = world.api(Method::GET, "events?most=100", None).await;
        for what in ["(a, b); our own line is the likelier culprit", "moves are no longer held"] {
            assert!(told.to_string().contains(what), "{what}: {told}");
        }
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_returned_node_gets_back_whoever_is_seen_only_there_and_loses_whoever_is_seen_elsewhere() {
    let mut config = watchful();
    config.moves.seen_every = Duration::from_millis(300);
    on_every_database(config, async |world: &mut World| {
        fleet(world, 6).await;
        world.sim("a").inject(Fault::Cut);
        world.until("everybody has moved", async |w: &World| w.residents("a").await == 0).await;
        world.settle().await;
        world.sim("a").heal();
        world.until_state("a", "up").await;
        let email = |world: &World, link: &str| {
            world.clients("a").into_iter().find(|c| c.credential == uuid(link)).unwrap().email
        };
        let (stays, goes) = (world.key(1).await.1, world.key(2).await.1);
        let (stays, goes) = (email(world, &stays), email(world, &goes));
        // The first uses his old link on, the second the new one; panels count at their polls.
        let use_both = async |world: &World| {
            for _ in 0..3 {
                assert!(world.sim("a").use_traffic(&stays, 10, 1000));
                let new_home = world.home(2).await;
                assert!(world.sim(&new_home).use_traffic(&goes, 10, 1000));
                world.sims.values().for_each(|sim| sim.advance(Duration::from_secs(11)));
                tokio::time::sleep(Duration::from_millis(700)).await;
            }
        };
        use_both(world).await;
        world.until("the first is back home", async |w: &World| w.home(1).await == "a").await;
        world
            .until("the second is gone from there", async |w: &World| !w.clients("a").iter().any(|c| c.email == goes))
            .await;
        assert_eq!(world.clients("a").len(), 5, "the others keep both until the grace ends");
        assert_ne!(world.home(2).await, "a");
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_ended_while_its_old_node_was_away_is_the_first_thing_that_node_hears() {
    on_every_database(watchful(), async |world: &mut World| {
        fleet(world, 3).await;
        let (key, link) = world.key(1).await;
        world.sim("a").inject(Fault::Dead);
        world.until("everybody has moved", async |w: &World| w.residents("a").await == 0).await;
        let (_, answer) = world.bot(Method::DELETE, &format!("vpn-key/{key}"), None).await;
        assert_eq!(answer["success"], true, "{answer}");
        world.sim("a").heal();
        world
            .until("the revoked client is gone", async |w: &World| {
                !w.clients("a").iter().any(|c| c.credential == uuid(&link) && c.enabled)
            })
            .await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_dies_while_it_receives_is_replaced() {
    on_every_database(watchful(), async |world: &mut World| {
        fleet(world, 40).await;
        world.node("d", Generation::Three, 200).await;
        world.sim("b").inject(Fault::Slow(Duration::from_millis(1500)));
        world.sim("a").inject(Fault::Dead);
        world.until_state("a", "down").await;
        world
            .until("keys are on their way to b", async |w: &World| !w.store.read().arriving().await.unwrap().is_empty())
            .await;
        // The second failure within a minute is held; an operator confirms it.
        world.sim("b").inject(Fault::Dead);
        world.until_state("b", "down").await;
        world.api(Method::POST, "health/release", None).await;
        world
            .until("everybody is served", async |w: &World| w.residents("c").await + w.residents("d").await == 40)
            .await;
        world.sim("a").heal();
        world.sim("b").heal();
        world.until_state("b", "up").await;
        world.until_state("a", "up").await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_fit_nowhere_stay_and_are_listed_with_the_reason() {
    on_every_database(watchful(), async |world: &mut World| {
        world.node("a", Generation::Three, 200).await;
        for user in 1..=8 {
            world.key(user).await;
        }
        world.node("b", Generation::Three, 3).await;
        world.sim("a").inject(Fault::Dead);
        world.until("three have moved", async |w: &World| w.residents("b").await == 3).await;
        world
            .until("five are listed", async |w: &World| {
                let (_, job) = w.api(Method::GET, "jobs/1", None).await;
                job["waiting"] == 5
                    && job["moves"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .any(|m| m["reason"].as_str().is_some_and(|r| r.contains("it is full (3 of 3)")))
            })
            .await;
        world.sim("a").heal();
        world.until_state("a", "up").await;
        world
            .until("the job is over", async |w: &World| w.api(Method::GET, "jobs/1", None).await.1["state"] == "done")
            .await;
        assert_eq!(world.residents("a").await, 5);
        world.rest().await;
    })
    .await;
}

/// Nothing else would look at the node for minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panel_that_fails_a_write_is_looked_at_and_what_was_seen_is_believed() {
    let mut config = quick();
    config.health.timing.interval = Duration::from_mins(10);
    config.health.timing.liveness = Duration::from_mins(5);
    config.sync.retry_interval = Duration::from_secs(2);
    on_every_database(config, async |world: &mut World| {
        world.node("a", Generation::Two, 200).await;
        world.node("b", Generation::Three, 200).await;
        world.key(1).await;
        let first = world.home(1).await;
        let second = if first == "a" { "b" } else { "a" };
        // Longer than a check of our own may be late.
        sleep(Duration::from_millis(1200)).await;
        world.sim(second).inject(Fault::Dead);
        world.key(2).await;
        world.until_state(second, "suspect").await;
        world.sim(second).heal();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_nodes_users_do_not_wait_for_an_older_order_that_cannot_be_carried_out() {
    on_every_database(watchful(), async |world: &mut World| {
        fleet(world, 4).await;
        // Too slow to take the key before it dies.
        world.sim("b").inject(Fault::Slow(Duration::from_millis(700)));
        let (status, order) = world.api(Method::POST, "users/1/key/move", Some(json!({"to": "b"}))).await;
        assert_eq!(status, 200, "{order}");
        world.sim("b").inject(Fault::Dead);
        world.api(Method::POST, "nodes/2/disable", None).await;
        world
            .until("the order waits", async |w: &World| w.api(Method::GET, "jobs/1", None).await.1["waiting"] == 1)
            .await;
        world.sim("a").inject(Fault::Dead);
        world.until("everybody has moved", async |w: &World| w.residents("c").await == 4).await;
        for node in ["a", "b"] {
            world.sim(node).heal();
            world.until_state(node, "up").await;
        }
        world.rest().await;
    })
    .await;
}
