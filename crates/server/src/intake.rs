//! Requests for keys, gathered ([`crate::gathered`]): keys asked for at the same time cost one transaction and travel
//! to each panel in one batch, and whoever has a key already is found without any.

use crate::{
    gathered::Gathered,
    loops::Pokes,
    ops::{
        keys::{Ask, IssueError, Issued, Trial, issue, withdraw},
        users::{Standing, find_standing, find_standings},
    },
    panels::Clock,
    waiters::{News, Waiters},
};
use fleet::id::KeyId;
use rand::{SeedableRng as _, rngs::StdRng};
use std::{sync::Arc, time::Duration};
use store::{Store, StoreError, keys::KeyState};
use tokio::time::{Instant, sleep_until};

/// The most accounts looked at in one reading.
const LOOKED_AT: usize = 500;
/// The most keys issued in one transaction. A panel rests until the first of a crowd are issued, and works on them
/// while the next are: measured with 500 callers, 128 beat 64, 250 and 500 on both generations.
const ISSUED: usize = 128;
/// How often whoever waits looks into the database, in case the loops run in another process.
const LOOK: Duration = Duration::from_millis(500);

/// An account as it was looked at, if it is there; or why it could not be.
type Looked = Result<Option<Standing>, Arc<StoreError>>;

/// The way in. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    asks: Gathered<Ask, Result<Issued, IssueError>>,
    looks: Gathered<i64, Looked>,
    store: Store,
    waiters: Waiters,
    pokes: Pokes,
    patience: Duration,
    clock: Clock,
}

/// What became of a request for a key.
#[derive(Debug)]
pub struct Obtained {
    /// The key, which may be shown; or why there is none.
    pub key: Result<KeyId, IssueError>,
    /// The account after that, if there is one. Not necessarily with the key: somebody may have revoked it since.
    pub standing: Option<Standing>,
}

impl Intake {
    /// Starts the tasks that find and issue keys. They end when the last clone of the result is dropped.
    pub fn start(
        store: Store,
        trial: Trial,
        patience: Duration,
        waiters: Waiters,
        pokes: Pokes,
        mut chance: StdRng,
        clock: Clock,
    ) -> Self {
        let asks = {
            let (store, pokes, clock) = (store.clone(), pokes.clone(), clock.clone());
            Gathered::start(ISSUED, move |asks: Vec<Ask>| {
                let (store, pokes, now) = (store.clone(), pokes.clone(), clock());
                let mut chance = StdRng::from_rng(&mut chance);
                async move {
                    let answers = issue(&store, &asks, trial, &mut chance, now).await.unwrap_or_else(|error| {
                        let error = Arc::new(error);
                        asks.iter().map(|_| Err(IssueError::Store(error.clone()))).collect()
                    });
                    pokes.poke_unsettled();
                    answers
                }
            })
        };
        let looks = {
            let store = store.clone();
            Gathered::start(LOOKED_AT, move |ids: Vec<i64>| {
                let store = store.clone();
                async move { look(&store, &ids).await }
            })
        };
        Self { asks, looks, store, waiters, pokes, patience, clock }
    }

    /// An account with the keys it may be shown, as it is now; `None` if nobody has the Telegram id.
    pub async fn find_standing(&self, telegram_id: i64) -> Looked {
        match self.looks.ask(telegram_id).await {
            Some(looked) => looked,
            // Somebody else's account may be what broke the batch down.
            None => Ok(find_standing(&self.store, telegram_id).await?),
        }
    }

    /// A key that may be shown: found, or made and confirmed by a panel. Waits at most the configured time; a key
    /// that no panel confirmed by then is taken back, unless somebody else is still waiting for it.
    ///
    /// Fails only when the account cannot be looked at; see [`Obtained::key`] for everything else.
    pub async fn obtain(&self, ask: Ask) -> Result<Obtained, Arc<StoreError>> {
        let telegram_id = ask.telegram_id;
        if !ask.renew {
            let standing = self.find_standing(telegram_id).await?;
            if let Some(key) = standing.as_ref().and_then(|s| s.shown_at((self.clock)())) {
                return Ok(Obtained { key: Ok(key), standing });
            }
        }
        let key = self.issue(ask).await;
        Ok(Obtained { key, standing: self.find_standing(telegram_id).await? })
    }

    async fn issue(&self, ask: Ask) -> Result<KeyId, IssueError> {
        let deadline = Instant::now() + self.patience;
        match self.asks.ask(ask).await.ok_or(IssueError::NotConfirmed)?? {
            Issued::Ready(key) => Ok(key),
            Issued::Pending(key) => self.confirmed(key, deadline).await,
        }
    }

    async fn confirmed(&self, key: KeyId, deadline: Instant) -> Result<KeyId, IssueError> {
        let failure = loop {
            let look = Instant::now() + LOOK;
            tokio::select! {
                news = self.waiters.news(key) => match news {
                    Ok(News::Confirmed) => return Ok(key),
                    Ok(News::Homeless(why)) => break IssueError::NoRoom(why),
                    Err(_) => {}
                },
                () = sleep_until(look.min(deadline)) => {
                    self.waiters.forget(key);
                    match self.store.read().find_key(key).await? {
                        Some(found) if found.state != KeyState::Pending => return Ok(key),
                        Some(_) if look < deadline => {}
                        Some(_) | None => break IssueError::NotConfirmed,
                    }
                }
            }
        };
        if withdraw(&self.store, key).await? {
            self.pokes.poke_unsettled();
            Err(failure)
        } else {
            Ok(key)
        }
    }
}

async fn look(store: &Store, ids: &[i64]) -> Vec<Looked> {
    match find_standings(store, ids).await {
        Ok(standings) => ids.iter().map(|id| Ok(standings.get(id).cloned())).collect(),
        Err(error) => {
            let error = Arc::new(error);
            ids.iter().map(|_| Err(error.clone())).collect()
        }
    }
}
