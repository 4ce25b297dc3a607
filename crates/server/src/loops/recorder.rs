//! Writing down what the probes saw: changes at once, everything else gathered into one transaction a second.

use super::Pokes;
use crate::panels::Clock;
use chrono::{DateTime, Utc};
use fleet::{
    health::{Health, State, reading::Reading},
    id::NodeId,
};
use panel::Status;
use std::time::Duration;
use store::{Store, StoreError, events::Event, samples::NewSample};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

/// How long readings that changed nothing may wait for others.
const GATHER: Duration = Duration::from_secs(1);
/// How many may wait: two rounds of a thousand nodes.
pub const WAITING: usize = 2048;

/// What a probe saw.
#[derive(Debug)]
pub struct Told {
    /// Of which node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// The state that it had, if it has another one now.
    pub before: Option<State>,
    /// Its health now.
    pub health: Health,
    /// The reading, if it was a full one.
    pub reading: Option<Reading>,
    /// What the panel told of its machine.
    pub status: Option<Status>,
    /// How many users were online at the last look.
    pub online: Option<usize>,
}

/// Writes down what is told, until all probes have ended.
pub async fn record(store: Store, mut told: mpsc::Receiver<Told>, pokes: Pokes, clock: Clock) {
    let mut batch: Vec<Told> = Vec::new();
    while told.recv_many(&mut batch, WAITING).await > 0 {
        let until = Instant::now() + GATHER;
        while batch.iter().all(|t| t.before.is_none()) && batch.len() < WAITING {
            let room = WAITING - batch.len();
            match timeout_at(until, told.recv_many(&mut batch, room)).await {
                Ok(more) if more > 0 => {}
                Ok(_) | Err(_) => break,
            }
        }
        match keep(&store, &batch, clock()).await {
            Ok(()) => {
                for back in batch.iter().filter(|t| matches!(t.before, Some(State::Down { .. }))) {
                    pokes.poke_full(back.node);
                }
                if batch.iter().any(|t| t.before.is_some()) {
                    pokes.poke_place();
                }
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "what was seen of the nodes was not kept");
            }
        }
        batch.clear();
    }
}

async fn keep(store: &Store, batch: &[Told], now: DateTime<Utc>) -> Result<(), StoreError> {
    let tx = store.write().await?;
    let mut samples = Vec::new();
    let mut events = Vec::new();
    for told in batch {
        tx.set_health(told.node, &told.health, now).await?;
        if let Some(reading) = &told.reading {
            let sample = sample(told, reading);
            tx.set_reading(told.node, reading, &sample).await?;
            samples.push(sample);
        }
        if let Some(before) = &told.before {
            events.push(changed(told, before, now));
        }
    }
    tx.add_samples(&samples, now).await?;
    tx.add_events(&events).await?;
    tx.commit().await
}

#[expect(clippy::cast_precision_loss, reason = "a percentage of bytes")]
fn sample(told: &Told, reading: &Reading) -> NewSample {
    let status = told.status.as_ref();
    let percent = |used: u64, total: u64| if total == 0 { None } else { Some(used as f64 * 100.0 / total as f64) };
    NewSample {
        node: told.node,
        health: told.health.state().into(),
        response_ms: status.map(|_| reading.ended_ms - reading.started_ms),
        cpu_percent: status.map(|s| s.cpu_percent),
        mem_percent: status.and_then(|s| percent(s.mem_used, s.mem_total)),
        online_users: told.online.and_then(|users| i64::try_from(users).ok()),
        xray_version: status.map(|s| s.xray.version.clone()).filter(|v| !v.is_empty()),
    }
}

/// "node ams-1 is down since 12:03:11 (tcp refused); it was suspect".
fn changed(told: &Told, before: &State, now: DateTime<Utc>) -> Event {
    let state = told.health.state();
    let since = state.since_ms().and_then(DateTime::from_timestamp_millis).unwrap_or(now);
    let why = state.why().map(|why| format!(" ({why})")).unwrap_or_default();
    let name = &told.name;
    let message =
        format!("node {name} is {} since {}{why}; it was {}", state.name(), since.format("%H:%M:%S"), before.name());
    match state {
        State::Down { .. } | State::Misconfigured { .. } | State::Degraded { .. } => {
            tracing::warn!(node = %name, "{message}");
        }
        State::Unknown | State::Up { .. } | State::Suspect { .. } | State::Probation { .. } => {
            tracing::info!(node = %name, "{message}");
        }
    }
    Event { at: now, kind: "health", node: Some(told.node), key: None, message }
}
