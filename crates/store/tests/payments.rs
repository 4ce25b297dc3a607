//! Payments, which the bot's backend keeps.

use crate::scene::Scene;
use chrono::DateTime;
use std::collections::BTreeMap;
use store::payments::Payment;

#[tokio::test]
async fn without_a_table_of_payments_there_are_none() {
    for scene in Scene::all().await {
        let user = scene.user(1).await;
        assert_eq!(scene.store.read().payments(&[user], 5).await.unwrap(), BTreeMap::new());
        let tx = scene.store.write().await.unwrap();
        assert_eq!(tx.read().payments(&[user], 5).await.unwrap(), BTreeMap::new());
        assert!(tx.read().find_user(1).await.unwrap().is_some(), "asking does not spoil the transaction");
    }
}

#[tokio::test]
async fn the_latest_payments_of_a_user_come_first_whatever_the_columns_are_made_of() {
    for scene in Scene::all().await {
        let (user, other) = (scene.user(1).await, scene.user(2).await);
        let variants: &[(&str, &str, &str)] = if scene.store.is_postgres() {
            scene.run("CREATE TYPE payment_state AS ENUM ('PAID', 'FAILED')").await;
            &[
                ("double precision", "varchar(20)", "timestamptz"),
                ("double precision", "payment_state", "timestamp"),
                ("numeric(10, 2)", "payment_state", "timestamptz"),
            ]
        } else {
            &[("double precision", "varchar(20)", "timestamp")]
        };
        for (amount, status, at) in variants {
            let columns = format!("id integer, user_id integer, amount {amount}, status {status}, created_at {at}");
            scene.run(&format!("CREATE TABLE payments ({columns})")).await;
            scene
                .run(&format!(
                    "INSERT INTO payments VALUES (7, {user}, 199.5, 'PAID', '2026-01-02 03:04:05'), \
                     (8, {user}, 1, 'FAILED', '2026-03-01 00:00:00'), (9, {user}, NULL, NULL, NULL), \
                     (10, {other}, 5, 'PAID', '2026-03-01 00:00:00')"
                ))
                .await;
            let both = scene.store.read().payments(&[user, other], 5).await.unwrap();
            let (paid, others) = (&both[&user], &both[&other]);
            assert_eq!(others.iter().map(|p| p.id).collect::<Vec<_>>(), [10], "{columns}");
            assert_eq!(paid.iter().map(|p| p.id).collect::<Vec<_>>(), [8, 7, 9], "{columns}");
            let first = Payment {
                id: 7,
                amount: 199.5,
                status: Some("PAID".to_owned()),
                created_at: DateTime::from_timestamp(1_767_323_045, 0),
            };
            assert_eq!(paid[1], first, "{columns}");
            assert_eq!((paid[2].amount, &paid[2].status, paid[2].created_at), (0.0, &None, None));
            assert_eq!(scene.store.read().payments(&[user], 1).await.unwrap()[&user].len(), 1);
            assert_eq!(scene.store.read().payments(&[user], u64::MAX).await.unwrap()[&user].len(), 3);
            scene.run("DROP TABLE payments").await;
        }
    }
}
