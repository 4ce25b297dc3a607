//! The one table of settings.

use super::Config;
use ipnet::IpNet;
use secrecy::SecretString;
use std::{fmt::Write as _, path::PathBuf, time::Duration};

/// One setting. `set` reads it from text (lists: separated by commas) or says what it should be.
pub(super) struct Setting {
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    pub(super) about: &'static str,
    /// How it is written in the sample: commented out where there is no default.
    pub(super) sample: &'static str,
    pub(super) set: fn(&mut Config, &str) -> Result<(), String>,
}

/// Every setting, in the order of the sample file.
#[rustfmt::skip]
pub(super) const SETTINGS: &[Setting] = &[
    Setting { section: "server", key: "listen", about: "Where the program listens.", sample: "127.0.0.1:8000",
        set: |c, v| { c.server.listen = v.parse().map_err(|_| "an address and a port, such as 127.0.0.1:8000".to_owned())?; Ok(()) } },
    Setting { section: "server", key: "bot_networks", about: "From where the Telegram bot is answered without a token.", sample: "[127.0.0.0/8, \"::1/128\"]",
        set: |c, v| { c.server.bot_networks = list(v).map(network).collect::<Result<_, _>>()?; Ok(()) } },
    Setting { section: "database", key: "url", about: "postgres://user:password@host/database or sqlite://path. Default: an SQLite file in the data folder.", sample: "",
        set: |c, v| { c.database.url = Some(database(v)?); Ok(()) } },
    Setting { section: "database", key: "url_file", about: "A file that holds the URL, instead.", sample: "",
        set: |c, v| { c.database.url_file = Some(path(v)?); Ok(()) } },
    Setting { section: "secrets", key: "key", about: "The key that seals panel passwords, 64 hexadecimal digits; better as the variable MUSTER_SECRETS__KEY.", sample: "",
        set: |c, v| { c.secrets.key = Some(sealing_key(v)?); Ok(()) } },
    Setting { section: "secrets", key: "key_file", about: "A file that holds the key. Default: secret.key in the data folder, made on first start.", sample: "",
        set: |c, v| { c.secrets.key_file = Some(path(v)?); Ok(()) } },
    Setting { section: "secrets", key: "previous", about: "Older keys, which still open what they sealed.", sample: "",
        set: |c, v| { c.secrets.previous = list(v).map(sealing_key).collect::<Result<_, _>>()?; Ok(()) } },
    Setting { section: "panels", key: "connect_timeout", about: "How long a panel may take to accept a connection.", sample: "3s",
        set: |c, v| { c.panels.connect_timeout = duration(v)?; Ok(()) } },
    Setting { section: "panels", key: "read_timeout", about: "How long a panel may take to answer a question.", sample: "8s",
        set: |c, v| { c.panels.read_timeout = duration(v)?; Ok(()) } },
    Setting { section: "panels", key: "write_timeout", about: "How long a panel may take to carry out a change; 3.x panels cut answers off after 30 s.", sample: "35s",
        set: |c, v| { c.panels.write_timeout = duration(v)?; Ok(()) } },
    Setting { section: "panels", key: "issue_wait", about: "How long a request for a key waits for a panel's confirmation.", sample: "10s",
        set: |c, v| { c.panels.issue_wait = duration(v)?; Ok(()) } },
    Setting { section: "sync", key: "full_interval", about: "How often a healthy node is listed and compared with the database.", sample: "5m",
        set: |c, v| { c.sync.full_interval = duration(v)?; Ok(()) } },
    Setting { section: "sync", key: "retry_interval", about: "How often a failing node is tried again.", sample: "5s",
        set: |c, v| { c.sync.retry_interval = duration(v)?; Ok(()) } },
    Setting { section: "sync", key: "poll", about: "How soon changes by other processes (the command line) are noticed.", sample: "300ms",
        set: |c, v| { c.sync.poll = duration(v)?; Ok(()) } },
    Setting { section: "health", key: "interval", about: "How often every layer of a node is checked, give or take a tenth.", sample: "30s",
        set: |c, v| { c.health.timing.interval = duration(v)?; Ok(()) } },
    Setting { section: "health", key: "liveness", about: "How often panel and public port are merely connected to.", sample: "3s",
        set: |c, v| { c.health.timing.liveness = duration(v)?; Ok(()) } },
    Setting { section: "health", key: "recheck", about: "How soon one check follows another after a failure.", sample: "1500ms",
        set: |c, v| { c.health.timing.recheck = duration(v)?; Ok(()) } },
    Setting { section: "health", key: "liveness_timeout", about: "How long a liveness check waits.", sample: "2s",
        set: |c, v| { c.health.timing.liveness_deadline = duration(v)?; Ok(()) } },
    Setting { section: "health", key: "connect_timeout", about: "How long a full check waits for a connection.", sample: "3s",
        set: |c, v| { c.health.timing.connect_deadline = duration(v)?; Ok(()) } },
    Setting { section: "health", key: "check_timeout", about: "How long a whole full check may take.", sample: "8s",
        set: |c, v| { c.health.timing.check_deadline = duration(v)?; Ok(()) } },
    Setting { section: "health", key: "failures", about: "So many failures in a row make a node down.", sample: "3",
        set: |c, v| { c.health.rules.failures = count(v)?; Ok(()) } },
    Setting { section: "health", key: "failing_for", about: "And over at least this long.", sample: "5s",
        set: |c, v| { c.health.rules.spread = duration(v)?; Ok(()) } },
    Setting { section: "health", key: "probation_checks", about: "So many good full checks bring a node back.", sample: "3",
        set: |c, v| { c.health.rules.probation_checks = count(v)?; Ok(()) } },
    Setting { section: "health", key: "probation", about: "And over at least this long.", sample: "1m",
        set: |c, v| { c.health.rules.probation = duration(v)?; Ok(()) } },
    Setting { section: "health", key: "canaries", about: "Addresses (host:port) that always accept: when all fail too, nobody is moved. At least two on different networks.", sample: "[]",
        set: |c, v| { c.health.canaries = list(v).map(canary).collect::<Result<_, _>>()?; Ok(()) } },
    Setting { section: "moves", key: "grace", about: "How long an old client works on for a user who is not seen on the new node.", sample: "72h",
        set: |c, v| { c.moves.grace = duration(v)?; Ok(()) } },
    Setting { section: "moves", key: "per_pass", about: "The most keys that begin to move at once.", sample: "2000",
        set: |c, v| { c.moves.per_pass = count(v)? as usize; Ok(()) } },
    Setting { section: "moves", key: "per_target", about: "The most keys that are on their way to one node.", sample: "500",
        set: |c, v| { c.moves.per_target = count(v)? as usize; Ok(()) } },
    Setting { section: "moves", key: "cool_down", about: "How long rebalancing leaves a key alone that moved.", sample: "24h",
        set: |c, v| { c.moves.cool_down = duration(v)?; Ok(()) } },
    Setting { section: "moves", key: "tolerance", about: "By how many percent loads may differ before rebalancing does anything.", sample: "10",
        set: |c, v| { c.moves.tolerance = count(v)?; Ok(()) } },
    Setting { section: "moves", key: "seen_every", about: "How often each panel is asked which users were seen on it, at least 1m.", sample: "1m",
        set: |c, v| { c.moves.seen_every = at_least_a_minute(v)?; Ok(()) } },
    Setting { section: "moves", key: "rebalance_every", about: "How often the fleet is evened out by itself. Default: only when asked.", sample: "",
        set: |c, v| { c.moves.rebalance_every = Some(duration(v)?); Ok(()) } },
    Setting { section: "users", key: "trial_enabled", about: "Whether new users get a trial; otherwise their accounts never run out.", sample: "true",
        set: |c, v| { c.users.trial_enabled = flag(v)?; Ok(()) } },
    Setting { section: "users", key: "trial_days", about: "How many days a trial lasts, 1 to 3650.", sample: "7",
        set: |c, v| { c.users.trial_days = v.parse().ok().filter(|d| (1..=3650).contains(d)).ok_or("a whole number of days from 1 to 3650")?; Ok(()) } },
    Setting { section: "users", key: "site_name", about: "What the service is called.", sample: "Muster",
        set: |c, v| { v.clone_into(&mut c.users.site_name); Ok(()) } },
    Setting { section: "log", key: "format", about: "text or json, on standard error.", sample: "text",
        set: |c, v| { c.log.json = match v { "text" => false, "json" => true, _ => return Err("text or json".to_owned()) }; Ok(()) } },
    Setting { section: "log", key: "level", about: "error, warn, info, debug, trace, or a filter such as info,muster=debug.", sample: "info",
        set: |c, v| { c.log.level = log_filter(v)?; Ok(()) } },
];

