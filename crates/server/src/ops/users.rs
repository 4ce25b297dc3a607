//! Users: making, updating, and looking at them with their keys.

use crate::ops::keys::Trial;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use store::{
    Store, StoreError,
    keys::{KeyRecord, KeyState},
    nodes::NodeRecord,
    users::{Profile, User},
};

/// A user with the keys he may be shown, newest first, and the nodes they live on.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The user.
    pub user: User,
    /// Keys in force; never a pending one.
    pub keys: Vec<(KeyRecord, Option<NodeRecord>)>,
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

/// Takes over what is told of a user when it is news; costs no transaction when it is not.
pub async fn follow_profile(
    store: &Store,
    telegram_id: i64,
    profile: &Profile,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let Some(user) = store.read().find_user(telegram_id).await? else { return Ok(()) };
    let known = |told: &Option<String>, kept: &Option<String>| told.is_none() || told == kept;
    let old = known(&profile.username, &user.username)
        && known(&profile.first_name, &user.first_name)
        && known(&profile.last_name, &user.last_name)
        && known(&profile.language_code, &user.language_code);
    if !old {
        update_user(store, telegram_id, profile, now).await?;
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
    let read = store.read();
    let Some(user) = read.find_user(telegram_id).await? else { return Ok(None) };
    let keys = read.keys_of(&[user.id]).await?.into_iter().filter(|k| k.state != KeyState::Pending);
    let mut nodes: BTreeMap<_, Option<NodeRecord>> = BTreeMap::new();
    let mut shown = Vec::new();
    for key in keys {
        let node = match key.node {
            None => None,
            Some(id) => match nodes.get(&id) {
                Some(node) => node.clone(),
                None => nodes.entry(id).or_insert(read.find_node(id).await?).clone(),
            },
        };
        shown.push((key, node));
    }
    Ok(Some(Standing { user, keys: shown }))
}
