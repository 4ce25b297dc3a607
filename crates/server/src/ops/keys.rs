//! Making, replacing, ending and taking back keys.
//!
//! A key is made *pending*, with a home that the rules chose; it may be shown once the node's panel confirmed it,
//! which is the sync loop's doing. So every function here is one short transaction.

use crate::{chance, links};
use chrono::{DateTime, Duration, Utc};
use fleet::{
    client::credential,
    id::{KeyId, NodeId, UserId},
    inbound::Unusable,
    key::{ClientName, Identity},
    place::{NoRoom, Wants, choose},
};
use rand::RngCore;
use std::{collections::BTreeMap, sync::Arc};
use store::{
    Store, StoreError,
    assignments::Assign,
    events::Event,
    keys::{Address, KeyRecord, KeyState, NewKey},
    nodes::NodeRecord,
    users::{Profile, User},
};

/// What is asked for one user.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Whose key.
    pub telegram_id: i64,
    /// What to know him by if he is new; `None`: an unknown user is an error.
    pub newcomer: Option<Profile>,
    /// Whether a key that he has already will do.
    pub renew: bool,
    /// Wishes about the node.
    pub wants: Wants,
}

/// Where an asked-for key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issued {
    /// He has it and may be shown it.
    Ready(KeyId),
    /// It has a home; nobody may see it before that node's panel confirmed it.
    Pending(KeyId),
}

/// Why there is no key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IssueError {
    /// Nobody has this Telegram id.
    #[error("there is no user with Telegram id {0}")]
    UnknownUser(i64),
    /// The account ran out.
    #[error("the account ran out on {0}")]
    Expired(DateTime<Utc>),
    /// The account is blocked or switched off.
    #[error("the account is blocked")]
    Blocked,
    /// No node takes the key.
    #[error("{0}")]
    NoRoom(Arc<NoRoom>),
    /// The node's inbound makes no links any more.
    #[error("node {0} cannot carry keys: {1}")]
    Inbound(String, Unusable),
    /// No panel confirmed it in time; it was taken back.
    #[error("no panel confirmed the key in time; nothing was kept, try again")]
    NotConfirmed,
    /// The database failed.
    #[error("the database failed")]
    Store(#[source] Arc<StoreError>),
}

impl From<StoreError> for IssueError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<Arc<StoreError>> for IssueError {
    fn from(error: Arc<StoreError>) -> Self {
        Self::Store(error)
    }
}

/// What new accounts get.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    /// Days of access; `None`: accounts without an end.
    pub days: Option<u32>,
}

impl Trial {
    pub(crate) fn until(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.days.map(|days| now + Duration::days(i64::from(days)))
    }
}

/// Finds or makes the key of each asked-for user, all in one transaction; answers in the order of `asks`.
///
/// A user gets one key however often he is named, also within one call. Whoever cannot be served gets an error of
/// his own and leaves nothing behind but his account. Fails as a whole, with nothing done, only when the database
/// does.
pub async fn issue(
    store: &Store,
    asks: &[Ask],
    trial: Trial,
    chance: &mut (dyn RngCore + Send),
    now: DateTime<Utc>,
) -> Result<Vec<Result<Issued, IssueError>>, StoreError> {
    let tx = store.write().await?;
    let ids: Vec<i64> = asks.iter().map(|a| a.telegram_id).collect();
    let mut users = by_telegram(tx.read().users(&ids).await?);
    let mut newcomers: BTreeMap<i64, Profile> = BTreeMap::new();
    for ask in asks {
        if let (false, Some(profile)) = (users.contains_key(&ask.telegram_id), &ask.newcomer) {
            newcomers.entry(ask.telegram_id).or_insert_with(|| profile.clone());
        }
    }
    if !newcomers.is_empty() {
        let newcomers: Vec<_> = newcomers.into_iter().collect();
        tx.add_users(&newcomers, trial.until(now), now).await?;
        users = by_telegram(tx.read().users(&ids).await?);
    }
    let user_ids: Vec<UserId> = users.values().map(|u| u.id).collect();
    let mut desk = Desk::new(tx.read().nodes().await?, tx.read().keys_of(&user_ids).await?, now);
    let answers: Vec<_> = asks.iter().map(|ask| desk.answer(ask, users.get(&ask.telegram_id), chance)).collect();
    let made = desk.write(&tx).await?;
    tx.commit().await?;
    Ok(answers.into_iter().map(|answer| answer.map(|a| a.with(&made))).collect())
}

