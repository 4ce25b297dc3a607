//! `muster nodes`.

use super::{
    Failure,
    edit::Edit,
    empty::{Delete, Drain},
    follow::Told,
    layers::{examined, layers},
    leaving,
    print::{Printed, table},
    secrets::Secrets,
};
use crate::{
    api::node_shapes::NodeShape,
    app::App,
    ops::nodes::{self, NodeChange},
    panels::{self, LookError},
};
use clap::{Args, Subcommand};
use fleet::{id::InboundId, node::Policy};
use serde_json::json;
use store::{
    Store, StoreError,
    nodes::{NodeRecord, NodeSecrets, NodeSettings},
};

#[derive(Debug, Subcommand)]
pub(super) enum Nodes {
    /// Look at a panel and add it as a node.
    Add(Box<Add>),
    /// List all nodes.
    List,
    /// Show everything about a node.
    Show(Named),
    /// Look at a node's panel layer by layer. Changes nothing.
    Test(Named),
    /// Change a node. What is not named stays; empty texts remove.
    Edit(Box<Edit>),
    /// Empty a node: it takes nobody from now on, and its keys move, each as soon as its new node confirmed it.
    Drain(Drain),
    /// Let a node take new keys again. What moved off it stays where it is.
    Enable(Named),
    /// Take a node out of service: it takes no new keys, and keeps those it has.
    Disable(Named),
    /// Let everybody who is leaving a node go at once, whether he was seen elsewhere or not.
    EndGrace(Named),
    /// List the users who are still on a node that their keys left, and until when.
    Leaving(Named),
    /// Delete a node. Its users move first; one with nothing of ours on it goes at once.
    Delete(Delete),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The node's name (or id).
    pub(super) name: String,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Its name, unique.
    #[arg(long, value_name = "N")]
    name: String,
    /// Its panel, with base path, as it stands in the browser.
    #[arg(long, value_name = "URL")]
    url: String,
    #[command(flatten)]
    secrets: Secrets,
    #[command(flatten)]
    settings: Settings,
    /// Allow plain http:// for this panel; its password then travels in the clear.
    #[arg(long)]
    allow_http: bool,
    /// Add it even when its panel cannot serve keys now.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(super) struct Settings {
    /// The inbound for keys; without it the only usable one.
    #[arg(long, value_name = "ID")]
    pub(super) inbound: Option<i64>,
    /// The address users connect to; without it the host of the panel's address.
    #[arg(long, value_name = "NAME")]
    pub(super) host: Option<String>,
    /// Where it stands.
    #[arg(long, value_name = "L")]
    pub(super) location: Option<String>,
    /// For people.
    #[arg(long, value_name = "D")]
    pub(super) description: Option<String>,
    /// The most keys it may hold [default: 1000].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) max_users: Option<i64>,
    /// Strength; a node of weight 2 gets twice the keys [default: 1].
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    pub(super) weight: Option<f64>,
    /// Preference; higher is preferred [default: 100].
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub(super) priority: Option<i64>,
    /// What is asked of the panel's certificate: verify, skip, or pin:SHA256 [default: verify].
    #[arg(long, value_name = "verify|skip|pin:HEX")]
    pub(super) tls: Option<String>,
}

impl Nodes {
    pub(super) async fn run(self, app: App, told: Told) -> Result<Printed, Failure> {
        match self {
            Self::Add(add) => add.run(&app).await,
            Self::List => list(&app).await,
            Self::Show(named) => Ok(shown(&app.store, nodes::load_named(&app.store, &named.name).await?).await?),
            Self::Test(Named { name }) => {
                let node = nodes::load_named(&app.store, &name).await?;
                Ok(examined(&panels::examine(&app.store, &node, app.deadlines(), &app.clock).await?))
            }
            Self::Edit(edit) => edit.run(&app).await,
            Self::Drain(drain) => drain.run(&app, told).await,
            Self::Enable(named) => set_policy(&app, &named, Policy::Active, "takes new keys").await,
            Self::Disable(named) => set_policy(&app, &named, Policy::Inactive, "takes no new keys").await,
            Self::EndGrace(named) => leaving::end_grace(&app, &named).await,
            Self::Leaving(named) => leaving::list(&app, &named).await,
            Self::Delete(delete) => delete.run(&app, told).await,
        }
    }
}

