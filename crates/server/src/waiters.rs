//! Requests that wait for a key to be confirmed, and the loops that tell them.
//!
//! Only a convenience of this process: the truth is in the database, and whoever waits looks there now and then,
//! since the loops may run in another process.

use fleet::{id::KeyId, place::NoRoom};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::oneshot;

/// How many confirmations are remembered for requests that begin to wait a moment too late.
const REMEMBERED: usize = 10_000;

/// What becomes of a key that somebody waits for.
#[derive(Debug, Clone)]
pub enum News {
    /// A panel holds it.
    Confirmed,
    /// Its node cannot take it after all, and no other can either.
    Homeless(Arc<NoRoom>),
}

/// Who waits for which key. Cheap to clone; clones share one list.
#[derive(Debug, Clone, Default)]
pub struct Waiters(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    by_key: BTreeMap<KeyId, Vec<oneshot::Sender<News>>>,
    /// In the order of confirmation, and as a set: a request asks for one key among ten thousand.
    lately: VecDeque<KeyId>,
    lately_set: BTreeSet<KeyId>,
}

impl Waiters {
    /// The next news of a key. Answers at once when it was confirmed lately; may never answer.
    pub fn news(&self, key: KeyId) -> oneshot::Receiver<News> {
        let (tell, told) = oneshot::channel();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.lately_set.contains(&key) {
            let _ = tell.send(News::Confirmed);
        } else {
            waiting.by_key.entry(key).or_default().push(tell);
        }
        told
    }

    /// Tells everybody who waits for these keys.
    pub fn tell(&self, keys: impl IntoIterator<Item = KeyId>, news: &News) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            if matches!(news, News::Confirmed) && waiting.lately_set.insert(key) {
                waiting.lately.push_back(key);
            }
            for waiter in waiting.by_key.remove(&key).unwrap_or_default() {
                // Whoever stopped waiting does not want to know.
                let _ = waiter.send(news.clone());
            }
        }
        while waiting.lately.len() > REMEMBERED {
            if let Some(oldest) = waiting.lately.pop_front() {
                waiting.lately_set.remove(&oldest);
            }
        }
    }

    /// Forgets those who have stopped waiting for this key.
    pub fn forget(&self, key: KeyId) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiters) = waiting.by_key.get_mut(&key) {
            waiters.retain(|w| !w.is_closed());
            if waiters.is_empty() {
                waiting.by_key.remove(&key);
            }
        }
    }
}
