//! `muster jobs` and `muster rebalance`.

use super::{
    ASKED_BY, Failure,
    follow::{Told, Wait, follow, numbers},
    plan::{Names, listed, name, names, preview},
    print::{BY_SERVER, Printed, moment, table},
};
use crate::{
    api::job_shapes::{Begun, JobList, JobShape, RebalanceAnswer},
    app::App,
    ops::{
        jobs::{self, Opened},
        rebalance,
    },
};
use clap::{Args, Subcommand};
use fleet::id::{JobId, NodeId};
use serde_json::json;
use store::jobs::MoveState;

/// How many jobs are listed.
const LISTED: u64 = 100;

#[derive(Debug, Subcommand)]
pub(super) enum Jobs {
    /// List the latest jobs, newest first.
    List,
    /// Show a job with its moves.
    Show {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        wait: Wait,
    },
    /// Begin no more moves of a job. What is on its way arrives.
    Pause(Which),
    /// Let a paused job go on.
    Resume(Which),
    /// Take a job back: what has not begun is cancelled, and a new job sends back what it moved.
    Undo {
        #[command(flatten)]
        which: Which,
        /// Only say who would go back where.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// The job's number.
    #[arg(value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    id: i64,
}

#[derive(Debug, Args)]
pub(super) struct Rebalance {
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Jobs {
    pub(super) async fn run(self, app: App, told: Told) -> Result<Printed, Failure> {
        let now = (app.clock)();
        match self {
            Self::List => list(&app).await,
            Self::Show { which, wait } => show(&app, JobId(which.id), wait.wait.then_some(told)).await,
            Self::Pause(Which { id }) => {
                let job = jobs::set_paused(&app.store, JobId(id), true, now).await?;
                let text = format!("job {id} is paused: {}", numbers(&job.moves));
                Ok(Printed::good(text, json!(JobShape::from(&job))))
            }
            Self::Resume(Which { id }) => {
                let job = jobs::set_paused(&app.store, JobId(id), false, now).await?;
                let text = format!("job {id} goes on: {}; {BY_SERVER}", numbers(&job.moves));
                Ok(Printed::good(text, json!(JobShape::from(&job))))
            }
            Self::Undo { which: Which { id }, dry_run } => {
                let (undo, plan) = jobs::undo(&app.store, &app.config, JobId(id), ASKED_BY, dry_run, now).await?;
                if dry_run {
                    return preview(&app, &format!("job {id} would be taken back"), &plan).await;
                }
                let text = match undo {
                    Some(undo) => format!("job {id} is over; job {undo} sends back what it moved; {BY_SERVER}"),
                    None => format!("job {id} is over; it had moved nothing yet"),
                };
                Ok(Printed::good(text, json!(Begun::new(undo, &plan))))
            }
        }
    }
}

async fn list(app: &App) -> Result<Printed, Failure> {
    let jobs = app.store.read().jobs(LISTED).await?;
    let names = names(app).await?;
    let rows = jobs.iter().map(|job| {
        let of = |state| job.moves.of(state).to_string();
        vec![
            job.id.to_string(),
            job.kind.to_string(),
            job.node.map(|node| name(&names, node)).unwrap_or_default(),
            job.state.to_string(),
            moment(job.created_at),
            job.moves.total().to_string(),
            of(MoveState::Done),
            job.moves.open().to_string(),
            of(MoveState::Waiting),
            of(MoveState::Failed),
            of(MoveState::Cancelled),
            job.asked_by.clone(),
        ]
    });
    let head = [
        "JOB",
        "KIND",
        "NODE",
        "STATE",
        "SINCE (UTC)",
        "KEYS",
        "DONE",
        "OPEN",
        "WAITING",
        "FAILED",
        "CANCELLED",
        "ASKED BY",
    ];
    let document = JobList { jobs: jobs.iter().map(JobShape::from).collect() };
    Ok(Printed::good(table(&head, rows), json!(document)))
}

async fn show(app: &App, id: JobId, told: Option<Told>) -> Result<Printed, Failure> {
    let followed = match told {
        Some(told) => Some(follow(app, id, told).await?),
        None => None,
    };
    let opened = jobs::load(&app.store, id).await?;
    let text = in_words(&opened, &names(app).await?);
    let Some(followed) = followed else {
        return Ok(Printed::good(text, json!(JobShape::from(&opened))));
    };
    let mut document = followed.document;
    if !followed.good {
        document["error"] = json!(followed.words);
    }
    Ok(Printed { text: format!("{text}\n{}", followed.words), document, good: followed.good })
}

fn in_words(opened: &Opened, names: &Names) -> String {
    let Opened { job, moves, users, leaving } = opened;
    let of = |node: Option<NodeId>| node.map(|node| name(names, node)).unwrap_or_default();
    let mut rows = vec![
        ["job:".to_owned(), job.id.to_string()],
        ["kind:".to_owned(), job.kind.to_string()],
        ["state:".to_owned(), job.state.to_string()],
        ["asked by:".to_owned(), job.asked_by.clone()],
        ["since:".to_owned(), format!("{} UTC", moment(job.created_at))],
        ["keys:".to_owned(), numbers(&job.moves)],
    ];
    rows.extend(job.node.map(|node| ["node:".to_owned(), name(names, node)]));
    rows.extend(leaving.map(|clients| ["still there:".to_owned(), still_there(clients)]));
    rows.extend(job.deadline_at.map(|at| ["deadline:".to_owned(), format!("{} UTC", moment(at))]));
    rows.extend(job.ended_at.map(|at| ["over:".to_owned(), format!("{} UTC", moment(at))]));
    let head = table(&[], rows.into_iter().map(Vec::from));
    let listed = moves.iter().map(|one| {
        let reason = one.reason.clone().unwrap_or_default();
        let user = users.get(&one.user).map(ToString::to_string).unwrap_or_default();
        vec![user, one.key.to_string(), of(one.from), of(one.to), one.state.to_string(), moment(one.at), reason]
    });
    let columns = ["USER", "KEY", "FROM", "TO", "STATE", "SINCE (UTC)", "WHY"];
    let mut text = format!("{head}\n{}", table(&columns, listed));
    let shown = u64::try_from(moves.len()).unwrap_or(u64::MAX);
    if shown < job.moves.total() {
        text = format!("{text}\n(the first {shown} of {})", job.moves.total());
    }
    text
}

fn still_there(clients: u64) -> String {
    let plural = if clients == 1 { "" } else { "s" };
    format!("{clients} old client{plural} for users who were not seen elsewhere yet (muster nodes leaving)")
}

impl Rebalance {
    pub(super) async fn run(self, app: App, told: Told) -> Result<Printed, Failure> {
        let now = (app.clock)();
        let evened = rebalance::rebalance(&app.store, &app.config, ASKED_BY, self.dry_run, now).await?;
        let answer = RebalanceAnswer::from(&evened);
        let rows = answer.nodes.iter().map(|n| {
            let fair = n.fair.map(|fair| fair.to_string()).unwrap_or_default();
            vec![n.name.clone(), n.before.to_string(), n.after.to_string(), fair]
        });
        let mut shares = table(&["NODE", "BEFORE", "AFTER", "FAIR"], rows);
        let (moves, rest) = (evened.moves.len(), &answer.rest);
        if self.dry_run && moves > 0 {
            shares = format!("{shares}\n\n{}", listed(evened.moves.iter(), &names(&app).await?));
        }
        let what = match evened.job {
            Some(job) => format!("job {job} moves {moves} key(s), then: {rest}"),
            None if moves > 0 => format!("{moves} key(s) would move, then: {rest}"),
            None => format!("nothing to do: {rest}"),
        };
        let text = format!("{shares}\n{what}");
        match evened.job {
            Some(job) if self.wait.wait => {
                let followed = follow(&app, job, told).await?;
                let done = followed.complete(json!(answer));
                Ok(Printed { text: format!("{text}\n{}", done.text), ..done })
            }
            Some(_) => Ok(Printed::good(format!("{text}; {BY_SERVER}"), json!(answer))),
            None => Ok(Printed::good(text, json!(answer))),
        }
    }
}
