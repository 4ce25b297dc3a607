//! The loops that close the gap between what is written and what panels hold.
//!
//! A pass takes no input, may run twice, and leaves what it could not do to the next one. [`driver`] decides when
//! passes run; [`sync`] has one loop per node, the only writer to that node's panel; [`place`] gives homes to keys
//! whose node may not keep them; [`probe`] watches one node, and [`recorder`] writes down what it saw; [`seen`] asks who
//! was seen where, and [`settle`] decides by it what becomes of old clients; [`roster`] starts and stops the node loops
//! as nodes come and go; [`tidy`] throws old things away.

pub mod driver;
pub mod place;
pub mod probe;
pub mod recorder;
pub mod roster;
pub mod seen;
pub mod settle;
pub mod sync;
pub mod tidy;

use crate::{config::Config, ops::leaving, panels::Clock, waiters::Waiters};
use driver::drive;
use fleet::id::NodeId;
use panel::Deadlines;
use place::{guard::Guard, rescue::Limits};
use rand::{SeedableRng as _, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use store::{Lease, Store};
use sync::Timing;
use tokio::{
    sync::{Notify, mpsc},
    time::sleep,
};
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
    /// Settings, for what is not said above.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// Chance, drawn from for every generator below.
    pub chance: Arc<Mutex<StdRng>>,
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
        let (tell, told) = mpsc::channel(recorder::WAITING);
        let recording = recorder::record(self.store.clone(), told, self.pokes.clone(), self.clock.clone());
        tasks.spawn(recording);
        let roster = roster::Roster::new(self.clone(), tell, stop.clone(), tasks.clone());
        tasks.spawn(drive(roster, self.pokes.0.roster.clone(), stop.clone()));
        tasks.spawn(drive(self.place(), self.pokes.0.place.clone(), stop.clone()));
        tasks.spawn(drive(self.settle(), self.pokes.0.settle.clone(), stop.clone()));
        let tidy = tidy::Tidy::new(self.store.clone(), self.config.clone(), self.pokes.clone(), self.clock.clone());
        tasks.spawn(drive(tidy, Arc::default(), stop.clone()));
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

    fn place(&self) -> place::Place {
        let (moves, health) = (&self.config.moves, &self.config.health);
        place::Place {
            store: self.store.clone(),
            waiters: self.waiters.clone(),
            pokes: self.pokes.clone(),
            clock: self.clock.clone(),
            limits: Limits {
                per_pass: moves.per_pass,
                per_target: moves.per_target,
                trial_days: self.config.trial().days,
            },
            guard: Guard::new(health.canaries.clone(), health.timing.full_round()),
            held: BTreeMap::new(),
        }
    }

    fn settle(&self) -> settle::Settle {
        settle::Settle {
            store: self.store.clone(),
            pokes: self.pokes.clone(),
            clock: self.clock.clone(),
            settings: leaving::settings(&self.config),
            watching_since: (self.clock)(),
        }
    }

    /// A generator of one's own.
    fn chance(&self) -> StdRng {
        StdRng::from_rng(&mut *self.chance.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Wakes loops ahead of their time. A poke carries no message, and a lost one costs a period. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Pokes(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    roster: Arc<Notify>,
    place: Arc<Notify>,
    settle: Arc<Notify>,
    nodes: Mutex<BTreeMap<NodeId, Arc<Notify>>>,
    probes: Mutex<BTreeMap<NodeId, Arc<Notify>>>,
    /// Nodes whose panels are to be listed and compared, not only told what is new.
    doubted: Mutex<BTreeSet<NodeId>>,
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

    /// A user was seen, or a key moved: an old client may go.
    pub fn poke_settle(&self) {
        self.0.settle.notify_one();
    }

    /// This node was away: whatever its panel holds now, it is to be listed and compared.
    pub fn poke_full(&self, node: NodeId) {
        self.0.doubted.lock().unwrap_or_else(PoisonError::into_inner).insert(node);
        self.poke_node(node);
    }

    /// Whether this node's panel is to be listed; asked once.
    pub(crate) fn take_doubt(&self, node: NodeId) -> bool {
        self.0.doubted.lock().unwrap_or_else(PoisonError::into_inner).remove(&node)
    }

    /// There is reason to look at this node now.
    pub fn poke_probe(&self, node: NodeId) {
        self.of_probe(node).notify_one();
    }

    /// This node's panel has something to hear.
    pub fn poke_node(&self, node: NodeId) {
        self.of_node(node).notify_one();
    }

    pub(crate) fn of_probe(&self, node: NodeId) -> Arc<Notify> {
        self.0.probes.lock().unwrap_or_else(PoisonError::into_inner).entry(node).or_default().clone()
    }

    pub(crate) fn of_node(&self, node: NodeId) -> Arc<Notify> {
        self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner).entry(node).or_default().clone()
    }
}
