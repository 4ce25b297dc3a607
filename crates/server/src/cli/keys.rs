//! `muster keys`.

use super::{
    ASKED_BY, Failure,
    follow::{Told, Wait, follow},
    plan::preview,
    print::{BY_SERVER, Printed, table},
    with_loops,
};
use crate::{
    api::{
        extract::TelegramId,
        job_shapes::Begun,
        users::{UserShape, shape},
    },
    app::App,
    ops::{
        keys::{Ask, IssueError, revoke_all},
        moves::send,
        nodes::load_named,
        users::find_standing,
    },
};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use fleet::{
    id::{KeyId, NodeId},
    place::{Location, NoRoom, Reason, Wants},
};
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};
use store::{nodes::NodeRecord, users::Profile};
use tokio::time::{Instant, sleep};

/// How long `keys delete` waits for panels to remove the clients.
const REMOVAL: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// The user's key: the one he has, or a new one, confirmed by its panel.
    Issue(User),
    /// The user and the keys he has.
    Show(User),
    /// A new key instead of the user's old one.
    Refresh(User),
    /// Send the user's key to a node. It works on both until he is seen there.
    Move(Move),
    /// Revoke all keys of the user.
    Delete(User),
}

#[derive(Debug, Args)]
pub(super) struct Move {
    /// The user's Telegram id.
    #[arg(value_name = "TELEGRAM_ID", value_parser = clap::value_parser!(i64).range(1..=TelegramId::MAX))]
    telegram_id: i64,
    /// The node's name (or id).
    #[arg(long, value_name = "NODE")]
    to: String,
    /// Only say whether that node would take it, and from where.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Debug, Args)]
pub(super) struct User {
    /// The user's Telegram id.
    #[arg(value_name = "TELEGRAM_ID", value_parser = clap::value_parser!(i64).range(1..=TelegramId::MAX))]
    telegram_id: i64,
    /// Where the key's node should stand, if a node there can take it.
    #[arg(long, value_name = "L")]
    location: Option<String>,
}

impl Keys {
    pub(super) async fn run(self, app: App, told: Told) -> Result<Printed, Failure> {
        match self {
            Self::Issue(user) => obtain(&app, user, false).await,
            Self::Refresh(user) => obtain(&app, user, true).await,
            Self::Show(user) => show(&app, user.telegram_id).await,
            Self::Move(asked) => asked.run(&app, told).await,
            Self::Delete(user) => delete(&app, user.telegram_id).await,
        }
    }
}

async fn obtain(app: &App, user: User, renew: bool) -> Result<Printed, Failure> {
    let id = user.telegram_id;
    let location = user.location.map(|name| Location { name, required: false });
    let wants = Wants { location, ..Wants::default() };
    let ask = Ask { telegram_id: id, newcomer: (!renew).then(Profile::default), renew, wants };
    let key = with_loops(app, obtain_now(app, ask)).await?;
    let user = load(app, id).await?;
    let key = user.keys.into_iter().find(|k| k.id == key.0);
    let key = key.ok_or_else(|| Failure::Refused("the key was revoked by somebody else".to_owned()))?;
    Ok(Printed::good(key.link.clone(), json!(key)))
}

/// Refusals count only when they rest on a look at the panels that is newer than the command: the last one may be
/// days old where no server runs, and the loops need a moment for theirs.
async fn obtain_now(app: &App, ask: Ask) -> Result<KeyId, Failure> {
    let (began, deadline) = ((app.clock)(), Instant::now() + app.config.panels.issue_wait);
    loop {
        match app.intake.obtain(ask.clone()).await.map_err(IssueError::from)?.key {
            Err(IssueError::NoRoom(why)) if Instant::now() < deadline && is_old(app, &why, began).await? => {
                sleep(LOOK).await;
            }
            done => return Ok(done?),
        }
    }
}

/// Whether a node refused because of what was seen of it before `since`, and for nothing else. Trouble has no time:
/// it may stand there from before until the first pass over the panel has ended.
async fn is_old(app: &App, why: &NoRoom, since: DateTime<Utc>) -> Result<bool, Failure> {
    let nodes = app.store.read().nodes().await?;
    let seen = |node: &NodeRecord| node.checked_at.is_some_and(|at| at > since) && node.trouble.is_none();
    let unseen: BTreeSet<NodeId> = nodes.iter().filter(|n| !seen(n)).map(|n| n.node.id).collect();
    let observed = |reason: &Reason| {
        matches!(reason, Reason::NotObserved | Reason::Doubtful { .. } | Reason::Down { .. } | Reason::NoInbound)
    };
    Ok(why.refusals.iter().any(|r| unseen.contains(&r.node) && r.reasons.iter().all(observed)))
}

async fn show(app: &App, telegram_id: i64) -> Result<Printed, Failure> {
    let user = load(app, telegram_id).await?;
    let until = user.valid_until.map_or("without end".to_owned(), |at| format!("until {} UTC", at.format("%F %T")));
    let access = if user.entitled { "has access" } else { "has no access" };
    let rows = user.keys.iter().map(|k| {
        let node = k.node_name.clone().unwrap_or_default();
        vec![k.id.to_string(), node, k.name.clone().unwrap_or_default(), k.link.clone()]
    });
    let keys = table(&["KEY", "NODE", "NAME", "LINK"], rows);
    Ok(Printed::good(format!("user {telegram_id} {access} ({until})\n{keys}"), json!(user)))
}

impl Move {
    async fn run(self, app: &App, told: Told) -> Result<Printed, Failure> {
        let (id, to) = (self.telegram_id, load_named(&app.store, &self.to).await?);
        let (job, plan) = send(&app.store, id, &to, ASKED_BY, self.dry_run, (app.clock)()).await?;
        let (name, document) = (&to.node.name, json!(Begun::new(job, &plan)));
        match job {
            None => preview(app, &format!("node {name} would take the key of user {id}"), &plan).await,
            Some(job) if self.wait.wait => Ok(follow(app, job, told).await?.complete(document)),
            Some(job) => {
                let text = format!("job {job} moves the key of user {id} to node {name}; {BY_SERVER}");
                Ok(Printed::good(text, document))
            }
        }
    }
}

async fn delete(app: &App, telegram_id: i64) -> Result<Printed, Failure> {
    let revoked = revoke_all(&app.store, telegram_id, (app.clock)()).await?;
    let revoked = revoked.ok_or_else(|| unknown(telegram_id))?;
    app.pokes.poke_unsettled();
    let waiting = with_loops(app, settled(app)).await?;
    let mut text = format!("{revoked} key(s) revoked");
    if !waiting.is_empty() {
        text = format!("{text}; still to be removed on: {} (as soon as they can be reached)", waiting.join(", "));
    }
    Ok(Printed::good(text, json!({"revoked": revoked, "waiting_for_nodes": waiting})))
}

/// The nodes that still have something to hear after a while.
async fn settled(app: &App) -> Result<Vec<String>, Failure> {
    let deadline = Instant::now() + REMOVAL;
    loop {
        let unsettled = app.store.read().unsettled_nodes().await?;
        if unsettled.is_empty() {
            return Ok(Vec::new());
        }
        if Instant::now() >= deadline {
            let nodes = app.store.read().nodes().await?;
            return Ok(nodes.into_iter().filter(|n| unsettled.contains(&n.node.id)).map(|n| n.node.name).collect());
        }
        sleep(LOOK).await;
    }
}

async fn load(app: &App, telegram_id: i64) -> Result<UserShape, Failure> {
    let standing = find_standing(&app.store, telegram_id).await?;
    Ok(shape(standing.ok_or_else(|| unknown(telegram_id))?, (app.clock)()))
}

fn unknown(telegram_id: i64) -> Failure {
    Failure::Refused(format!("there is no user with Telegram id {telegram_id}"))
}
