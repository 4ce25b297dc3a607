//! `muster nodes edit`.

use super::{
    Failure,
    nodes::{Settings, shown},
    print::Printed,
    secrets::Secrets,
};
use crate::{
    app::App,
    ops::nodes::{self, NodeChange, SecretsChange},
};
use clap::{Args, ValueEnum};
use fleet::node::Policy;
use std::time::Duration;

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
    /// How long connecting may take when it is checked, such as 5s for a far-away node; 0s: as the settings say.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    connect_timeout: Option<Duration>,
    /// How long a whole check may take, such as 12s; 0s: as the settings say.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    check_timeout: Option<Duration>,
    /// What is wanted of it.
    #[arg(long)]
    policy: Option<PolicyWord>,
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

impl Edit {
    pub(super) async fn run(self, app: &App) -> Result<Printed, Failure> {
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
            connect_timeout: self.connect_timeout,
            check_timeout: self.check_timeout,
            secrets: SecretsChange {
                username: given.username,
                password: given.password,
                token: given.token,
                totp: given.totp,
            },
        };
        let id = nodes::load_named(&app.store, &self.node).await?.node.id;
        let edited = nodes::edit(&app.store, id, &change, (app.clock)()).await?;
        Ok(shown(&app.store, edited).await?)
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
