//! The loops that close the gap between what is written and what panels hold.
//!
//! A pass takes no input, may run twice, and leaves what it could not do to the next one. [`driver`] decides when
//! passes run; [`sync`] has one loop per node, the only writer to that node's panel; [`place`] gives homes to keys
//! whose node cannot take them after all; [`roster`] starts and stops the node loops as nodes come and go.

pub mod driver;
pub mod place;
pub mod roster;
pub mod sync;

use crate::{panels::Clock, waiters::Waiters};
use driver::drive;
use fleet::id::NodeId;
use panel::Deadlines;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use store::{Lease, Store};
use sync::Timing;
use tokio::{sync::Notify, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How often a process without the lease asks for it, and one that has it makes sure.
const LEASE_PERIOD: Duration = Duration::from_secs(1);

/// What the loops of one process need.
#[derive(Clone)]
pub struct Loops {
    /// Where everything is.
    pub store: Store,
    /// Who waits for keys.
    pub waiters: Waiters,
    /// Wakes the loops.
    pub pokes: Pokes,
    /// How long panels may take.
    pub deadlines: Deadlines,
    /// How often things are done.
    pub timing: Timing,
    /// The time.
    pub clock: Clock,
}

impl Loops {
    /// Runs the loops while this process holds the lease, until `stop`: of several processes on one database one
    /// speaks to the panels, and when it dies another takes over.
    pub async fn run(self, stop: CancellationToken) {
        let mut waiting = false;
        while !stop.is_cancelled() {
            match self.store.find_lease().await {
                Ok(Some(lease)) => {
                    waiting = false;
                    self.run_under(&lease, &stop).await;
                }
                Ok(None) if !waiting => {
                    waiting = true;
                    tracing::info!("another Muster process speaks to the panels; this one waits to take over");
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the lease could not be asked for");
                }
            }
            tokio::select! {
                () = sleep(LEASE_PERIOD) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn run_under(&self, lease: &Lease, stop: &CancellationToken) {
        let (stop, tasks) = (stop.child_token(), TaskTracker::new());
        let roster = roster::Roster::new(self.clone(), stop.clone(), tasks.clone());
        let place = place::Place {
            store: self.store.clone(),
            waiters: self.waiters.clone(),
            pokes: self.pokes.clone(),
            clock: self.clock.clone(),
            held: BTreeMap::new(),
        };
        tasks.spawn(drive(roster, self.pokes.0.roster.clone(), stop.clone()));
        tasks.spawn(drive(place, self.pokes.0.place.clone(), stop.clone()));
        loop {
            tokio::select! {
                () = sleep(LEASE_PERIOD) => if !lease.is_held().await {
                    tracing::error!("the database dropped our lease; the loops stop until we have it again");
                    break;
                },
                () = stop.cancelled() => break,
            }
        }
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }
}

/// Wakes loops ahead of their time. A poke carries no message, and a lost one costs a period. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Pokes(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    roster: Arc<Notify>,
    place: Arc<Notify>,
    nodes: Mutex<BTreeMap<NodeId, Arc<Notify>>>,
}

impl Pokes {
    /// Something was written that some panel should hear of: the roster finds out which.
    pub fn poke_unsettled(&self) {
        self.0.roster.notify_one();
    }

    /// A node changed for the worse, or a key is without a home.
    pub fn poke_place(&self) {
        self.0.place.notify_one();
    }

    /// This node's panel has something to hear.
    pub fn poke_node(&self, node: NodeId) {
        self.of_node(node).notify_one();
    }

    pub(crate) fn of_node(&self, node: NodeId) -> Arc<Notify> {
        self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner).entry(node).or_default().clone()
    }
}
