//! A migrated database with short words for what most tests need in it.

use chrono::{DateTime, Utc};
use fleet::{
    id::{InboundId, JobId, KeyId, NodeId, UserId},
    key::{ClientName, Identity},
    node::Policy,
    settle::{Cause, Why},
};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement, TryGetable};
use store::{
    Store,
    arrivals::{Arrival, Arrived},
    assignments::Assign,
    clients::{ClientRow, Version},
    jobs::{JobKind, NewJob},
    keys::{Address, KeyRecord, NewKey},
    leaving::{LeavingKey, Returned},
    moves::StartMove,
    nodes::{NodeSecrets, NodeSettings},
    testing::TestDatabase,
};
use uuid::Uuid;

pub(crate) const INBOUND: InboundId = InboundId(3);

pub(crate) struct Scene {
    pub(crate) db: TestDatabase,
    pub(crate) store: Store,
    pub(crate) raw: DatabaseConnection,
}

impl Scene {
    /// One migrated database per engine.
    pub(crate) async fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for db in TestDatabase::all().await {
            let store = db.store().await;
            let raw = raw(&db).await;
            all.push(Self { db, store, raw });
        }
        all
    }

    pub(crate) async fn node(&self, name: &str, max_users: i64) -> NodeId {
        let tx = self.store.write().await.unwrap();
        let id = tx.add_node(&settings(name, max_users), &secrets(), now()).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    pub(crate) async fn user(&self, telegram_id: i64) -> UserId {
        let tx = self.store.write().await.unwrap();
        tx.add_users(&[(telegram_id, store::users::Profile::default())], None, now()).await.unwrap();
        tx.commit().await.unwrap();
        self.store.read().find_user(telegram_id).await.unwrap().unwrap().id
    }

    /// A pending key of this user on its way to this node. `None` when the node is full.
    pub(crate) async fn find_room(&self, user: UserId, node: NodeId) -> Option<KeyId> {
        let tx = self.store.write().await.unwrap();
        if !tx.take_room(node, 1).await.unwrap() {
            return None;
        }
        let new = NewKey { user, uuid: Uuid::from_u128(user.0.unsigned_abs().into()), sub_id: format!("sub{user}") };
        let key = tx.add_keys(std::slice::from_ref(&new), now()).await.unwrap()[0];
        let assign = assign(key, &new, node);
        tx.set_addresses(&[address(&assign)], now()).await.unwrap();
        tx.assign(&[assign], now()).await.unwrap();
        tx.commit().await.unwrap();
        Some(key)
    }

    pub(crate) async fn issue(&self, user: UserId, node: NodeId) -> KeyId {
        self.find_room(user, node).await.expect("room")
    }

    /// A key that its panel has confirmed.
    pub(crate) async fn issue_confirmed(&self, user: UserId, node: NodeId) -> KeyId {
        let key = self.issue(user, node).await;
        assert_eq!(self.confirm(&[self.line(key, node).await.version]).await, [key]);
        key
    }

    pub(crate) async fn confirm(&self, lines: &[Version]) -> Vec<KeyId> {
        self.arrive(lines, now()).await.into_iter().map(|arrived| arrived.key).collect()
    }

    /// As the sync loop does it: whoever moved gets his new address written in the same breath.
    pub(crate) async fn arrive(&self, lines: &[Version], now: DateTime<Utc>) -> Vec<Arrived> {
        let tx = self.store.write().await.unwrap();
        let arrived = tx.set_confirmed(lines, now).await.unwrap();
        let moved = arrived.iter().filter(|a| a.how != Arrival::InForce);
        let addresses: Vec<_> = moved.map(|a| address_at(a.key, &a.identity, a.node)).collect();
        tx.set_addresses(&addresses, now).await.unwrap();
        tx.commit().await.unwrap();
        arrived
    }

    /// Sends a key in force on its way. False when there is no room.
    pub(crate) async fn start(&self, key: KeyId, to: NodeId, cause: Cause, job: Option<JobId>) -> bool {
        let tx = self.store.write().await.unwrap();
        if !tx.take_room(to, 1).await.unwrap() {
            return false;
        }
        let record = tx.read().find_key(key).await.unwrap().expect("a key in force");
        let identity = record.identity.expect("a key of ours");
        let assign = Assign { key, user: record.user, node: to, inbound: INBOUND, identity };
        tx.start_moves(&[StartMove { assign, from: record.node, cause, job }], now()).await.unwrap();
        tx.commit().await.unwrap();
        true
    }

    /// A move from the first word to the panel's.
    pub(crate) async fn move_key(&self, key: KeyId, to: NodeId, at: DateTime<Utc>) -> Arrived {
        assert!(self.start(key, to, Cause::Failover, None).await);
        let [arrived] = self.arrive(&[self.line(key, to).await.version], at).await.try_into().expect("one arrival");
        arrived
    }

    pub(crate) async fn key(&self, key: KeyId) -> KeyRecord {
        self.store.read().find_key(key).await.unwrap().expect("a key in force")
    }

    /// The only key that left clients behind.
    pub(crate) async fn left(&self) -> LeavingKey {
        let [left] = self.store.read().leaving(now()).await.unwrap().try_into().expect("one key");
        left
    }

    pub(crate) async fn end_leaving(&self, key: KeyId, node: NodeId) {
        let tx = self.store.write().await.unwrap();
        tx.end_leaving(&[(key, node)], Why::SeenOnNew).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn return_home(&self, key: KeyId, node: NodeId) -> Vec<Returned> {
        let tx = self.store.write().await.unwrap();
        let returned = tx.return_home(&[(key, node)], now()).await.unwrap();
        for home in &returned {
            let identity = tx.read().find_key(home.key).await.unwrap().unwrap().identity.unwrap();
            tx.set_addresses(&[address_at(home.key, &identity, home.node)], now()).await.unwrap();
        }
        tx.commit().await.unwrap();
        returned
    }

    pub(crate) async fn cancel_arrival(&self, key: KeyId, node: NodeId) {
        let tx = self.store.write().await.unwrap();
        tx.cancel_arrivals(&[(key, node)], "it went down", now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn job(&self, kind: JobKind, node: Option<NodeId>, deadline_at: Option<DateTime<Utc>>) -> JobId {
        let tx = self.store.write().await.unwrap();
        let new = NewJob { kind, node, asked_by: "anna".to_owned(), deadline_at, note: None };
        let job = tx.add_job(&new, now()).await.unwrap();
        tx.commit().await.unwrap();
        job
    }

    pub(crate) async fn gone(&self, node: NodeId, lines: &[Version]) {
        let tx = self.store.write().await.unwrap();
        tx.set_gone(node, lines).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn release(&self, key: KeyId, node: Option<NodeId>) {
        let tx = self.store.write().await.unwrap();
        tx.release_keys(&[key], node).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn end(&self, key: KeyId) {
        let tx = self.store.write().await.unwrap();
        tx.end_keys(&[key], now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Gives a key that exists another home beside the ones it has.
    pub(crate) async fn send(&self, key: &KeyRecord, node: NodeId) {
        let identity = key.identity.clone().expect("a key of ours");
        let assign = Assign { key: key.id, user: key.user, node, inbound: INBOUND, identity };
        let tx = self.store.write().await.unwrap();
        assert!(tx.take_room(node, 1).await.unwrap());
        tx.set_addresses(&[address(&assign)], now()).await.unwrap();
        tx.assign(&[assign], now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn lines(&self, node: NodeId) -> Vec<ClientRow> {
        self.store.read().clients_on(node, false).await.unwrap()
    }

    pub(crate) async fn unsettled(&self, node: NodeId) -> Vec<ClientRow> {
        self.store.read().clients_on(node, true).await.unwrap()
    }

    pub(crate) async fn line(&self, key: KeyId, node: NodeId) -> ClientRow {
        self.lines(node).await.into_iter().find(|line| line.key == key).expect("a line in the ledger")
    }

    pub(crate) async fn load(&self, node: NodeId) -> i64 {
        self.store.read().find_node(node).await.unwrap().unwrap().node.current_users
    }

    /// The keys of a user, newest first.
    pub(crate) async fn keys(&self, user: UserId) -> Vec<KeyRecord> {
        self.store.read().keys_of(&[user]).await.unwrap()
    }

    /// The assignments of a key as `node:state:is_active`, oldest first.
    pub(crate) async fn homes(&self, key: KeyId) -> Vec<String> {
        let sql = format!(
            "SELECT node_id || ':' || state || ':' || CASE WHEN is_active THEN 'lives' ELSE 'not' END AS answer \
             FROM user_node_assignments WHERE key_id = {key} ORDER BY id"
        );
        self.ask(&sql).await
    }

    /// What a statement says in its column `answer`.
    pub(crate) async fn ask<T: TryGetable>(&self, sql: &str) -> Vec<T> {
        ask(&self.raw, sql).await
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.raw.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
}

/// A connection beside the store's: another program on the same database.
pub(crate) async fn raw(db: &TestDatabase) -> DatabaseConnection {
    let mut options = ConnectOptions::new(&db.url);
    options.max_connections(1).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|o| o.foreign_keys(true).busy_timeout(std::time::Duration::from_secs(10)));
    Database::connect(options).await.unwrap()
}

pub(crate) async fn ask<T: TryGetable>(raw: &DatabaseConnection, sql: &str) -> Vec<T> {
    let rows = raw.query_all_raw(Statement::from_string(raw.get_database_backend(), sql)).await;
    let rows = rows.unwrap_or_else(|e| panic!("{sql}: {e}"));
    rows.iter().map(|row| row.try_get("", "answer").unwrap_or_else(|e| panic!("{sql}: {e}"))).collect()
}

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

pub(crate) fn settings(name: &str, max_users: i64) -> NodeSettings {
    NodeSettings {
        name: name.to_owned(),
        description: None,
        location: Some("NL".to_owned()),
        url: format!("https://{name}.example:2053/base/"),
        tls: "verify".to_owned(),
        allow_http: false,
        host: None,
        chosen_inbound: None,
        connect_timeout: None,
        check_timeout: None,
        policy: Policy::Active,
        max_users,
        priority: 100,
        weight: 1.0,
    }
}

pub(crate) fn secrets() -> NodeSecrets {
    NodeSecrets {
        username: "admin".to_owned(),
        password: "pa55w0rd".into(),
        token: Some("t0ken".into()),
        totp: Some("JBSWY3DPEHPK3PXP".into()),
    }
}

pub(crate) fn assign(key: KeyId, new: &NewKey, node: NodeId) -> Assign {
    let name = ClientName::of(new.user, key, new.uuid);
    let identity = Identity { name, uuid: new.uuid, sub_id: new.sub_id.clone() };
    Assign { key, user: new.user, node, inbound: INBOUND, identity }
}

pub(crate) fn address(assign: &Assign) -> Address {
    address_at(assign.key, &assign.identity, assign.node)
}

fn address_at(key: KeyId, identity: &Identity, node: NodeId) -> Address {
    Address {
        key,
        name: identity.name.clone(),
        node,
        inbound: INBOUND,
        credential: identity.uuid.to_string(),
        link: format!("vless://{}@node{node}:443#x", identity.uuid),
    }
}
