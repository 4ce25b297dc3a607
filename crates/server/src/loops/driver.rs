//! When passes run: at once after a poke, else after the time the last pass asked for, until the program stops.

use std::{sync::Arc, time::Duration};
use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

/// One loop's work.
pub trait Pass {
    /// Does all there is to do, and says how long to rest unless poked.
    fn pass(&mut self) -> impl Future<Output = Rest> + Send;
}

/// What follows a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Rest this long; a poke ends the rest.
    Until(Duration),
    /// Rest this long whatever pokes come: the pass failed, and repeating it at once would only hammer.
    Regardless(Duration),
}

/// Runs passes until `stop`. A pass under way is finished, not torn.
pub async fn drive(mut work: impl Pass + Send, poke: Arc<Notify>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        // On the heap, so that a loop at rest keeps no room for its pass: thousands rest at any time.
        match Box::pin(work.pass()).await {
            Rest::Until(time) => tokio::select! {
                () = poke.notified() => {}
                () = sleep(time) => {}
                () = stop.cancelled() => {}
            },
            Rest::Regardless(time) => tokio::select! {
                () = sleep(time) => {}
                () = stop.cancelled() => {}
            },
        }
    }
}
