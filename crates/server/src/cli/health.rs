//! `muster health` and `muster events`: how the fleet is, and what was decided.

use super::{
    Failure, layers,
    print::{Printed, moment, table},
};
use crate::{
    api::health::{EventList, EventShape, FleetHealth, NodeHealth},
    app::App,
    ops::{
        health::{load, release},
        nodes::load_named,
    },
};
use chrono::DateTime;
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Health {
    #[command(subcommand)]
    word: Option<Word>,
    /// Show the last full reading of this node (name or id), layer by layer.
    node: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// Say that failures all over the fleet are real: moves that are held begin.
    Release,
}

#[derive(Debug, Args)]
pub(super) struct Events {
    /// At most so many, the newest.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1000))]
    most: u64,
}

impl Health {
    pub(super) async fn run(self, app: App) -> Result<Printed, Failure> {
        if let Some(Word::Release) = self.word {
            let was_held = release(&app.store, (app.clock)()).await?;
            let (_, document) = fleet(&app).await?;
            let text = if was_held {
                "noted: failures up to now are real, and moves that were held begin (a running server begins them)"
            } else {
                "noted: failures up to now are real; no moves were held"
            };
            return Ok(Printed::good(text, document));
        }
        match self.node {
            Some(name) => Ok(one(&load_named(&app.store, &name).await?.into())),
            None => fleet(&app).await.map(|(text, document)| Printed::good(text, document)),
        }
    }
}

async fn fleet(app: &App) -> Result<(String, serde_json::Value), Failure> {
    let fleet = FleetHealth::from(load(&app.store).await?);
    let rows = fleet.nodes.iter().map(|n| {
        vec![
            n.name.clone(),
            n.health.name.to_owned(),
            n.health.since.map(moment).unwrap_or_default(),
            n.response_ms.map(|ms| format!("{ms} ms")).unwrap_or_default(),
            percent(n.cpu_percent),
            percent(n.mem_percent),
            n.online_users.map(|users| users.to_string()).unwrap_or_default(),
            why(n),
        ]
    });
    let head = ["NAME", "STATE", "SINCE (UTC)", "RESPONSE", "CPU", "MEM", "ONLINE", "REASON"];
    let mut text = table(&head, rows);
    if let Some(hold) = &fleet.hold {
        let since = moment(hold.since);
        text = format!(
            "NOBODY IS MOVED since {since} UTC: {}\n(muster health release: the failures are real)\n{text}",
            hold.why
        );
    }
    Ok((text, json!(fleet)))
}

fn one(node: &NodeHealth) -> Printed {
    let since = node.health.since.map(|at| format!(" since {} UTC", moment(at))).unwrap_or_default();
    let mut text = format!("{} is {}{since}", node.name, node.health.name);
    let why = why(node);
    if !why.is_empty() {
        text = format!("{text}: {why}");
    }
    let seen = node.layers.as_ref().map(|reading| {
        let at = DateTime::from_timestamp_millis(reading.ended_ms).map(moment).unwrap_or_default();
        format!("last full reading at {at} UTC:\n{}", layers::reading(reading))
    });
    text = format!("{text}\n{}", seen.as_deref().unwrap_or("nobody has looked at every layer yet"));
    let load = [
        ("response", node.response_ms.map(|ms| format!("{ms} ms")).unwrap_or_default()),
        ("cpu", percent(node.cpu_percent)),
        ("mem", percent(node.mem_percent)),
        ("xray", node.xray_version.clone().unwrap_or_default()),
        ("online", node.online_users.map(|users| users.to_string()).unwrap_or_default()),
    ];
    let load = load.into_iter().filter(|(_, value)| !value.is_empty());
    let load: Vec<String> = load.map(|(name, value)| format!("{name} {value}")).collect();
    if !load.is_empty() {
        text = format!("{text}\n{}", load.join(", "));
    }
    Printed::good(text, json!(node))
}

/// What is wrong with a node, and what its panel did not do.
fn why(node: &NodeHealth) -> String {
    let both = [node.health.reason.as_deref(), node.health.trouble.as_deref()];
    both.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn percent(part: Option<f64>) -> String {
    part.map(|part| format!("{part:.0} %")).unwrap_or_default()
}

impl Events {
    pub(super) async fn run(self, app: App) -> Result<Printed, Failure> {
        let events = app.store.read().events(self.most).await?;
        let list = EventList { events: events.into_iter().map(EventShape::from).collect() };
        let rows = list.events.iter().map(|e| vec![moment(e.at), e.kind.clone(), e.message.clone()]);
        Ok(Printed::good(table(&["AT (UTC)", "KIND", "WHAT"], rows), json!(list)))
    }
}
