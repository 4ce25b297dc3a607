//! Users, whom other programs may write as well.

use crate::scene::{Scene, now};
use chrono::{DateTime, TimeDelta};
use store::{
    keys::KeyState,
    users::{Profile, User},
};

fn profile(name: &str) -> Profile {
    Profile { username: Some(name.to_owned()), first_name: Some("Анна".to_owned()), ..Profile::default() }
}

async fn add(scene: &Scene, users: &[(i64, Profile)], trial_until: Option<DateTime<chrono::Utc>>) {
    let tx = scene.store.write().await.unwrap();
    tx.add_users(users, trial_until, now()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn find(scene: &Scene, telegram_id: i64) -> User {
    scene.store.read().find_user(telegram_id).await.unwrap().expect("a user")
}

#[tokio::test]
async fn a_user_is_found_as_the_bot_told_of_him() {
    for scene in Scene::all().await {
        let end = now() + TimeDelta::days(3);
        add(&scene, &[(i64::MAX, profile("anna"))], Some(end)).await;
        let user = find(&scene, i64::MAX).await;
        assert_eq!((user.username.as_deref(), user.first_name.as_deref()), (Some("anna"), Some("Анна")));
        assert_eq!((user.last_name, user.language_code), (None, None));
        assert_eq!((user.is_active, user.is_blocked, user.subscription_status), (true, false, "active"));
        assert_eq!((user.valid_until, user.created_at), (Some(end), Some(now())));
        add(&scene, &[(2, profile("b"))], None).await;
        let endless = find(&scene, 2).await;
        assert_eq!((endless.subscription_status, endless.valid_until), ("none", None));
        assert_eq!(scene.store.read().users(&[2, 3, i64::MAX, 2]).await.unwrap().len(), 2);
        assert!(scene.store.read().find_user(3).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn who_exists_is_left_as_he_is() {
    for scene in Scene::all().await {
        add(&scene, &[(1, profile("anna"))], None).await;
        let before = find(&scene, 1).await;
        add(&scene, &[(1, profile("eve")), (2, profile("b"))], Some(now())).await;
        assert_eq!(find(&scene, 1).await, before);
        add(&scene, &[(1, profile("eve"))], Some(now())).await;
        assert_eq!(find(&scene, 1).await, before, "{}: also when nobody is new", scene.db.engine);
        add(&scene, &[], None).await;
    }
}

#[tokio::test]
async fn what_the_bot_does_not_tell_stays() {
    for scene in Scene::all().await {
        add(&scene, &[(1, profile("anna"))], None).await;
        let told =
            Profile { username: Some("anna2".to_owned()), language_code: Some("ru".into()), ..Profile::default() };
        let tx = scene.store.write().await.unwrap();
        let updated = tx.update_user(1, &told, now()).await.unwrap().expect("known");
        assert!(tx.update_user(2, &told, now()).await.unwrap().is_none());
        tx.commit().await.unwrap();
        assert_eq!(updated, find(&scene, 1).await);
        assert_eq!((updated.username.as_deref(), updated.first_name.as_deref()), (Some("anna2"), Some("Анна")));
        assert_eq!(updated.language_code.as_deref(), Some("ru"));
    }
}

#[tokio::test]
async fn nothing_is_kept_without_a_commit() {
    for scene in Scene::all().await {
        let tx = scene.store.write().await.unwrap();
        tx.add_users(&[(1, profile("anna"))], None, now()).await.unwrap();
        assert!(tx.read().find_user(1).await.unwrap().is_some());
        assert!(scene.store.read().find_user(1).await.unwrap().is_none());
        drop(tx);
        assert!(scene.store.read().find_user(1).await.unwrap().is_none());
        add(&scene, &[(2, profile("b"))], None).await;
    }
}

#[tokio::test]
async fn a_row_of_another_program_is_read_with_its_gaps_and_defaults() {
    for scene in Scene::all().await {
        scene.run("INSERT INTO users (telegram_id, is_active, is_blocked) VALUES (1, NULL, NULL)").await;
        let user = find(&scene, 1).await;
        assert_eq!((user.is_active, user.is_blocked, user.subscription_status), (true, false, "none"));
        assert!(user.created_at.is_some() && user.is_entitled(now()), "{user:?}");
        scene.run("UPDATE users SET subscription_status = 'suspended', is_active = false").await;
        let user = find(&scene, 1).await;
        assert_eq!((user.subscription_status, user.is_entitled(now())), ("suspended", false));
        let key = "INSERT INTO vpn_keys (user_id, uuid, vless_url, xui_email, status) SELECT id, ";
        scene.run(&format!("{key}'not a uuid', 'vless://x', 'old@bot', 'ACTIVE' FROM users")).await;
        scene.run(&format!("{key}'b', 'vless://y', 'gone@bot', 'Revoked' FROM users")).await;
        let keys = scene.keys(user.id).await;
        let [key] = keys.as_slice() else { panic!("one key in force, not {keys:?}") };
        assert_eq!((key.state, key.link.as_str(), key.identity.clone()), (KeyState::Foreign, "vless://x", None));
    }
}

#[tokio::test]
async fn access_without_an_end_may_be_written_as_infinity() {
    for scene in Scene::all().await.into_iter().filter(|s| s.store.is_postgres()) {
        let (node, user) = (scene.node("ams-1", 5).await, scene.user(1).await);
        let key = scene.issue_confirmed(user, node).await;
        for (end, expires_at_ms) in [("infinity", 0), ("-infinity", 1), ("294000-01-01", 0), ("4700-01-01 BC", 1)] {
            scene.run(&format!("UPDATE users SET valid_until = '{end}', created_at = '{end}'")).await;
            let user = find(&scene, 1).await;
            assert_eq!(user.is_entitled(now()), expires_at_ms == 0, "{end}: {user:?}");
            assert_eq!(scene.line(key, node).await.wanted.unwrap().expires_at_ms, expires_at_ms, "{end}");
            scene.run(&format!("UPDATE vpn_keys SET created_at = '{end}', expires_at = '{end}'")).await;
            assert_eq!(scene.keys(user.id).await.len(), 1);
        }
    }
}
