use crate::scene::*;
use std::time::Instant;
fn rss() -> i64 { let s = std::fs::read_to_string("/proc/self/status").unwrap(); let g=|k:&str| s.lines().find(|l| l.starts_with(k)).unwrap().split_whitespace().nth(1).unwrap().parse::<i64>().unwrap(); println!("   VmRSS {} MB, VmHWM {} MB", g("VmRSS")/1024, g("VmHWM")/1024); g("VmHWM") }
#[tokio::test]
async fn timing() {
    for scene in Scene::all().await {
        let mut nodes = vec![];
        for n in 0..20 { nodes.push(scene.node(&format!("n{n}"), 20_000).await); }
        let rec = "WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM t WHERE i < 100000)";
        scene.run(&format!("INSERT INTO users (telegram_id, is_active) {rec} SELECT i, true FROM t")).await;
        scene.run(&format!("INSERT INTO vpn_keys (user_id, node_id, uuid, vless_url, status, xui_email, muster_state, muster_sub_id) {rec} SELECT i, 1 + i % 20, '00000000-0000-4000-8000-000000000001', 'vless://abcdefghijklmnopqrstuvwxyz', 'active', 'm' || i || '-x-abcdef', 'active', 'sub' || i FROM t")).await;
        scene.run(&format!("INSERT INTO user_node_assignments (user_id, node_id, is_active, xui_client_email, key_id, state) {rec} SELECT i, 1 + i % 20, true, 'm' || i || '-x-abcdef', i, 'active' FROM t")).await;
        scene.run(&format!("INSERT INTO muster_clients (node_id, inbound_id, key_id, name, uuid, sub_id, dirty) {rec} SELECT 1 + i % 20, 3, i, 'm' || i || '-x-abcdef', '00000000-0000-4000-8000-000000000001', 'sub' || i, false FROM t")).await;
        rss();
        for _ in 0..2 {
        let t = Instant::now();
        let all = scene.store.read().residents(&nodes, None).await.unwrap();
        println!("{} residents of 20 nodes: {} in {:?}", scene.db.engine, all.len(), t.elapsed());
        rss();
        drop(all);
        let t = Instant::now();
        let all = scene.store.read().residents(&nodes[..1], None).await.unwrap();
        println!("{} residents of 1 node: {} in {:?}", scene.db.engine, all.len(), t.elapsed());
        let t = Instant::now();
        let n = scene.store.read().arriving().await.unwrap().len() + scene.store.read().leaving(now()).await.unwrap().len();
        println!("{} arriving, leaving: {n} in {:?}", scene.db.engine, t.elapsed());
        let t = Instant::now();
        let n = scene.store.read().homeless_keys().await.unwrap().len();
        println!("{} homeless: {n} in {:?}", scene.db.engine, t.elapsed());
        let t = Instant::now();
        let n = scene.lines(nodes[0]).await.len();
        println!("{} lines: {n} in {:?}", scene.db.engine, t.elapsed());
        }
    }
}
