//! Panels that fail while keys are asked for.

use crate::world::{World, everywhere};
use panel_sim::Fault;
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_lost_after_commit_is_found_out_by_reading_back() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 100).await;
        for (user, fault) in
            [(1, Fault::AnswerLost), (2, Fault::ErrorAfter), (3, Fault::ErrorBefore), (4, Fault::Truncated)]
        {
            world.sim("a").inject_next(fault, 1);
            let (id, _) = world.key(user).await;
            assert_eq!(world.key(user).await.0, id, "{fault:?}: the same key again");
            assert_eq!(world.clients("a").len(), usize::try_from(user).unwrap(), "{fault:?}");
        }
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dark_panel_leads_to_another_node_and_a_dark_fleet_to_a_plain_no() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 100).await;
        world.node("b", generation, 10).await;
        for fault in [Fault::Dead, Fault::BlackHole] {
            world.sim("a").inject(fault);
            let user = if fault == Fault::Dead { 1 } else { 2 };
            let (_, link) = world.key(user).await;
            assert!(link.starts_with("vless://"), "{link}");
            assert_eq!(world.clients("b").len(), usize::try_from(user).unwrap(), "{fault:?}: the other node serves");
            world.sim("a").heal();
            world.until_takes_keys("a").await;
        }
        world.sim("a").inject(Fault::Dead);
        world.sim("b").inject(Fault::Dead);
        let answer = world.full_cycle(3).await;
        assert_eq!((&answer["success"], &answer["final_data"]["vpn_key"]), (&json!(false), &json!(null)), "{answer}");
        let again = world.full_cycle(1).await;
        assert_eq!(again["success"], true, "a key that is there is shown whatever its panel does: {again}");
        world.sim("a").heal();
        world.sim("b").heal();
        // Whoever asks before a node is known to be up again is told that there is none.
        world.until_takes_keys("a").await;
        world.rest().await;
        world.key(3).await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panel_whose_disk_is_full_gets_nobody_and_loses_nobody() {
    everywhere(async |world: &mut World, generation| {
        world.node("full", generation, 1000).await;
        world.node("good", generation, 10).await;
        let (_, before) = world.key(1).await;
        world.sim("full").inject(Fault::Locked);
        for user in 2..=5 {
            world.key(user).await;
        }
        assert_eq!(world.clients("good").len(), 4);
        assert_eq!(world.key(1).await.1, before);
        world.sim("full").heal();
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_panel_is_waited_for() {
    everywhere(async |world: &mut World, generation| {
        world.node("slow", generation, 100).await;
        world.sim("slow").inject(Fault::Slow(Duration::from_millis(300)));
        world.key(1).await;
        world.sim("slow").heal();
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_takes_the_node_out_of_service_until_it_has_a_new_one() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 100).await;
        let (_, link) = world.key(1).await;
        world.sim("a").revoke_tokens();
        world.sim("a").end_sessions();
        if generation == panel_sim::Generation::Three {
            let answer = world.full_cycle(2).await;
            assert_eq!(answer["success"], false, "{answer}");
            assert_eq!(world.key(1).await.1, link, "who has a key keeps it");
            let token = world.sim("a").create_token("new").unwrap();
            let (status, answer) = world.api(Method::PATCH, "nodes/1", Some(json!({"token": token}))).await;
            assert_eq!(status, 200, "{answer}");
            world.until_takes_keys("a").await;
        }
        world.key(2).await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_loses_others_is_noticed_and_repeated() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 100).await;
        world.key(1).await;
        world.sim("a").inject_next(Fault::LostUpdate(Duration::from_millis(150)), 1);
        let stranger =
            json!({"id": "11111111-1111-4111-8111-111111111111", "email": "bob", "enable": true, "subId": "b"});
        let meddling = async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            world.sim("a").add_client(1, stranger);
        };
        tokio::join!(world.key(2), meddling);
        world.key(3).await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_revoked_while_its_panel_takes_it_stays_revoked() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 100).await;
        world.key(1).await;
        let writes = world.sim("a").writes();
        world.sim("a").inject(Fault::Slow(Duration::from_millis(400)));
        let revoked = async {
            world.until("its panel is told", async |w: &World| w.sim("a").writes() > writes).await;
            world.api(Method::DELETE, "users/2/key", None).await
        };
        let (_, (status, answer)) = tokio::join!(world.full_cycle(2), revoked);
        assert_eq!(status, 200, "{answer}");
        world.settle().await;
        assert_eq!(world.clients("a").len(), 1, "the panel took it, and gave it up again");
        world.sim("a").heal();
        world.rest().await;
    })
    .await;
}
