//! Settings: defaults, then the YAML file, then the environment.
//!
//! One table, in `settings`, names every setting once: how it is read, checked, shown and documented. File,
//! environment, `config check` and the sample file all go through it, so none can drift from the others.

mod file;
mod load;
mod settings;

pub use load::{ConfigErrors, Mistake};
pub use settings::sample;

use fleet::health::rules::{Rules, Timing};
use ipnet::IpNet;
use secrecy::SecretString;
use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// How the program is reached.
    pub server: Server,
    /// Where rows are kept.
    pub database: Database,
    /// With what panel secrets are sealed.
    pub secrets: Secrets,
    /// How long panels may take.
    pub panels: Panels,
    /// How often panels are compared with the database.
    pub sync: Sync,
    /// How nodes are watched, and when one counts as down.
    pub health: Health,
    /// How keys move.
    pub moves: Moves,
    /// What users get.
    pub users: Users,
    /// What is logged.
    pub log: Log,
}

/// How the program is reached.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where it listens.
    pub listen: SocketAddr,
    /// From where the bot is answered without a token.
    pub bot_networks: Vec<IpNet>,
}

/// Where rows are kept.
#[derive(Debug, Clone, Default)]
pub struct Database {
    /// `None`: SQLite in the data folder.
    pub url: Option<SecretString>,
    /// A file that holds the URL.
    pub url_file: Option<PathBuf>,
}

/// With what panel secrets are sealed.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// The key itself, 64 hexadecimal digits.
    pub key: Option<SecretString>,
    /// Where the key is; `None`: `secret.key` in the data folder, made on first start.
    pub key_file: Option<PathBuf>,
    /// Older keys, which still open what they sealed.
    pub previous: Vec<SecretString>,
}

/// How long panels may take.
#[derive(Debug, Clone)]
pub struct Panels {
    /// To accept a connection.
    pub connect_timeout: Duration,
    /// To answer a question.
    pub read_timeout: Duration,
    /// To carry out a change.
    pub write_timeout: Duration,
    /// How long a request for a key waits for a panel's word.
    pub issue_wait: Duration,
}

/// How often panels are compared with the database.
#[derive(Debug, Clone)]
pub struct Sync {
    /// Between two full comparisons of a node that is well.
    pub full_interval: Duration,
    /// Between two tries at a node that is not.
    pub retry_interval: Duration,
    /// Between two looks at what other processes wrote.
    pub poll: Duration,
}

/// How nodes are watched, and when one counts as down.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// How often, and for how long.
    pub timing: Timing,
    /// How much proof a conclusion needs.
    pub rules: Rules,
    /// `host:port` of addresses that should always accept and have nothing to do with the fleet: when all of them
    /// fail as well, our own line is broken.
    pub canaries: Vec<String>,
}

/// How keys move.
#[derive(Debug, Clone)]
pub struct Moves {
    /// How long an old client is kept for a user who is not seen on his new node.
    pub grace: Duration,
    /// The most keys that begin to move in one pass.
    pub per_pass: usize,
    /// The most keys that are on their way to one node at the same time.
    pub per_target: usize,
    /// How long a key that moved is left alone by rebalancing.
    pub cool_down: Duration,
    /// By how many percent the fullest node's load may exceed the emptiest's before rebalancing does anything.
    pub tolerance: u32,
    /// How often each panel is asked who was seen on it.
    pub seen_every: Duration,
    /// How often the fleet is evened out by itself; `None`: only when asked.
    pub rebalance_every: Option<Duration>,
}

impl Default for Moves {
    fn default() -> Self {
        Self {
            grace: Duration::from_hours(72),
            per_pass: 2000,
            per_target: 500,
            cool_down: Duration::from_hours(24),
            tolerance: 10,
            seen_every: Duration::from_mins(1),
            rebalance_every: None,
        }
    }
}

/// What users get.
#[derive(Debug, Clone)]
pub struct Users {
    /// Whether new users get a trial.
    pub trial_enabled: bool,
    /// How long it lasts.
    pub trial_days: u32,
    /// What the service is called.
    pub site_name: String,
}

/// What is logged, on standard error.
#[derive(Debug, Clone)]
pub struct Log {
    /// As JSON lines, or as text.
    pub json: bool,
    /// A filter such as `info` or `info,muster=debug`.
    pub level: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: Server {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
                bot_networks: vec![
                    IpNet::new_assert(Ipv4Addr::new(127, 0, 0, 0).into(), 8),
                    IpNet::new_assert(Ipv6Addr::LOCALHOST.into(), 128),
                ],
            },
            database: Database::default(),
            secrets: Secrets::default(),
            panels: Panels {
                connect_timeout: Duration::from_secs(3),
                read_timeout: Duration::from_secs(8),
                write_timeout: Duration::from_secs(35),
                issue_wait: Duration::from_secs(10),
            },
            sync: Sync {
                full_interval: Duration::from_mins(5),
                retry_interval: Duration::from_secs(5),
                poll: Duration::from_millis(300),
            },
            health: Health::default(),
            moves: Moves::default(),
            users: Users { trial_enabled: true, trial_days: 7, site_name: "Muster".to_owned() },
            log: Log { json: false, level: "info".to_owned() },
        }
    }
}

impl Config {
    /// Defaults, then the file if one is named, then the variables `MUSTER_SECTION__KEY` among `environment`. Fails
    /// with every mistake there is, each with the place where it stands.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        load::load(file, environment)
    }

    /// What new accounts get.
    pub fn trial(&self) -> crate::ops::keys::Trial {
        crate::ops::keys::Trial { days: self.users.trial_enabled.then_some(self.users.trial_days) }
    }
}
