//! Requests for keys, gathered: whatever is asked for while one transaction runs goes together into the next.
//!
//! Keys asked for at the same time so cost one transaction and travel to each panel in one batch; a lone request
//! waits for nobody.

use crate::{
    loops::Pokes,
    ops::keys::{Ask, IssueError, Issued, Trial, find_shown, issue, withdraw},
    panels::Clock,
    waiters::{News, Waiters},
};
use fleet::id::KeyId;
use rand::RngCore;
use std::{sync::Arc, time::Duration};
use store::{Store, keys::KeyState};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

/// The most requests in one transaction: long enough to keep a panel busy with batches, short enough that the
/// first of them does not wait noticeably for the last.
const GATHERED: usize = 500;
/// How often whoever waits looks into the database, in case the loops run in another process.
const LOOK: Duration = Duration::from_millis(500);

type Answer = Result<Issued, IssueError>;

/// The way in. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    asks: mpsc::Sender<(Ask, oneshot::Sender<Answer>)>,
    store: Store,
    waiters: Waiters,
    pokes: Pokes,
    patience: Duration,
    clock: Clock,
}

impl Intake {
    /// Starts the task that issues keys. It ends when the last clone of the result is dropped.
    pub fn start(
        store: Store,
        trial: Trial,
        patience: Duration,
        waiters: Waiters,
        pokes: Pokes,
        mut chance: impl RngCore + Send + 'static,
        clock: Clock,
    ) -> Self {
        let (asks, mut asked) = mpsc::channel(GATHERED * 4);
        let intake = Self { asks, store: store.clone(), waiters, pokes: pokes.clone(), patience, clock: clock.clone() };
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while asked.recv_many(&mut batch, GATHERED).await > 0 {
                let (asks, tells): (Vec<Ask>, Vec<oneshot::Sender<Answer>>) = batch.drain(..).unzip();
                let answers = match issue(&store, &asks, trial, &mut chance, clock()).await {
                    Ok(answers) => answers,
                    Err(error) => {
                        let error = Arc::new(error);
                        asks.iter().map(|_| Err(IssueError::Store(error.clone()))).collect()
                    }
                };
                pokes.poke_unsettled();
                for (tell, answer) in tells.into_iter().zip(answers) {
                    // Whoever hung up finds his key the next time he asks.
                    let _ = tell.send(answer);
                }
            }
        });
        intake
    }

    /// A key that may be shown: found, or made and confirmed by a panel. Waits at most the configured time; a key
    /// that no panel confirmed by then is taken back, unless somebody else is still waiting for it.
    pub async fn obtain(&self, ask: Ask) -> Result<KeyId, IssueError> {
        if !ask.renew
            && let Some(key) = find_shown(&self.store, ask.telegram_id, (self.clock)()).await?
        {
            return Ok(key);
        }
        let deadline = Instant::now() + self.patience;
        let (tell, told) = oneshot::channel();
        self.asks.send((ask, tell)).await.map_err(|_| IssueError::NotConfirmed)?;
        match told.await.map_err(|_| IssueError::NotConfirmed)?? {
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