/// The sample file: every setting with its default and what it is for.
pub fn sample() -> String {
    let mut text = String::from(
        "# Settings of Muster, each with its default. Every setting may also be given as an environment variable:\n\
         # MUSTER_SECTION__KEY, such as MUSTER_DATABASE__URL. Check a file with: muster config check --config FILE\n",
    );
    let mut section = "";
    for setting in SETTINGS {
        if setting.section != section {
            section = setting.section;
            // Writing to a string does not fail.
            let _ = write!(text, "\n{section}:\n");
        }
        let comment = if setting.sample.is_empty() { "# " } else { "" };
        let _ = writeln!(text, "  # {}\n  {comment}{}: {}", setting.about, setting.key, setting.sample);
    }
    // Sections whose settings are all commented out hold nothing, which YAML calls null.
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n"
}

/// What only shows when all settings are known: (section, key, what to do).
pub(super) fn contradictions(config: &Config) -> Vec<(&'static str, &'static str, String)> {
    let mut found = Vec::new();
    let mut must = |good: bool, section, key, message: &str| {
        if !good {
            found.push((section, key, message.to_owned()));
        }
    };
    let (panels, sync) = (&config.panels, &config.sync);
    must(
        panels.connect_timeout <= panels.read_timeout,
        "panels",
        "connect_timeout",
        "must not be longer than panels.read_timeout, which includes it",
    );
    must(
        panels.read_timeout <= panels.write_timeout,
        "panels",
        "read_timeout",
        "must not be longer than panels.write_timeout",
    );
    must(
        panels.issue_wait >= panels.connect_timeout,
        "panels",
        "issue_wait",
        "must be at least panels.connect_timeout, or no other node is ever tried in time",
    );
    must(
        sync.full_interval >= panels.read_timeout,
        "sync",
        "full_interval",
        "must be at least panels.read_timeout: a node would be listed again before it could answer",
    );
    must(
        sync.retry_interval <= sync.full_interval,
        "sync",
        "retry_interval",
        "must not be longer than sync.full_interval",
    );
    must(sync.poll <= Duration::from_secs(10), "sync", "poll", "must be 10s or less");
    let watching = config.health.timing.validate().err().into_iter().flatten();
    for mistake in watching.chain(config.health.rules.validate().err().into_iter().flatten()) {
        found.push(("health", setting_of(mistake.setting), mistake.what));
    }
    let mut must = |good: bool, section, key, message: &str| {
        if !good {
            found.push((section, key, message.to_owned()));
        }
    };
    must(
        config.database.url.is_none() || config.database.url_file.is_none(),
        "database",
        "url_file",
        "give url or url_file, not both",
    );
    must(
        config.secrets.key.is_none() || config.secrets.key_file.is_none(),
        "secrets",
        "key_file",
        "give key or key_file, not both",
    );
    found
}

