//! `--wait`: a command that follows a job until it is over.
//!
//! A running server carries the job out; without one, the waiting command does. How far it is stands on standard
//! error: as a bar on a terminal, as lines in a log. With `--json` only the numbers at the end are told.

use super::{Failure, print, with_loops};
use crate::{
    api::job_shapes::JobShape,
    app::App,
    ops::jobs::{JobError, load},
};
use clap::Args;
use fleet::id::JobId;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};
use store::jobs::{Counts, Job, JobKind, JobState, MoveState};
use tokio::time::{Instant, sleep};

/// How often the job is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How often a log hears of it at most.
const LINE: Duration = Duration::from_secs(1);
/// How long keys that fit nowhere are waited for: longer than it takes to find out whether that has changed.
const STUCK: Duration = Duration::from_secs(12);

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Wait {
    /// Follow the job until it is over; exit code 1 if keys are left. Without a running server this command carries
    /// the job out.
    #[arg(long)]
    pub(super) wait: bool,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Bar,
    Lines,
    Nothing,
}

impl Told {
    pub(super) fn of(json: bool, environment: &[(String, String)]) -> Self {
        let is_dumb = environment.iter().any(|(name, value)| name == "TERM" && value == "dumb");
        match (json, io::stderr().is_terminal() && !is_dumb) {
            (true, _) => Self::Nothing,
            (false, true) => Self::Bar,
            (false, false) => Self::Lines,
        }
    }
}

/// How a job stood when there was nothing more to wait for.
pub(super) struct Followed {
    /// Whether every key is where it was to go, or need not go there any more.
    pub(super) good: bool,
    /// The same in a sentence.
    pub(super) words: String,
    /// The job, as `jobs show` shows it.
    pub(super) document: Value,
}

impl Followed {
    /// Adds to a command's own result what became of its job.
    pub(super) fn complete(self, mut document: Value) -> print::Printed {
        document["outcome"] = self.document;
        if !self.good {
            document["error"] = json!(self.words);
        }
        print::Printed { text: self.words, document, good: self.good }
    }
}

/// Follows a job to its end, or until it waits for something that does not come by itself.
pub(super) async fn follow(app: &App, id: JobId, told: Told) -> Result<Followed, Failure> {
    app.pokes.poke_place();
    let (end, why) = with_loops(app, watch(app, id, told)).await?;
    let opened = load(&app.store, id).await?;
    let job = &opened.job;
    let left = job.moves.of(MoveState::Failed) + job.moves.open();
    let numbers = numbers(&job.moves);
    let words = match end {
        End::Over => format!("job {id} is over: {numbers}"),
        End::Paused => format!("job {id} is paused (muster jobs resume {id}): {numbers}"),
        End::Stuck => format!("job {id} cannot go on for now: {numbers}{why}; a running server goes on trying"),
    };
    let document = json!(JobShape::from(&opened));
    Ok(Followed { good: end == End::Over && left == 0, words, document })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Over,
    Paused,
    Stuck,
}

/// Looks until the job is at some end; gives that, and the reason why a key still waits.
async fn watch(app: &App, id: JobId, told: Told) -> Result<(End, String), Failure> {
    let mut shown = Shown::new(told);
    let mut since: Option<(Counts, Instant)> = None;
    loop {
        let read = app.store.read();
        let job = read.job(id).await?.ok_or(JobError::Unknown(id))?;
        let leaving = match job.node {
            Some(node) if job.kind == JobKind::Delete && job.moves.open() == 0 => read.count_clients(node).await?,
            Some(_) | None => 0,
        };
        shown.tell(&job, leaving);
        if since.as_ref().is_none_or(|(counts, _)| *counts != job.moves) {
            since = Some((job.moves.clone(), Instant::now()));
        }
        let still = since.as_ref().map_or(Duration::ZERO, |(_, since)| since.elapsed());
        if let Some(end) = find_end(&job, still) {
            let waiting = read.moves_in(id, &[MoveState::Waiting]).await?;
            let why = waiting.into_iter().find_map(|one| one.reason);
            return Ok((end, why.map(|why| format!(": {why}")).unwrap_or_default()));
        }
        sleep(LOOK).await;
    }
}

/// The end that a job is at, having stood as it does for so long.
fn find_end(job: &Job, still: Duration) -> Option<End> {
    let waits = job.moves.of(MoveState::Waiting) == job.moves.open() && job.moves.open() > 0;
    match job.state {
        JobState::Done => Some(End::Over),
        JobState::Paused => (job.moves.of(MoveState::Arriving) == 0).then_some(End::Paused),
        JobState::Running => (waits && still >= STUCK).then_some(End::Stuck),
    }
}

/// "7 of 10 moved, 2 on their way, 1 waits".
pub(super) fn numbers(counts: &Counts) -> String {
    let mut text = format!("{} of {} moved", counts.of(MoveState::Done), counts.total());
    let others = [
        (MoveState::Arriving, "on their way"),
        (MoveState::Planned, "to come"),
        (MoveState::Waiting, "waiting"),
        (MoveState::Failed, "failed"),
        (MoveState::Returned, "returned"),
        (MoveState::Cancelled, "cancelled"),
    ];
    for (state, word) in others {
        if counts.of(state) > 0 {
            text = format!("{text}, {} {word}", counts.of(state));
        }
    }
    text
}

/// What is shown of a job that is being followed.
enum Shown {
    Bar(ProgressBar),
    Lines(Option<(Instant, String)>),
    Nothing,
}

impl Shown {
    fn new(told: Told) -> Self {
        match told {
            Told::Bar => {
                let style = ProgressStyle::with_template("{bar:30} {msg}").ok();
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                Self::Bar(bar.with_style(style.unwrap_or_else(ProgressStyle::default_bar)))
            }
            Told::Lines => Self::Lines(None),
            Told::Nothing => Self::Nothing,
        }
    }

    fn tell(&mut self, job: &Job, leaving: u64) {
        let mut text = numbers(&job.moves);
        if leaving > 0 {
            text = format!("{text}; {leaving} old clients are still leaving");
        }
        match self {
            Self::Bar(bar) => {
                bar.set_length(job.moves.total());
                bar.set_position(job.moves.total() - job.moves.open());
                bar.set_message(text);
            }
            Self::Lines(last) => {
                if last.as_ref().is_none_or(|(at, before)| at.elapsed() >= LINE && *before != text) {
                    print::note(&format!("job {}: {text}", job.id));
                    *last = Some((Instant::now(), text));
                }
            }
            Self::Nothing => {}
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
