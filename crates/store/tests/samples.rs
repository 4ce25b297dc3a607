//! Samples of nodes, and how they are thinned.

use crate::scene::{Scene, now};
use chrono::{DateTime, TimeDelta, Utc};
use fleet::id::NodeId;
use store::samples::{Condition, NewSample, Sample, Step, Thinned};

fn sample(node: NodeId, health: Condition) -> NewSample {
    NewSample {
        node,
        health,
        response_ms: Some(40),
        cpu_percent: Some(12.34),
        mem_percent: Some(f64::NAN),
        online_users: Some(3),
        xray_version: Some("25.6.8".to_owned()),
    }
}

async fn add(scene: &Scene, samples: &[NewSample], at: DateTime<Utc>) {
    let tx = scene.store.write().await.unwrap();
    tx.add_samples(samples, at).await.unwrap();
    tx.commit().await.unwrap();
}

async fn thin(scene: &Scene, at: DateTime<Utc>) -> Thinned {
    let tx = scene.store.write().await.unwrap();
    let thinned = tx.thin_samples(at).await.unwrap();
    tx.commit().await.unwrap();
    thinned
}

async fn samples(scene: &Scene, node: NodeId) -> Vec<Sample> {
    let (from, until) = (now() - TimeDelta::days(800), now() + TimeDelta::days(800));
    scene.store.read().samples(node, from, until).await.unwrap()
}

#[tokio::test]
async fn a_sample_is_kept_as_far_as_it_is_known() {
    for scene in Scene::all().await {
        let node = scene.node("ams-1", 5).await;
        let gone = NodeId(node.0 + 1);
        add(&scene, &[sample(node, Condition::Up), sample(gone, Condition::Up)], now()).await;
        add(&scene, &[sample(node, Condition::Down)], now()).await;
        let expected = Sample {
            at: now(),
            step: Step::Raw,
            health: Condition::Up,
            response_ms: Some(40),
            cpu_percent: Some(12.3),
            mem_percent: None,
            online_users: Some(3),
            xray_version: Some("25.6.8".to_owned()),
        };
        assert_eq!(samples(&scene, node).await, [expected], "one for a second");
        assert!(samples(&scene, gone).await.is_empty());
        assert_eq!(scene.store.read().samples(node, now() + TimeDelta::seconds(1), now()).await.unwrap(), []);
        let tx = scene.store.write().await.unwrap();
        assert!(tx.delete_node(node).await.unwrap());
        tx.commit().await.unwrap();
        assert!(samples(&scene, node).await.is_empty());
    }
}

#[tokio::test]
async fn a_version_is_kept_where_it_becomes_another_one() {
    for scene in Scene::all().await {
        let (node, other) = (scene.node("ams-1", 5).await, scene.node("ams-2", 5).await);
        for (minute, version) in ["25.6.8", "25.6.8", "25.12.1", "", "25.12.1", "25.6.8"].into_iter().enumerate() {
            let version = Some(version.to_owned()).filter(|v| !v.is_empty());
            let of = |node| NewSample { xray_version: version.clone(), ..sample(node, Condition::Up) };
            add(&scene, &[of(node), of(other)], now() + TimeDelta::minutes(i64::try_from(minute).unwrap())).await;
        }
        for node in [node, other] {
            let versions: Vec<_> = samples(&scene, node).await.into_iter().map(|s| s.xray_version).collect();
            let versions: Vec<_> = versions.iter().map(Option::as_deref).collect();
            assert_eq!(versions, [Some("25.6.8"), None, Some("25.12.1"), None, None, Some("25.6.8")]);
        }
    }
}