/// Takes back a key that nobody has seen, unless it was confirmed meanwhile. True if it is gone.
pub async fn withdraw(store: &Store, key: KeyId) -> Result<bool, StoreError> {
    let tx = store.write().await?;
    let found = tx.read().find_key(key).await?;
    if found.as_ref().is_some_and(|k| k.state != KeyState::Pending) {
        return Ok(false);
    }
    tx.withdraw_keys(&[key]).await?;
    tx.commit().await?;
    Ok(true)
}

/// Ends a key: it is shown no more at once, and its clients are removed as soon as their panels hear of it.
/// Gives the key as it was; `None` if no key in force has the id.
pub async fn revoke(store: &Store, key: KeyId, now: DateTime<Utc>) -> Result<Option<KeyRecord>, StoreError> {
    let tx = store.write().await?;
    let Some(found) = tx.read().find_key(key).await? else { return Ok(None) };
    end(&tx, &[&found], now).await?;
    tx.commit().await?;
    Ok(Some(found))
}

/// Ends all keys of a user. Gives how many there were; `None` for an unknown user.
pub async fn revoke_all(store: &Store, telegram_id: i64, now: DateTime<Utc>) -> Result<Option<usize>, StoreError> {
    let tx = store.write().await?;
    let Some(user) = tx.read().find_user(telegram_id).await? else { return Ok(None) };
    let keys = tx.read().keys_of(&[user.id]).await?;
    end(&tx, &keys.iter().collect::<Vec<_>>(), now).await?;
    tx.commit().await?;
    Ok(Some(keys.len()))
}

async fn end(tx: &store::Write<'_>, keys: &[&KeyRecord], now: DateTime<Utc>) -> Result<(), StoreError> {
    let (pending, shown): (Vec<&KeyRecord>, Vec<&KeyRecord>) = keys.iter().partition(|k| k.state == KeyState::Pending);
    let ids = |keys: &[&KeyRecord]| keys.iter().map(|k| k.id).collect::<Vec<_>>();
    tx.withdraw_keys(&ids(&pending)).await?;
    tx.end_keys(&ids(&shown), now).await?;
    let events = shown.iter().map(|k| Event {
        at: now,
        kind: "revoked",
        node: k.node,
        key: Some(k.id),
        message: format!("key {} was revoked", k.id),
    });
    tx.add_events(&events.collect::<Vec<_>>()).await
}

fn by_telegram(users: Vec<User>) -> BTreeMap<i64, User> {
    users.into_iter().map(|u| (u.telegram_id, u)).collect()
}

/// One transaction's view of the fleet, and what is to be written at its end.
struct Desk {
    nodes: BTreeMap<NodeId, NodeRecord>,
    /// As the rules want them, with the keys given out so far counted in.
    fleet: Vec<fleet::node::Node>,
    keys: BTreeMap<UserId, Vec<KeyRecord>>,
    fresh: Vec<Fresh>,
    full: Option<(Wants, Arc<NoRoom>)>,
    now: DateTime<Utc>,
}

/// A key that the transaction makes.
struct Fresh {
    new: NewKey,
    node: NodeId,
}

/// An answer whose key may not have its id yet.
#[derive(Clone)]
enum Draft {
    Known(Issued),
    Fresh(usize),
}

impl Draft {
    fn with(self, made: &[KeyId]) -> Issued {
        match self {
            Self::Known(issued) => issued,
            Self::Fresh(index) => Issued::Pending(made[index]),
        }
    }
}

impl Desk {
    fn new(nodes: Vec<NodeRecord>, keys: Vec<KeyRecord>, now: DateTime<Utc>) -> Self {
        let mut by_user: BTreeMap<UserId, Vec<KeyRecord>> = BTreeMap::new();
        for key in keys {
            by_user.entry(key.user).or_default().push(key);
        }
        Self {
            fleet: nodes.iter().map(|n| n.node.clone()).collect(),
            nodes: nodes.into_iter().map(|n| (n.node.id, n)).collect(),
            keys: by_user,
            fresh: Vec::new(),
            full: None,
            now,
        }
    }

    fn answer(
        &mut self,
        ask: &Ask,
        user: Option<&User>,
        chance: &mut (dyn RngCore + Send),
    ) -> Result<Draft, IssueError> {
        let user = user.ok_or(IssueError::UnknownUser(ask.telegram_id))?;
        if !user.is_entitled(self.now) {
            return Err(match user.valid_until {
                Some(end) if end <= self.now => IssueError::Expired(end),
                Some(_) | None => IssueError::Blocked,
            });
        }
        if let Some(index) = self.fresh.iter().position(|f| f.new.user == user.id) {
            return Ok(Draft::Fresh(index));
        }
        let keys = self.keys.get(&user.id).map(Vec::as_slice).unwrap_or_default();
        if let Some(key) = keys.iter().find(|k| k.state != KeyState::Pending).filter(|_| !ask.renew) {
            return Ok(Draft::Known(Issued::Ready(key.id)));
        }
        if let Some(key) = keys.iter().find(|k| k.state == KeyState::Pending) {
            return Ok(Draft::Known(Issued::Pending(key.id)));
        }
        let node = self.choose(&ask.wants)?;
        let (uuid, sub_id) = chance::identity(chance);
        self.fresh.push(Fresh { new: NewKey { user: user.id, uuid, sub_id }, node });
        Ok(Draft::Fresh(self.fresh.len() - 1))
    }

