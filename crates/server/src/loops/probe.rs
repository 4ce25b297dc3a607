//! Watching one node: checks begin when its health says so, overlap after a failure, and are folded into its health
//! one by one. When to look and what follows is `fleet`'s business; what is to be kept is told to the recorder.

use super::{Loops, recorder::Told, seen::Online};
use crate::{links, panels::Clock};
use fleet::{
    health::{
        Health,
        next::Begun,
        reading::{Depth, Reading},
        rules::{MOST_AT_ONCE, Rules, Timing},
        stall::{Moment, Run, stall},
    },
    inbound::{Inbound, Security},
};
use panel::{Panel, Patience, PublicPort, Status};
use rand::{Rng as _, rngs::StdRng};
use std::{sync::Arc, time::Duration};
use store::{Store, nodes::NodeRecord};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// How one node is watched.
pub struct Probe {
    node: NodeRecord,
    /// What users reach of it.
    ports: Arc<[PublicPort]>,
    panel: Arc<Panel>,
    store: Store,
    health: Health,
    begun: Begun,
    timing: Timing,
    rules: Rules,
    clock: Clock,
    /// What the monotonic clock is counted from.
    origin: Instant,
    chance: StdRng,
    told: mpsc::Sender<Told>,
    online: Online,
}

/// A check that is over.
struct Done {
    run: Run,
    reading: Reading,
    status: Option<Status>,
}

impl Probe {
    /// Goes on from the health that the node's row holds.
    pub fn new(
        node: NodeRecord,
        panel: Arc<Panel>,
        with: &Loops,
        chance: StdRng,
        told: mpsc::Sender<Told>,
        online: Online,
    ) -> Self {
        let (timing, rules) = (with.config.health.timing.clone(), with.config.health.rules.clone());
        let timing = Timing {
            connect_deadline: node.connect_timeout.unwrap_or(timing.connect_deadline),
            check_deadline: node.check_timeout.unwrap_or(timing.check_deadline),
            ..timing
        };
        Self {
            health: node.watch.clone(),
            ports: public_ports(&node),
            node,
            panel,
            store: with.store.clone(),
            begun: Begun::default(),
            timing,
            rules,
            clock: with.clock.clone(),
            origin: Instant::now(),
            chance,
            told,
            online,
        }
    }

    /// Watches until `stop`. A poke starts a full check at once.
    ///
    /// What a check takes is on the heap for as long as it takes: a thousand nodes rest most of the time.
    pub async fn run(mut self, poke: Arc<Notify>, stop: CancellationToken) {
        let mut running: JoinSet<Done> = JoinSet::new();
        let mut jitter: f64 = self.chance.random();
        loop {
            let now = self.moment();
            let next = self.health.next_check(now.wall_ms, self.begun, &self.timing, jitter);
            let wait_ms = next.at_ms.saturating_sub(now.wall_ms).max(0);
            let planned = Moment { monotonic_ms: now.monotonic_ms + wait_ms, wall_ms: now.wall_ms + wait_ms };
            let may_begin = running.len() < MOST_AT_ONCE as usize;
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(Duration::from_millis(wait_ms.unsigned_abs())), if may_begin => {
                    if next.depth == Depth::Full {
                        jitter = self.chance.random();
                    }
                    Box::pin(self.begin(next.depth, planned, &mut running)).await;
                }
                () = poke.notified(), if may_begin => {
                    // Due since the poke, not since we began to wait for one.
                    let poked = self.moment();
                    Box::pin(self.begin(Depth::Full, poked, &mut running)).await;
                }
                Some(done) = running.join_next() => match done {
                    Ok(done) => Box::pin(self.fold(done)).await,
                    Err(error) => tracing::error!(node = %self.node.node.name, %error, "a check broke down"),
                },
            }
        }
    }

    async fn begin(&mut self, depth: Depth, planned: Moment, running: &mut JoinSet<Done>) {
        let now_ms = self.moment().wall_ms;
        match depth {
            Depth::Full => {
                self.begun.full_ms = Some(now_ms);
                self.follow().await;
            }
            Depth::Light => self.begun.light_ms = Some(now_ms),
        }
        let (panel, timing) = (self.panel.clone(), self.timing.clone());
        let (clock, origin) = (self.clock.clone(), self.origin);
        let ports = self.ports.clone();
        running.spawn(async move {
            let started_ms = moment(&clock, origin).monotonic_ms;
            let (reading, status, deadline) = match depth {
                Depth::Full => {
                    let patience = Patience { connect: timing.connect_deadline, whole: timing.check_deadline };
                    // On the heap: there are ten light checks to a full one, and each would carry room for it.
                    let checked = Box::pin(panel.check(&ports, patience)).await;
                    (checked.reading, checked.status, timing.check_deadline)
                }
                Depth::Light => {
                    let deadline = timing.liveness_deadline;
                    (panel.check_lightly(&ports, deadline).await, None, deadline)
                }
            };
            let deadline_ms = i64::try_from(deadline.as_millis()).unwrap_or(i64::MAX);
            let run = Run { planned, started_ms, ended: moment(&clock, origin), deadline_ms };
            Done { run, reading, status }
        });
    }

    /// The inbound that keys live on may be another one by now.
    async fn follow(&mut self) {
        match self.store.read().find_node(self.node.node.id).await {
            Ok(Some(node)) => {
                self.ports = public_ports(&node);
                self.node = node;
            }
            // Deleted: the roster ends this soon.
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "a node's row could not be read; its last known ports are checked"),
        }
    }

    async fn fold(&mut self, done: Done) {
        if let Some(stall) = stall(&done.run) {
            tracing::warn!(node = %self.node.node.name, "a reading of node {} is dropped: {stall}", self.node.node.name);
            return;
        }
        let before = self.health.state().clone();
        self.health = std::mem::take(&mut self.health).observe(&done.reading, &self.rules);
        let changed = before.name() != self.health.state().name();
        if !changed && done.reading.depth == Depth::Light {
            return;
        }
        let told = Told {
            node: self.node.node.id,
            name: self.node.node.name.clone(),
            before: changed.then_some(before),
            health: self.health.clone(),
            reading: (done.reading.depth == Depth::Full).then_some(done.reading),
            status: done.status,
            online: self.online.users(),
        };
        // Nobody listens any more when the program stops.
        let _ = self.told.send(told).await;
    }

    fn moment(&self) -> Moment {
        moment(&self.clock, self.origin)
    }
}

fn moment(clock: &Clock, origin: Instant) -> Moment {
    let monotonic_ms = i64::try_from(origin.elapsed().as_millis()).unwrap_or(i64::MAX);
    Moment { monotonic_ms, wall_ms: clock().timestamp_millis() }
}

/// The port that users of this node's keys reach.
fn public_ports(node: &NodeRecord) -> Arc<[PublicPort]> {
    let host = links::host(node);
    let port = |inbound: &Inbound| {
        let hello = server_name(inbound, &host);
        PublicPort { inbound: inbound.id, host: host.clone(), port: inbound.port, hello }
    };
    node.inbound.iter().map(port).collect()
}

/// The name to say hello with: one that the inbound is known to answer to.
fn server_name(inbound: &Inbound, host: &str) -> Option<String> {
    match &inbound.security {
        Security::None => None,
        Security::Tls { sni, .. } if sni.is_empty() => Some(host.to_owned()),
        Security::Tls { sni, .. } => Some(sni.clone()),
        Security::Reality { server_names, .. } => server_names.iter().find(|name| !name.is_empty()).cloned(),
    }
}
