//! What is too long, too large, or cannot be written at all is refused or cut, and on both engines alike.

use crate::scene::{INBOUND, Scene, address, assign, now, secrets, settings};
use fleet::{
    health::{
        Health,
        reading::{Depth, LayerResult, PanelLayers, Reading},
        rules::Rules,
    },
    id::{KeyId, NodeId, UserId},
    settle::{Cause, Why},
};
use store::{
    StoreError,
    assignments::Assign,
    jobs::{JobKind, MoveState},
    keys::NewKey,
    leaving::LeavingKey,
    moves::StartMove,
    nodes::{NodeSecrets, NodeSettings},
    tokens::Scope,
    users::Profile,
};
use uuid::Uuid;

#[tokio::test]
async fn settings_that_do_not_fit_are_refused_by_name() {
    let base = || settings("x", 1);
    let long = |n: usize| "ы".repeat(n / 2 + 1);
    let cases: Vec<(&str, NodeSettings)> = vec![
        ("the name", NodeSettings { name: long(255), ..base() }),
        ("the name", NodeSettings { name: "a\0b".to_owned(), ..base() }),
        ("the location", NodeSettings { location: Some(long(100)), ..base() }),
        ("the address", NodeSettings { url: long(255), ..base() }),
        ("the host", NodeSettings { host: Some("\0".to_owned()), ..base() }),
        ("the description", NodeSettings { description: Some(long(1 << 20)), ..base() }),
        ("the TLS setting", NodeSettings { tls: long(80), ..base() }),
    ];
    for scene in Scene::all().await {
        for (what, settings) in &cases {
            let tx = scene.store.write().await.unwrap();
            let refused = tx.add_node(settings, &secrets(), now()).await.unwrap_err();
            assert!(refused.to_string().starts_with(what), "{refused}");
            assert!(matches!(refused, StoreError::TooLong { .. } | StoreError::Nul { .. }), "{refused:?}");
        }
        let tx = scene.store.write().await.unwrap();
        let endless = NodeSecrets { password: "p".repeat(141).into(), ..secrets() };
        let refused = tx.add_node(&base(), &endless, now()).await.unwrap_err();
        assert!(!refused.to_string().contains("ppp") && matches!(refused, StoreError::TooLong { .. }), "{refused}");
        for name in ["a\0b".to_owned(), long(100)] {
            assert!(tx.add_token(&name, Scope::Read, "clear", now()).await.is_err());
            assert!(!tx.revoke_token(&name, now()).await.unwrap());
            assert!(tx.read().find_node_named(&name).await.unwrap().is_none());
        }
        tx.add_node(&NodeSettings { name: "é".repeat(127), ..base() }, &secrets(), now()).await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn numbers_out_of_range_become_the_nearest_ones() {
    for scene in Scene::all().await {
        let extreme = |max_users, priority, weight| NodeSettings { max_users, priority, weight, ..settings("x", 1) };
        let id = scene.node("x", 1).await;
        for (given, kept) in [
            (extreme(i64::MAX, i64::MIN, f64::MAX), (2_147_483_647, -2_147_483_648, f64::MAX)),
            (extreme(i64::MIN, i64::MAX, f64::NAN), (-2_147_483_648, 2_147_483_647, 0.0)),
            (extreme(0, -1, f64::INFINITY), (0, -1, f64::INFINITY)),
            (extreme(1, 1, f64::MIN_POSITIVE), (1, 1, f64::MIN_POSITIVE)),
        ] {
            let tx = scene.store.write().await.unwrap();
            tx.edit_node(id, &given, now()).await.unwrap();
            let found = tx.read().find_node(id).await.unwrap().unwrap().node;
            assert_eq!((found.max_users, found.priority, found.weight), kept, "{}", scene.db.engine);
            tx.commit().await.unwrap();
            let tx = scene.store.write().await.unwrap();
            assert_eq!(tx.take_room(id, usize::MAX).await.unwrap(), kept.0 == 2_147_483_647, "no overflow");
        }
        let read = scene.store.read();
        for id in [i64::MIN, -1, 0, 1 << 31, i64::MAX] {
            assert!(read.find_node(NodeId(id)).await.unwrap().is_none());
            assert!(read.find_secrets(NodeId(id)).await.unwrap().is_none());
            assert!(read.find_key(KeyId(id)).await.unwrap().is_none());
            assert!(read.keys_of(&[UserId(id)]).await.unwrap().is_empty());
            assert!(read.clients_on(NodeId(id), false).await.unwrap().is_empty());
            assert!(read.keys_on(NodeId(id)).await.unwrap().is_empty());
            assert_eq!(read.count_clients(NodeId(id)).await.unwrap(), 0);
            assert!(read.find_user(id).await.unwrap().is_none());
            let tx = scene.store.write().await.unwrap();
            assert!(matches!(tx.set_status(KeyId(id), "x").await, Err(StoreError::Missing { .. })));
        }
        assert!(read.keys_of(&[]).await.unwrap().is_empty() && read.users(&[]).await.unwrap().is_empty());
        scene.user(i64::MIN).await;
        assert_eq!(read.users(&[i64::MIN, i64::MAX]).await.unwrap()[0].telegram_id, i64::MIN);
    }
}

#[tokio::test]
async fn what_people_and_panels_say_is_cut_and_kept() {
    for scene in Scene::all().await {
        let endless = Some("👪\0é".repeat(5000));
        let profile = Profile {
            username: endless.clone(),
            first_name: Some("\0".to_owned()),
            last_name: Some(String::new()),
            language_code: endless.clone(),
        };
        let tx = scene.store.write().await.unwrap();
        tx.add_users(&[(1, profile.clone())], None, now()).await.unwrap();
        let user = tx.update_user(1, &profile, now()).await.unwrap().unwrap();
        let length = |text: &Option<String>| text.as_ref().map(|t| t.chars().count());
        assert_eq!((length(&user.username), length(&user.first_name)), (Some(255), Some(0)));
        assert_eq!((length(&user.last_name), length(&user.language_code)), (Some(0), Some(10)));
        tx.commit().await.unwrap();

        let id = scene.node("x", 5).await;
        let key = scene.issue(user.id, id).await;
        let line = scene.line(key, id).await;
        let silent = LayerResult::Bad { why: endless.clone().unwrap(), ms: 1 };
        let panel = PanelLayers { name: silent, ..PanelLayers::not_reached(false) };
        let reading = Reading { started_ms: 0, ended_ms: 1, depth: Depth::Full, panel, ports: Vec::new() };
        let health = Health::unknown().observe(&reading, &Rules::default());
        let tx = scene.store.write().await.unwrap();
        tx.set_panel(id, None, endless.as_deref()).await.unwrap();
        tx.set_health(id, &health, now()).await.unwrap();
        tx.set_refused(&[(line.version, "👪\0".repeat(9000))]).await.unwrap();
        tx.set_status(key, &"st\0atus".repeat(9)).await.unwrap();
        tx.commit().await.unwrap();
        let found = scene.store.read().find_node(id).await.unwrap().unwrap();
        assert_eq!(length(&found.panel_version), Some(64));
        let reason = &scene.ask::<String>("SELECT health_reason AS answer FROM vpn_nodes").await[0];
        assert!(reason.contains("👪é") && !reason.contains('\0') && reason.chars().count() < 5000, "{reason:.100}");
    }
}

#[tokio::test]
async fn ten_thousand_keys_travel_in_one_call() {
    const KEYS: usize = 10_000;
    for scene in Scene::all().await {
        let node = scene.node("x", 20_000).await;
        let tx = scene.store.write().await.unwrap();
        let telegram_ids: Vec<i64> = (1..=i64::try_from(KEYS).unwrap()).collect();
        let profiles: Vec<_> = telegram_ids.iter().map(|id| (*id, Profile::default())).collect();
        tx.add_users(&profiles, None, now()).await.unwrap();
        let users = tx.read().users(&telegram_ids).await.unwrap();
        assert_eq!(users.len(), KEYS);
        let new: Vec<_> = users
            .iter()
            .map(|user| NewKey {
                user: user.id,
                uuid: Uuid::from_u128(user.telegram_id.unsigned_abs().into()),
                sub_id: "s".into(),
            })
            .collect();
        assert!(tx.take_room(node, KEYS).await.unwrap());
        let ids = tx.add_keys(&new, now()).await.unwrap();
        let assigns: Vec<_> = ids.iter().zip(&new).map(|(id, new)| assign(*id, new, node)).collect();
        tx.set_addresses(&assigns.iter().map(address).collect::<Vec<_>>(), now()).await.unwrap();
        tx.assign(&assigns, now()).await.unwrap();
        tx.commit().await.unwrap();

        let user_ids: Vec<_> = users.iter().map(|user| user.id).collect();
        let keys = scene.store.read().keys_of(&user_ids).await.unwrap();
        assert!(keys.len() == KEYS && keys.is_sorted_by(|a, b| a.id > b.id), "newest first");
        for (key, assign) in keys.iter().rev().zip(&assigns) {
            assert_eq!((key.id, key.user, &key.identity), (assign.key, assign.user, &Some(assign.identity.clone())));
        }
        assert_eq!(scene.store.read().pending_keys().await.unwrap().len(), KEYS);
        assert_eq!(scene.store.read().keys_on(node).await.unwrap().len(), KEYS);
        let lines = scene.unsettled(node).await;
        assert!(lines.len() == KEYS && lines.iter().all(|line| line.inbound == INBOUND && line.wanted.is_some()));
        let versions: Vec<_> = lines.iter().map(|line| line.version).collect();
        let refused: Vec<_> = versions.iter().step_by(100).map(|v| (*v, "no".to_owned())).collect();
        let tx = scene.store.write().await.unwrap();
        tx.set_refused(&refused).await.unwrap();
        assert_eq!(tx.read().refusals(&ids).await.unwrap().len(), refused.len());
        assert_eq!(tx.set_confirmed(&versions, now()).await.unwrap().len(), KEYS);
        tx.set_unsettled(&versions).await.unwrap();
        assert_eq!(tx.set_confirmed(&versions, now()).await.unwrap().len(), 0);
        tx.commit().await.unwrap();
        assert_eq!(scene.store.read().residents(&[node], None).await.unwrap().len(), KEYS);
        many_move_and_half_return(&scene, node, &assigns[..KEYS / 2]).await;
        let tx = scene.store.write().await.unwrap();
        tx.end_keys(&ids[1..], now()).await.unwrap();
        tx.withdraw_keys(&ids).await.unwrap();
        tx.commit().await.unwrap();
        let unwanted = scene.unsettled(node).await;
        assert!(unwanted.len() == KEYS - 1 && unwanted.iter().all(|line| line.wanted.is_none()));
        scene.gone(node, &unwanted.iter().map(|line| line.version).collect::<Vec<_>>()).await;
        assert_eq!((scene.load(node).await, scene.lines(node).await.len()), (1, 1));
    }
}

/// The first half comes back, the second stays there.
async fn many_move_and_half_return(scene: &Scene, from: NodeId, homes: &[Assign]) {
    let to = scene.node("y", 20_000).await;
    let job = scene.job(JobKind::Failover, Some(from), None).await;
    let tx = scene.store.write().await.unwrap();
    assert!(tx.take_room(to, homes.len()).await.unwrap());
    let cause = Cause::Failover;
    let moves = homes.iter().map(|home| StartMove {
        assign: Assign { node: to, ..home.clone() },
        from: Some(from),
        cause,
        job: Some(job),
    });
    tx.start_moves(&moves.collect::<Vec<_>>(), now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(scene.store.read().arriving().await.unwrap(), [(to, homes.len() as u64)].into());
    let versions: Vec<_> = scene.unsettled(to).await.iter().map(|line| line.version).collect();
    assert_eq!(scene.arrive(&versions, now()).await.len(), homes.len());
    let seen: Vec<_> = homes.iter().map(|home| (home.identity.name.clone(), now())).collect();
    let tx = scene.store.write().await.unwrap();
    tx.set_seen(from, &seen).await.unwrap();
    tx.commit().await.unwrap();
    let left = scene.store.read().leaving(now()).await.unwrap();
    assert!(left.len() == homes.len() && left.iter().all(|left| left.moved.leaving[0].seen_ms.is_some()));
    let (back, gone) = left.split_at(left.len() / 2);
    let on = |left: &[LeavingKey]| left.iter().map(|left| (left.key, from)).collect::<Vec<_>>();
    let tx = scene.store.write().await.unwrap();
    assert_eq!(tx.return_home(&on(back), now()).await.unwrap().len(), back.len());
    tx.end_leaving(&on(gone), Why::SeenOnNew).await.unwrap();
    let counts = tx.read().job(job).await.unwrap().unwrap().moves;
    assert_eq!((counts.of(MoveState::Returned), counts.of(MoveState::Done)), (2_500, 2_500));
    tx.commit().await.unwrap();
    for (node, kept) in [(from, back), (to, gone)] {
        let (before, unwanted) = (scene.load(node).await, scene.unsettled(node).await);
        assert_eq!(unwanted.len(), homes.len() - kept.len());
        scene.gone(node, &unwanted.iter().map(|line| line.version).collect::<Vec<_>>()).await;
        assert_eq!(before.abs_diff(scene.load(node).await), unwanted.len() as u64);
    }
    let tx = scene.store.write().await.unwrap();
    assert!(tx.take_room(from, gone.len()).await.unwrap());
    let moves = homes[back.len()..].iter().map(|home| StartMove {
        assign: home.clone(),
        from: Some(to),
        cause,
        job: Some(job),
    });
    tx.start_moves(&moves.collect::<Vec<_>>(), now()).await.unwrap();
    let arrivals: Vec<_> = gone.iter().map(|left| (left.key, from)).collect();
    tx.cancel_arrivals(&arrivals, "it went down", now()).await.unwrap();
    assert!(tx.delete_node(to).await.unwrap());
    assert_eq!(tx.read().homeless_keys().await.unwrap().len(), gone.len());
    let moves =
        homes[back.len()..].iter().map(|home| StartMove { assign: home.clone(), from: None, cause, job: Some(job) });
    tx.start_moves(&moves.collect::<Vec<_>>(), now()).await.unwrap();
    tx.commit().await.unwrap();
    let versions: Vec<_> = scene.unsettled(from).await.iter().map(|line| line.version).collect();
    assert_eq!(scene.arrive(&versions, now()).await.len(), gone.len());
}