    /// The best node, counted as one fuller from now on. A refusal is remembered: a fleet that had no room for a
    /// wish has none for the next one like it, and listing every node's reasons again would cost more than saying so.
    fn choose(&mut self, wants: &Wants) -> Result<NodeId, IssueError> {
        if let Some((_, why)) = self.full.as_ref().filter(|(full_for, _)| full_for == wants) {
            return Err(IssueError::NoRoom(why.clone()));
        }
        match choose(&self.fleet, wants) {
            Ok(id) => {
                if let Some(node) = self.fleet.iter_mut().find(|n| n.id == id) {
                    node.current_users += 1;
                }
                Ok(id)
            }
            Err(why) => {
                let why = Arc::new(why);
                self.full = Some((wants.clone(), why.clone()));
                Err(IssueError::NoRoom(why))
            }
        }
    }

    async fn write(&self, tx: &store::Write<'_>) -> Result<Vec<KeyId>, StoreError> {
        if self.fresh.is_empty() {
            return Ok(Vec::new());
        }
        let mut per_node: BTreeMap<NodeId, usize> = BTreeMap::new();
        for fresh in &self.fresh {
            *per_node.entry(fresh.node).or_default() += 1;
        }
        for (node, keys) in per_node {
            // The rules counted with the same rows inside the same transaction, so there is room; the statement
            // that takes it says so once more, whatever other programs do to the column.
            if !tx.take_room(node, keys).await? {
                return Err(StoreError::Exists { what: "full node", name: node.to_string() });
            }
        }
        let new: Vec<NewKey> = self.fresh.iter().map(|f| f.new.clone()).collect();
        let ids = tx.add_keys(&new, self.now).await?;
        let homes: Vec<Home> = ids.iter().zip(&self.fresh).filter_map(|(id, f)| self.home(*id, f)).collect();
        tx.set_addresses(&homes.iter().map(|h| h.address.clone()).collect::<Vec<_>>(), self.now).await?;
        tx.assign(&homes.iter().map(|h| h.assign.clone()).collect::<Vec<_>>(), self.now).await?;
        tx.add_events(&homes.iter().map(|h| self.issued(h)).collect::<Vec<_>>()).await?;
        Ok(ids)
    }

    fn home(&self, key: KeyId, fresh: &Fresh) -> Option<Home> {
        let name = ClientName::of(fresh.new.user, key, fresh.new.uuid);
        let identity = Identity { name, uuid: fresh.new.uuid, sub_id: fresh.new.sub_id.clone() };
        home(self.nodes.get(&fresh.node)?, key, fresh.new.user, identity).ok()
    }

    fn issued(&self, home: &Home) -> Event {
        let node = self.nodes.get(&home.assign.node).map_or("", |n| n.node.name.as_str());
        Event {
            at: self.now,
            kind: "issued",
            node: Some(home.assign.node),
            key: Some(home.assign.key),
            message: format!("key {} was given to node {node}", home.assign.key),
        }
    }
}

/// What is written down when a key gets a home.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    /// For the key's row.
    pub(crate) address: Address,
    /// For assignment and ledger.
    pub(crate) assign: Assign,
}

/// A key's home on a node. Fails when the node's inbound cannot carry keys (the rules refuse such nodes).
pub(crate) fn home(node: &NodeRecord, key: KeyId, user: UserId, identity: Identity) -> Result<Home, IssueError> {
    let missing = || IssueError::Inbound(node.node.name.clone(), Unusable::Disabled);
    let inbound = node.inbound.as_ref().ok_or_else(missing)?;
    let link = links::link(node, inbound, &identity).map_err(|why| IssueError::Inbound(node.node.name.clone(), why))?;
    let credential = credential(&inbound.protocol, identity.uuid);
    let (node, inbound, name) = (node.node.id, inbound.id, identity.name.clone());
    Ok(Home {
        address: Address { key, name, node, inbound, credential, link },
        assign: Assign { key, user, node, inbound, identity },
    })
}

/// "1 key", "2 keys".
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
