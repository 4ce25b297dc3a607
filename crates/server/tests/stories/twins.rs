//! One panel under two names, however that came about.

use crate::world::{World, on_every_database, watchful};
use panel_sim::Generation;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_live_on_under_another_name_of_their_panel_are_not_removed() {
    on_every_database(watchful(), async |world: &mut World| {
        world.node("a", Generation::Three, 200).await;
        for user in 1..=3 {
            world.key(user).await;
        }
        world.node("z", Generation::Three, 200).await;
        let (status, answer) = world.api(Method::POST, "nodes/1/drain", None).await;
        assert_eq!(status, 200, "{answer}");
        world.until("all live on z", async |w: &World| w.residents("z").await == 3).await;
        // An edit does not look at the panel, so this is not refused.
        let token = world.sim("z").create_token("a").unwrap();
        let change = json!({"url": world.sim("z").url(), "token": token});
        let (status, answer) = world.api(Method::PATCH, "nodes/1", Some(change)).await;
        assert_eq!(status, 200, "{answer}");
        world.until_state("a", "up").await;
        world.api(Method::POST, "nodes/1/end-grace", None).await;
        world
            .until("none is left on a by the books", async |w: &World| {
                w.api(Method::GET, "nodes/1", None).await.1["current_users"] == 0
            })
            .await;
        world.settle().await;
        let served = world.clients("z").iter().filter(|c| c.enabled).count();
        assert_eq!(served, 3, "{:?}", world.clients("z"));
    })
    .await;
}
