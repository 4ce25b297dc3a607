//! `muster nodes drain` and `delete`: nodes that people leave.

use super::{
    ASKED_BY, Failure,
    follow::{Told, Wait, follow},
    plan::{listed, names, preview, totals},
    print::{BY_SERVER, Printed, ask},
};
use crate::{
    api::job_shapes::Begun,
    app::App,
    ops::{
        moves::{self, Drain as How, MoveError, read_deadline},
        nodes::{self, NodeError},
    },
};
use clap::Args;
use fleet::id::NodeId;
use serde_json::json;
use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};
use store::nodes::NodeRecord;

/// How a node is emptied.
#[derive(Debug, Args)]
pub(super) struct Drain {
    /// The node's name (or id).
    name: String,
    /// When old clients go at the latest, such as 24h; without it after the grace of the settings.
    #[arg(long, value_name = "TIME", value_parser = read_deadline)]
    deadline: Option<Duration>,
    /// Begin even if some keys fit nowhere: they stay.
    #[arg(long)]
    partly: bool,
    /// Only say who would go where.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    #[command(flatten)]
    drain: Drain,
    /// Delete it at once and move nobody. Says what will be lost, and wants the node's name typed.
    #[arg(long, conflicts_with_all = ["deadline", "partly", "dry_run", "wait"])]
    force: bool,
    /// For --force, where nobody sits at a terminal: the node's name.
    #[arg(long, value_name = "NAME", requires = "force")]
    yes: Option<String>,
}

impl Drain {
    pub(super) async fn run(self, app: &App, told: Told) -> Result<Printed, Failure> {
        let node = nodes::load_named(&app.store, &self.name).await?;
        self.empty(app, &node, false, told).await
    }

    async fn empty(&self, app: &App, node: &NodeRecord, delete: bool, told: Told) -> Result<Printed, Failure> {
        let (id, name) = (node.node.id, &node.node.name);
        let aim = if delete { "deleted" } else { "emptied" };
        if self.dry_run {
            let plan = moves::preview(&app.store, &app.config, id).await?;
            return preview(app, &format!("node {name} would be {aim}"), &plan).await;
        }
        let how = How { deadline: self.deadline, delete, partly: self.partly, asked_by: ASKED_BY.to_owned() };
        let (job, plan) = match moves::drain(&app.store, &app.config, id, &how, (app.clock)()).await {
            Ok(begun) => begun,
            Err(refusal @ MoveError::NoRoom { .. }) => return refused(app, id, &refusal).await,
            Err(other) => return Err(other.into()),
        };
        let document = json!(Begun::new(job, &plan));
        let keys = plan.moves.len();
        let Some(job) = job else {
            let text = format!("no key lives on node {name}, and it takes none until it is enabled again");
            return Ok(Printed::good(text, document));
        };
        if !self.wait.wait {
            let text = format!("node {name} is being {aim}: job {job} moves {keys} key(s); {BY_SERVER}");
            return Ok(Printed::good(text, document));
        }
        let done = follow(app, job, told).await?.complete(document);
        let text = if done.good { format!("{}\nnode {name} is {aim}", done.text) } else { done.text };
        Ok(Printed { text, ..done })
    }
}

impl Delete {
    pub(super) async fn run(self, app: &App, told: Told) -> Result<Printed, Failure> {
        let node = nodes::load_named(&app.store, &self.drain.name).await?;
        if self.force {
            self.confirm(app, &node).await?;
            return Ok(deleted(&nodes::delete(&app.store, node.node.id, true, (app.clock)()).await?));
        }
        if self.drain.dry_run {
            return self.drain.empty(app, &node, true, told).await;
        }
        match nodes::delete(&app.store, node.node.id, false, (app.clock)()).await {
            Ok(gone) => Ok(deleted(&gone)),
            Err(NodeError::InUse { .. }) => self.drain.empty(app, &node, true, told).await,
            Err(other) => Err(other.into()),
        }
    }

    /// Says what will be lost, and wants the node's name.
    async fn confirm(&self, app: &App, node: &NodeRecord) -> Result<(), Failure> {
        let (name, read) = (&node.node.name, app.store.read());
        let keys = read.keys_on(node.node.id).await?.len();
        let clients = read.count_clients(node.node.id).await?;
        let loss = format!(
            "{keys} key(s) live on node {name} and would be without service until another node has taken them; {clients} client(s) of ours would stay on its \
             panel for ever, whatever becomes of their users"
        );
        let typed = match &self.yes {
            Some(yes) => yes.clone(),
            None if io::stdin().is_terminal() => {
                ask(&format!("{loss}.\nType the node's name to delete it all the same: "));
                let mut line = String::new();
                let _ = io::stdin().read_line(&mut line);
                line.trim_end_matches(['\r', '\n']).to_owned()
            }
            None => return Err(Failure::Refused(format!("{loss} (--yes {name} deletes it all the same)"))),
        };
        if typed == *name {
            return Ok(());
        }
        Err(Failure::Refused(format!("{typed:?} is not the node's name: nothing was deleted. {loss}")))
    }
}

fn deleted(gone: &NodeRecord) -> Printed {
    Printed::good(format!("node {} is deleted", gone.node.name), json!({"deleted": gone.node.name}))
}

/// A refusal with the list of the keys that fit nowhere.
async fn refused(app: &App, node: NodeId, refusal: &MoveError) -> Result<Printed, Failure> {
    let plan = moves::preview(&app.store, &app.config, node).await?;
    let names = names(app).await?;
    let text = format!(
        "{refusal}\n{}\n{}\nnothing was changed (--partly moves those that fit, and leaves the others where they are)",
        totals(&plan, &names),
        listed(plan.moves.iter().filter(|m| m.to.is_none()), &names)
    );
    let mut document = json!({"error": refusal.to_string()});
    if let MoveError::NoRoom { keys, why, .. } = refusal {
        document["seen"] = json!({"keys": keys, "refusals": why.refusals});
    }
    Ok(Printed { text, document, good: false })
}
