//! Users: making, updating, and looking at them with their keys.

use crate::ops::keys::Trial;
use chrono::{DateTime, Utc};
use fleet::id::{KeyId, UserId};
use std::collections::BTreeMap;
use store::{
    Store, StoreError,
    keys::{KeyRecord, KeyState},
    nodes::NodeLabel,
    payments::Payment,
    users::{Profile, User},
};

/// How many payments are shown of a user.
pub const PAYMENTS: u64 = 5;

/// A user with the keys he may be shown, newest first, and the nodes they live on.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The user.
    pub user: User,
    /// Keys in force; never a pending one.
    pub keys: Vec<(KeyRecord, Option<NodeLabel>)>,
    /// His latest payments, at most [`PAYMENTS`].
    pub payments: Vec<Payment>,
}

impl Standing {
    /// The key that he may be shown at `now`, if he is entitled to one and has it.
    pub fn shown_at(&self, now: DateTime<Utc>) -> Option<KeyId> {
        let (key, _) = self.keys.first().filter(|_| self.user.is_entitled(now))?;
        Some(key.id)
    }

    /// One of his keys, and the node it lives on.
    pub fn find_key(&self, id: KeyId) -> Option<(&KeyRecord, Option<&NodeLabel>)> {
        self.keys.iter().find(|(key, _)| key.id == id).map(|(key, node)| (key, node.as_ref()))
    }
}

/// Finds or makes a user; one who exists takes over what is told of him.
pub async fn ensure_user(
    store: &Store,
    telegram_id: i64,
    profile: &Profile,
    trial: Trial,
    now: DateTime<Utc>,
) -> Result<User, StoreError> {
    let tx = store.write().await?;
    let mut user = tx.update_user(telegram_id, profile, now).await?;
    if user.is_none() {
        tx.add_users(&[(telegram_id, profile.clone())], trial.until(now), now).await?;
        user = tx.read().find_user(telegram_id).await?;
    }
    let user = user.ok_or(StoreError::Missing { what: "user", id: telegram_id })?;
    tx.commit().await?;
    Ok(user)
}

/// Takes over what is told of a user; `None` if nobody has the Telegram id.
pub async fn update_user(
    store: &Store,
    telegram_id: i64,
    profile: &Profile,
    now: DateTime<Utc>,
) -> Result<Option<User>, StoreError> {
    let tx = store.write().await?;
    let user = tx.update_user(telegram_id, profile, now).await?;
    tx.commit().await?;
    Ok(user)
}

/// Takes over what is told of a user when it is news; costs nothing when it is not.
pub async fn follow_profile(
    store: &Store,
    user: &mut User,
    profile: &Profile,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let known = |told: &Option<String>, kept: &Option<String>| told.is_none() || told == kept;
    let old = known(&profile.username, &user.username)
        && known(&profile.first_name, &user.first_name)
        && known(&profile.last_name, &user.last_name)
        && known(&profile.language_code, &user.language_code);
    if !old && let Some(updated) = update_user(store, user.telegram_id, profile, now).await? {
        *user = updated;
    }
    Ok(())
}

/// Notes that a user is shown links of keys that have moved since he last was: by this, moves are settled. Costs
/// nothing where no key has.
pub async fn note_shown(store: &Store, standing: &Standing, now: DateTime<Utc>) -> Result<(), StoreError> {
    let is_news = |key: &KeyRecord| key.moved_at.is_some_and(|moved| key.shown_at.is_none_or(|shown| shown < moved));
    let news: Vec<_> = standing.keys.iter().map(|(key, _)| key).filter(|key| is_news(key)).map(|key| key.id).collect();
    if news.is_empty() {
        return Ok(());
    }
    let tx = store.write().await?;
    tx.set_shown(&news, now).await?;
    tx.commit().await
}

/// A user as he is to be shown; `None` if nobody has the Telegram id.
pub async fn find_standing(store: &Store, telegram_id: i64) -> Result<Option<Standing>, StoreError> {
    Ok(find_standings(store, &[telegram_id]).await?.remove(&telegram_id))
}

/// Users as they are to be shown, by Telegram id; those that nobody has are left out.
pub async fn find_standings(store: &Store, telegram_ids: &[i64]) -> Result<BTreeMap<i64, Standing>, StoreError> {
    let read = store.read();
    let users = read.users(telegram_ids).await?;
    let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
    let mut keys: BTreeMap<UserId, Vec<KeyRecord>> = BTreeMap::new();
    for key in read.keys_of(&ids).await?.into_iter().filter(|key| key.state != KeyState::Pending) {
        keys.entry(key.user).or_default().push(key);
    }
    let nodes = read.node_labels(&keys.values().flatten().filter_map(|key| key.node).collect()).await?;
    let mut payments = read.payments(&ids, PAYMENTS).await?;
    let standing = |user: User| {
        let labelled = |key: KeyRecord| {
            let node = key.node.and_then(|id| nodes.get(&id)).cloned();
            (key, node)
        };
        let keys = keys.remove(&user.id).unwrap_or_default().into_iter().map(labelled).collect();
        let payments = payments.remove(&user.id).unwrap_or_default();
        (user.telegram_id, Standing { user, keys, payments })
    };
    Ok(users.into_iter().map(standing).collect())
}
