//! Starts, restarts and stops the node loops as nodes are added, edited and deleted, by this process or another,
//! and wakes those whose panels have something to hear.

use crate::{
    loops::{
        Loops,
        driver::{Pass, Rest, drive},
        probe::Probe,
        recorder::Told,
        seen::{Online, Seen},
        sync::Sync,
    },
    panels,
};
use fleet::id::{JobId, NodeId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use store::{
    StoreError,
    nodes::{NodeRecord, NodesMark},
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The roster of one process.
pub struct Roster {
    with: Loops,
    /// Ends the node loops together with this one.
    stop: CancellationToken,
    /// Where the node loops run, so that whoever stops them can wait for them.
    tasks: TaskTracker,
    running: BTreeMap<NodeId, Running>,
    /// How the nodes stood when these were started.
    mark: Option<NodesMark>,
    /// The jobs that were running at the last look: another process may begin one, or let one go on.
    jobs: BTreeSet<JobId>,
    /// Whom the probes tell.
    told: mpsc::Sender<Told>,
}

/// A node loop that runs.
struct Running {
    revision: i64,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Pass for Roster {
    async fn pass(&mut self) -> Rest {
        if let Err(error) = self.follow().await {
            tracing::error!(error = &error as &dyn std::error::Error, "the list of nodes could not be read");
        }
        Rest::Until(self.with.timing.poll)
    }
}

impl Roster {
    /// A roster without loops yet. The node loops end when `stop` does.
    pub fn new(with: Loops, told: mpsc::Sender<Told>, stop: CancellationToken, tasks: TaskTracker) -> Self {
        Self { with, stop, tasks, running: BTreeMap::new(), mark: None, jobs: BTreeSet::new(), told }
    }

    async fn follow(&mut self) -> Result<(), StoreError> {
        let mark = self.with.store.read().nodes_mark().await?;
        if self.mark != Some(mark) {
            self.start_and_stop().await?;
            self.mark = Some(mark);
            // It may be emptied from now on, or serve again.
            self.with.pokes.poke_place();
        }
        for id in self.with.store.read().unsettled_nodes().await? {
            self.with.pokes.poke_node(id);
        }
        let jobs = self.with.store.read().running_jobs().await?;
        if !jobs.is_subset(&self.jobs) {
            self.with.pokes.poke_place();
        }
        self.jobs = jobs;
        Ok(())
    }

    async fn start_and_stop(&mut self) -> Result<(), StoreError> {
        let now = self.with.store.read().revisions().await?;
        let stale = |id: &NodeId, r: &Running| now.get(id) != Some(&r.revision);
        let gone: Vec<NodeId> = self.running.iter().filter(|(id, r)| stale(id, r)).map(|(id, _)| *id).collect();
        for id in gone {
            if let Some(old) = self.running.remove(&id) {
                old.stop.cancel();
                // Waited for, so that a panel never has two writers.
                for task in old.tasks {
                    let _ = task.await;
                }
            }
        }
        for (id, revision) in now {
            if !self.running.contains_key(&id)
                && let Some(node) = self.with.store.read().find_node(id).await?
            {
                self.start(node, revision).await?;
            }
        }
        Ok(())
    }

    async fn start(&mut self, node: NodeRecord, revision: i64) -> Result<(), StoreError> {
        let stop = self.stop.child_token();
        let id = node.node.id;
        let tasks = match self.panel(&node).await {
            Ok(panel) => {
                if let Some(silence) = self.with.store.read().silence(id).await?.filter(|s| s.revision == revision) {
                    panel.be_silent_since(silence.since.into());
                }
                self.watch(node, revision, Arc::new(panel), &stop)
            }
            Err(reason) => {
                tracing::warn!(node = %node.node.name, "node {} cannot be spoken to: {reason}", node.node.name);
                let tx = self.with.store.write().await?;
                tx.set_trouble(id, Some(&reason)).await?;
                tx.commit().await?;
                Vec::new()
            }
        };
        self.running.insert(id, Running { revision, stop, tasks });
        Ok(())
    }

    /// Starts everything that speaks to a node's panel.
    fn watch(
        &self,
        node: NodeRecord,
        revision: i64,
        panel: Arc<panel::Panel>,
        stop: &CancellationToken,
    ) -> Vec<JoinHandle<()>> {
        let (id, with) = (node.node.id, &self.with);
        let sync = Sync::new(
            (id, revision),
            panel.clone(),
            with.store.clone(),
            with.waiters.clone(),
            with.pokes.clone(),
            with.timing,
            with.clock.clone(),
        );
        let online = Online::default();
        let seen = Seen::new(id, panel.clone(), with, online.clone());
        let probe = Probe::new(node, panel, with, with.chance(), self.told.clone(), online);
        vec![
            self.tasks.spawn(drive(sync, with.pokes.of_node(id), stop.clone())),
            self.tasks.spawn(drive(seen, Arc::default(), stop.clone())),
            self.tasks.spawn(probe.run(with.pokes.of_probe(id), stop.clone())),
        ]
    }

    async fn panel(&self, node: &NodeRecord) -> Result<panel::Panel, String> {
        let secrets = match self.with.store.read().find_secrets(node.node.id).await {
            Ok(Some(secrets)) => secrets,
            Ok(None) => return Err("it was deleted".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        panels::open(&node.url, &node.tls, node.allow_http, &secrets, self.with.deadlines, &self.with.clock)
            .map_err(|e| e.to_string())
    }
}
