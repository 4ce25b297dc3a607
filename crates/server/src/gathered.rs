//! Questions gathered: whatever is asked while one batch is worked on goes together into the next.
//!
//! What costs the database a trip each, asked by hundreds at the same time, so costs a few; a lone question waits
//! for nobody.

use std::future::Future;
use tokio::sync::{mpsc, oneshot};

/// Whoever answers questions in batches. Cheap to clone.
#[derive(Debug)]
pub struct Gathered<Q, A> {
    asks: mpsc::Sender<(Q, oneshot::Sender<A>)>,
}

impl<Q, A> Clone for Gathered<Q, A> {
    fn clone(&self) -> Self {
        Self { asks: self.asks.clone() }
    }
}

impl<Q: Send + 'static, A: Send + 'static> Gathered<Q, A> {
    /// Starts the task that answers at most `most` questions at once; `answer` gives as many answers, in the same
    /// order. The task ends when the last clone of the result is dropped, and not with a batch that panics.
    pub fn start<F>(most: usize, mut answer: impl FnMut(Vec<Q>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        let (asks, mut asked) = mpsc::channel::<(Q, oneshot::Sender<A>)>(most * 4);
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while asked.recv_many(&mut batch, most).await > 0 {
                let (questions, tells): (Vec<Q>, Vec<_>) = batch.drain(..).unzip();
                match tokio::spawn(answer(questions)).await {
                    Ok(answers) => {
                        for (tell, answer) in tells.into_iter().zip(answers) {
                            // Whoever hung up does not want to know.
                            let _ = tell.send(answer);
                        }
                    }
                    Err(error) => tracing::error!(%error, "a batch of questions broke down"),
                }
            }
        });
        Self { asks }
    }

    /// The answer, which is newer than the question. `None` when its batch broke down, or the program ends.
    pub async fn ask(&self, question: Q) -> Option<A> {
        let (tell, told) = oneshot::channel();
        self.asks.send((question, tell)).await.ok()?;
        told.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn who_asks_while_others_are_answered_goes_into_the_next_batch_and_gets_his_own_answer() {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let seen = sizes.clone();
        let doubled = Gathered::start(4, move |numbers: Vec<usize>| {
            seen.lock().unwrap().push(numbers.len());
            async move {
                tokio::task::yield_now().await;
                numbers.into_iter().map(|n| n * 2).collect()
            }
        });
        assert_eq!(doubled.ask(21).await, Some(42));
        let answers = join_all((0..10).map(|n| doubled.ask(n))).await;
        assert_eq!(answers, (0..10).map(|n| Some(n * 2)).collect::<Vec<_>>());
        assert_eq!(*sizes.lock().unwrap(), [1, 4, 4, 2]);
    }

    #[tokio::test]
    async fn a_batch_that_breaks_down_takes_no_other_along() {
        let halved = Gathered::start(4, |numbers: Vec<usize>| async move {
            assert!(numbers.iter().all(|n| n % 2 == 0), "odd");
            numbers.into_iter().map(|n| n / 2).collect()
        });
        assert_eq!(halved.ask(3).await, None);
        assert_eq!(halved.ask(4).await, Some(2));
    }
}