/// The setting that `fleet` knows by a word of its own.
fn setting_of(word: &'static str) -> &'static str {
    match word {
        "liveness_deadline" => "liveness_timeout",
        "connect_deadline" => "connect_timeout",
        "check_deadline" => "check_timeout",
        "spread" => "failing_for",
        same => same,
    }
}

fn count(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|n| (1..=1_000_000).contains(n)).ok_or_else(|| "a whole number from 1".to_owned())
}

fn canary(text: &str) -> Result<String, String> {
    let split = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let good = split.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
    if good { Ok(text.to_owned()) } else { Err(format!("addresses such as one.one.one.one:443, not {text:?}")) }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn network(text: &str) -> Result<IpNet, String> {
    let single = |_| text.parse().map(|address: std::net::IpAddr| IpNet::from(address));
    text.parse().or_else(single).map_err(|_| format!("networks such as 127.0.0.0/8, not {text:?}"))
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("the path of a file".to_owned()) } else { Ok(PathBuf::from(text)) }
}

/// The value itself is never repeated in the message: it holds a password.
fn database(text: &str) -> Result<SecretString, String> {
    let known = ["postgres://", "postgresql://", "sqlite:"].iter().any(|scheme| text.starts_with(scheme));
    if known { Ok(text.into()) } else { Err("a URL that begins with postgres:// or sqlite://".to_owned()) }
}

fn sealing_key(text: &str) -> Result<SecretString, String> {
    let good = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if good { Ok(text.into()) } else { Err("64 hexadecimal digits".to_owned()) }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).ok();
    let sensible = parsed.filter(|d| (Duration::from_millis(10)..=Duration::from_hours(30 * 24)).contains(d));
    sensible.ok_or_else(|| "a time from 10ms to 30d, such as 300ms, 5s, 10m or 24h".to_owned())
}

/// Panels are asked about all their clients at once, which costs them something.
fn at_least_a_minute(text: &str) -> Result<Duration, String> {
    let enough = duration(text).ok().filter(|time| *time >= Duration::from_mins(1));
    enough.ok_or_else(|| "a time from 1m to 30d, such as 1m or 5m".to_owned())
}

/// A lone word that is no level would pass for the name of a module, and silence everything else.
fn log_filter(text: &str) -> Result<String, String> {
    let told = |part: &str| part.contains('=') || part.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    let good = !text.is_empty() && text.split(',').all(|part| told(part.trim()));
    let good = good && text.parse::<tracing_subscriber::EnvFilter>().is_ok();
    if good {
        Ok(text.to_owned())
    } else {
        Err("a level such as info, or a filter such as info,muster=debug".to_owned())
    }
}

fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}