#[tokio::test]
async fn old_samples_are_drawn_together_and_the_oldest_dropped() {
    for scene in Scene::all().await {
        let (node, other) = (scene.node("ams-1", 5).await, scene.node("ams-2", 5).await);
        // The second falls into the same ten minutes as the first, the third into the same hour.
        let start = DateTime::from_timestamp(now().timestamp().div_euclid(3600) * 3600, 0).unwrap();
        let at = |minutes| start + TimeDelta::minutes(minutes);
        let of = |response_ms, mem_percent, online_users, version: &str| NewSample {
            response_ms,
            mem_percent: Some(mem_percent),
            online_users: Some(online_users),
            xray_version: Some(version.to_owned()),
            ..sample(node, Condition::Up)
        };
        add(&scene, &[of(Some(10), 50.0, 9, "25.6.8"), sample(other, Condition::Suspect)], at(1)).await;
        let down = NewSample { health: Condition::Down, cpu_percent: None, ..of(None, 70.0, 2, "25.12.1") };
        add(&scene, &[down], at(2)).await;
        add(&scene, &[of(Some(31), 60.0, 4, "25.6.8")], at(3)).await;
        add(&scene, &[of(Some(100), 10.0, 1, "25.6.8")], at(15)).await;
        let before = samples(&scene, node).await;
        assert_eq!(thin(&scene, at(1) + TimeDelta::days(1)).await, Thinned::default());
        assert_eq!(samples(&scene, node).await, before, "not old enough");

        let thinned = thin(&scene, at(10) + TimeDelta::days(1)).await;
        assert_eq!(thinned, Thinned { folded: 4, dropped: 0, more: false });
        let [ten, raw] = samples(&scene, node).await.try_into().unwrap();
        assert_eq!((ten.at, ten.step, ten.health), (start, Step::TenMinutes, Condition::Down), "the worst");
        assert_eq!((ten.response_ms, ten.cpu_percent), (Some(21), Some(12.3)), "on average");
        assert_eq!((ten.mem_percent, ten.online_users), (Some(70.0), Some(9)), "at most");
        assert_eq!((ten.xray_version.as_deref(), raw.step, raw.at), (Some("25.6.8"), Step::Raw, at(15)), "the last");
        assert_eq!(samples(&scene, other).await[0].health, Condition::Suspect);

        thin(&scene, at(70) + TimeDelta::days(7)).await;
        thin(&scene, at(70) + TimeDelta::days(7)).await;
        let [hour] = samples(&scene, node).await.try_into().unwrap();
        assert_eq!((hour.at, hour.step, hour.health), (start, Step::Hour, Condition::Down));
        assert_eq!((hour.response_ms, hour.online_users), (Some(61), Some(9)));
        assert_eq!(thin(&scene, at(0) + TimeDelta::days(90)).await, Thinned::default());
        let season = at(360) + TimeDelta::days(90);
        assert_eq!(thin(&scene, season).await, Thinned { folded: 2, dropped: 0, more: false });
        let [six] = samples(&scene, node).await.try_into().unwrap();
        assert_eq!((six.step, six.health, six.response_ms), (Step::SixHours, Condition::Down, Some(61)));
        assert_eq!(six.at.timestamp(), start.timestamp().div_euclid(6 * 3600) * 6 * 3600);
        let year = TimeDelta::days(365);
        assert_eq!(thin(&scene, six.at + year).await.dropped, 0);
        assert_eq!(thin(&scene, at(360) + year).await, Thinned { folded: 0, dropped: 2, more: false });
        assert!(samples(&scene, node).await.is_empty() && samples(&scene, other).await.is_empty());
    }
}

/// A year of 100 nodes is 288,000 raw rows, 100,800 of ten minutes, 216,000 of an hour and 146,000 of six.
const ROWS_OF_A_YEAR: i64 = 100 * (2880 + 7 * 144 + 90 * 24 + 365 * 4);

#[tokio::test]
async fn a_year_of_a_hundred_nodes_takes_less_than_a_hundred_megabytes() {
    for scene in Scene::all().await {
        const NODES: i64 = 10;
        const TIMES: i64 = 6000;
        for n in 0..NODES {
            scene.node(&format!("node-{n}"), 5).await;
        }
        let size = if scene.store.is_postgres() {
            "SELECT pg_total_relation_size('muster_samples') AS answer"
        } else {
            "SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size) AS answer"
        };
        let before = scene.ask::<i64>(size).await[0];
        // In the order of time, as they come: the rows of a node lie together, and grow in the middle of the table.
        let hour = now().timestamp().div_euclid(3600) * 3600;
        let times = format!("WITH RECURSIVE t(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM t WHERE i < {}) ", TIMES - 1);
        let of = |select: &str| {
            format!(
                "INSERT INTO muster_samples (node_id, step, at, health, response_ms, cpu, mem, online) {times} {select}"
            )
        };
        for part in 0..6 {
            let (from, until) = (part * TIMES / 6, (part + 1) * TIMES / 6);
            scene
                .run(&of(&format!(
                    "SELECT n.id, 2, {hour} - 3600 * ({TIMES} - t.i), t.i % 7 / 6 * 6, 30 + t.i % 300, t.i % 1000, 500 + t.i % 400, \
                     t.i % 500 FROM t CROSS JOIN vpn_nodes n WHERE t.i >= {from} AND t.i < {until} ORDER BY t.i, n.id"
                )))
                .await;
        }
        let grown = scene.ask::<i64>(size).await[0] - before;
        let rows = NODES * TIMES;
        let year = grown * ROWS_OF_A_YEAR / rows;
        println!("{}: {} bytes a row, {} MB for a year of 100 nodes", scene.db.engine, grown / rows, year / 1_000_000);
        assert!(year < 100_000_000);
    }
}

#[tokio::test]
async fn a_long_pause_is_caught_up_with_in_small_parts() {
    for scene in Scene::all().await {
        let node = scene.node("ams-1", 5).await;
        let rows = "WITH RECURSIVE t(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM t WHERE i < 49999)";
        let began = now().timestamp() - 30 * 50_000;
        scene
            .run(&format!(
                "INSERT INTO muster_samples (node_id, step, at, health) {rows} SELECT {node}, 0, {began} + 30 * t.i, 0 FROM t"
            ))
            .await;
        let mut calls = 0;
        loop {
            let thinned = thin(&scene, now() + TimeDelta::days(1)).await;
            assert!(thinned.folded <= 25_000, "{thinned:?}");
            calls += 1;
            if !thinned.more {
                break;
            }
        }
        assert_eq!(calls, 3);
        thin(&scene, now() + TimeDelta::days(1)).await;
        let left = samples(&scene, node).await;
        let steps = |step| left.iter().filter(|s| s.step == step).count();
        assert!(steps(Step::Raw) < 20, "the ten minutes that are not over yet");
        let (tens, hours) = (steps(Step::TenMinutes), steps(Step::Hour));
        assert!((860..=870).contains(&tens) && (270..=276).contains(&hours), "{tens} {hours}");
    }
}