impl Add {
    async fn run(self, app: &App) -> Result<Printed, Failure> {
        let given = self.secrets.read(true)?;
        let secrets = NodeSecrets {
            username: given.username.unwrap_or_default(),
            password: given.password.unwrap_or_default(),
            token: given.token,
            totp: given.totp,
        };
        let more = self.settings;
        let settings = NodeSettings {
            name: self.name,
            description: more.description,
            location: more.location,
            url: self.url,
            tls: more.tls.unwrap_or_else(|| "verify".to_owned()),
            allow_http: self.allow_http,
            host: more.host,
            chosen_inbound: more.inbound.map(InboundId),
            connect_timeout: None,
            check_timeout: None,
            policy: Policy::Active,
            max_users: more.max_users.unwrap_or(1000),
            priority: more.priority.unwrap_or(100),
            weight: more.weight.unwrap_or(1.0),
        };
        match panels::register(&app.store, &settings, &secrets, self.force, app.deadlines(), &app.clock).await {
            Ok(added) => {
                let name = added.node.node.name.clone();
                let document = json!({"node": NodeShape::load(&app.store, added.node).await?, "seen": added.seen});
                Ok(Printed::good(format!("{}\nnode {name} is added", layers(&added.seen)), document))
            }
            Err(LookError::Unusable { name, why, seen }) => {
                let choose = if seen.is_good() { "--inbound ID chooses an inbound, " } else { "" };
                let hint = format!("({choose}--force adds it all the same)");
                Ok(Printed {
                    text: format!("{}\nnode {name} is NOT added: {why}\n{hint}", layers(&seen)),
                    document: json!({"error": why, "seen": seen}),
                    good: false,
                })
            }
            Err(other) => Err(other.into()),
        }
    }
}

async fn set_policy(app: &App, named: &Named, policy: Policy, words: &str) -> Result<Printed, Failure> {
    let id = nodes::load_named(&app.store, &named.name).await?.node.id;
    let change = NodeChange { policy: Some(policy), ..NodeChange::default() };
    let node = nodes::edit(&app.store, id, &change, (app.clock)()).await?;
    Ok(Printed::good(format!("node {} {words}", node.node.name), json!(NodeShape::load(&app.store, node).await?)))
}

async fn list(app: &App) -> Result<Printed, Failure> {
    let read = app.store.read();
    let (nodes, leaving) = (read.nodes().await?, read.count_leaving().await?);
    let all: Vec<NodeShape> = nodes.into_iter().map(|node| NodeShape::new(node, &leaving)).collect();
    let rows = all.iter().map(|n| {
        vec![
            n.name.clone(),
            n.location.clone().unwrap_or_default(),
            Policy::from(n.policy).to_string(),
            n.health.name.to_owned(),
            format!("{}/{}", n.current_users, n.max_users),
            n.leaving_users.to_string(),
            n.weight.to_string(),
            n.priority.to_string(),
            n.panel_version.clone().unwrap_or_default(),
            n.health.reason.clone().unwrap_or_default(),
        ]
    });
    let head = ["NAME", "LOCATION", "POLICY", "HEALTH", "KEYS", "LEAVING", "WEIGHT", "PRIORITY", "PANEL", "REASON"];
    Ok(Printed::good(table(&head, rows), json!({"nodes": all})))
}

pub(super) async fn shown(store: &Store, record: NodeRecord) -> Result<Printed, StoreError> {
    let document = json!(NodeShape::load(store, record).await?);
    let line = |(name, value): (&String, &serde_json::Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (value != "null").then(|| vec![format!("{name}:"), value])
    };
    let rows: Vec<Vec<String>> = document.as_object().into_iter().flatten().filter_map(line).collect();
    Ok(Printed::good(table(&[], rows), document))
}
