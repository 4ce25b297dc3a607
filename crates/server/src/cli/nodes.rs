//! `muster nodes`.

use super::{
    Failure,
    print::{Printed, table},
    secrets::Secrets,
};
use crate::{
    api::node_shapes::NodeShape,
    app::App,
    ops::nodes::{self, NodeChange, NodeError, SecretsChange},
    panels::{self, LookError},
};
use clap::{Args, Subcommand, ValueEnum};
use fleet::{id::InboundId, node::Policy};
use panel::{Examination, Step};
use serde_json::json;
use store::nodes::{NodeRecord, NodeSecrets, NodeSettings};

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
    /// Delete a node that serves nobody.
    Delete(Delete),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The node's name (or id).
    name: String,
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
pub(super) struct Edit {
    /// The node's name (or id).
    node: String,
    /// A new name.
    #[arg(long, value_name = "N")]
    name: Option<String>,
    /// A new address of its panel.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    secrets: Secrets,
    #[command(flatten)]
    settings: Settings,
    /// Whether plain http:// is allowed for this panel.
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    allow_http: Option<bool>,
    /// What is wanted of it.
    #[arg(long)]
    policy: Option<PolicyWord>,
}

#[derive(Debug, Args)]
struct Settings {
    /// The inbound for keys; without it the only usable one.
    #[arg(long, value_name = "ID")]
    inbound: Option<i64>,
    /// The address users connect to; without it the host of the panel's address.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Where it stands.
    #[arg(long, value_name = "L")]
    location: Option<String>,
    /// For people.
    #[arg(long, value_name = "D")]
    description: Option<String>,
    /// The most keys it may hold [default: 1000].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    max_users: Option<i64>,
    /// Strength; a node of weight 2 gets twice the keys [default: 1].
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    weight: Option<f64>,
    /// Preference; higher is preferred [default: 100].
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    priority: Option<i64>,
    /// What is asked of the panel's certificate: verify, skip, or pin:SHA256 [default: verify].
    #[arg(long, value_name = "verify|skip|pin:HEX")]
    tls: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    /// The node's name (or id).
    name: String,
    /// Delete it although its panel still holds clients of ours; they stay there for ever.
    #[arg(long)]
    abandon: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PolicyWord {
    /// Takes new keys.
    Active,
    /// Takes nobody; being emptied.
    Maintenance,
    /// Takes nobody; out of service.
    Inactive,
}

impl Nodes {
    pub(super) async fn run(self, app: App) -> Result<Printed, Failure> {
        match self {
            Self::Add(add) => add.run(&app).await,
            Self::List => list(&app).await,
            Self::Show(named) => Ok(shown(nodes::load_named(&app.store, &named.name).await?)),
            Self::Test(named) => test(&app, &named.name).await,
            Self::Edit(edit) => edit.run(&app).await,
            Self::Delete(delete) => {
                let id = nodes::load_named(&app.store, &delete.name).await?.node.id;
                let gone = nodes::delete(&app.store, id, delete.abandon).await.map_err(|error| match error {
                    NodeError::InUse { .. } => Failure::Refused(format!("{error} (--abandon deletes it all the same)")),
                    other => other.into(),
                })?;
                Ok(Printed::good(format!("node {} is deleted", gone.node.name), json!({"deleted": gone.node.name})))
            }
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
                let document = json!({"node": NodeShape::from(added.node), "seen": added.seen});
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

impl Edit {
    async fn run(self, app: &App) -> Result<Printed, Failure> {
        let given = self.secrets.read(false)?;
        let more = self.settings;
        let change = NodeChange {
            name: self.name,
            description: more.description,
            location: more.location,
            url: self.url,
            tls: more.tls,
            allow_http: self.allow_http,
            host: more.host,
            inbound: more.inbound,
            policy: self.policy.map(Into::into),
            max_users: more.max_users,
            priority: more.priority,
            weight: more.weight,
            secrets: SecretsChange {
                username: given.username,
                password: given.password,
                token: given.token,
                totp: given.totp,
            },
        };
        let id = nodes::load_named(&app.store, &self.node).await?.node.id;
        Ok(shown(nodes::edit(&app.store, id, &change, (app.clock)()).await?))
    }
}

async fn list(app: &App) -> Result<Printed, Failure> {
    let all: Vec<NodeShape> = app.store.read().nodes().await?.into_iter().map(Into::into).collect();
    let rows = all.iter().map(|n| {
        vec![
            n.name.clone(),
            n.location.clone().unwrap_or_default(),
            Policy::from(n.policy).to_string(),
            n.health.name.to_owned(),
            format!("{}/{}", n.current_users, n.max_users),
            n.weight.to_string(),
            n.priority.to_string(),
            n.panel_version.clone().unwrap_or_default(),
            n.health.reason.clone().unwrap_or_default(),
        ]
    });
    let head = ["NAME", "LOCATION", "POLICY", "HEALTH", "KEYS", "WEIGHT", "PRIORITY", "PANEL", "REASON"];
    Ok(Printed::good(table(&head, rows), json!({"nodes": all})))
}

fn shown(record: NodeRecord) -> Printed {
    let document = json!(NodeShape::from(record));
    let line = |(name, value): (&String, &serde_json::Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (value != "null").then(|| vec![format!("{name}:"), value])
    };
    let rows: Vec<Vec<String>> = document.as_object().into_iter().flatten().filter_map(line).collect();
    Printed::good(table(&[], rows), document)
}

async fn test(app: &App, name: &str) -> Result<Printed, Failure> {
    let node = nodes::load_named(&app.store, name).await?;
    let seen = panels::examine(&app.store, &node, app.deadlines(), &app.clock).await?;
    let good = seen.is_good();
    Ok(Printed { text: layers(&seen), document: json!({"good": good, "seen": seen}), good })
}

/// What was seen of a panel, one line per layer.
fn layers(seen: &Examination) -> String {
    let inbounds = |found: &Vec<panel::InboundFound>| {
        let each = found.iter().map(|i| {
            let state = i.unusable.as_deref().unwrap_or("usable");
            format!("{} {} on port {} {:?}: {state}", i.id, i.protocol, i.port, i.remark)
        });
        each.collect::<Vec<_>>().join("; ")
    };
    let rows = [
        ("name", line(&seen.name, |a| a.join(", "))),
        ("tcp", line(&seen.tcp, Clone::clone)),
        ("tls", line(&seen.tls, |t| t.as_ref().map_or("none: plain http".to_owned(), |t| t.protocol.clone()))),
        (
            "panel",
            line(&seen.panel, |v| format!("3x-ui {}", v.panel.clone().unwrap_or_else(|| v.generation.to_string()))),
        ),
        ("authorised", line(&seen.authorised, |c| format!("by {c:?}").to_lowercase())),
        ("xray", line(&seen.xray, |x| format!("{:?} {}", x.state, x.version).to_lowercase())),
        ("inbounds", line(&seen.inbounds, inbounds)),
    ];
    let certificate =
        seen.certificate_sha256.iter().map(|sha| vec!["  certificate".to_owned(), String::new(), format!("pin:{sha}")]);
    let rows = rows.into_iter().map(|(name, (state, words))| vec![name.to_owned(), state.to_owned(), words]);
    table(&[], rows.chain(certificate))
}

fn line<T>(step: &Step<T>, words: impl Fn(&T) -> String) -> (&'static str, String) {
    match step {
        Step::Good { ms, found } => ("ok", format!("{} ({ms} ms)", words(found))),
        Step::Bad { why, found, .. } => {
            let found = found.as_ref().map(words).filter(|f| !f.is_empty());
            let found = found.map(|f| format!(" [{f}]")).unwrap_or_default();
            ("FAILED", format!("{why}{found}"))
        }
        Step::NotReached => ("-", "not reached".to_owned()),
    }
}

impl From<PolicyWord> for Policy {
    fn from(word: PolicyWord) -> Self {
        match word {
            PolicyWord::Active => Self::Active,
            PolicyWord::Maintenance => Self::Maintenance,
            PolicyWord::Inactive => Self::Inactive,
        }
    }
}
