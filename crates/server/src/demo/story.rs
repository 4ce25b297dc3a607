//! The story that the demo tells by itself: a node is killed, its users are served elsewhere, it comes back through
//! probation, and what the moves left behind is settled. Each chapter ends when that is so, not when it should be.

use super::{
    change::{By, Change},
    fleet::{Action, Fleet},
    picture::{Picture, Progress, Residence},
};
use fleet::id::KeyId;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;

/// How long the story may take from the kill to the node's return.
const DEADLINE: Duration = Duration::from_secs(90);

/// How long to wait where nothing has to happen.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Before the kill.
    pub calm: Duration,
    /// Between the last user's rescue and the revival.
    pub dark: Duration,
}

impl Pace {
    /// For people, who look at a screen.
    pub const CALM: Self = Self { calm: Duration::from_secs(10), dark: Duration::from_secs(10) };
    /// For programs, which wait.
    pub const BRISK: Self = Self { calm: Duration::from_secs(3), dark: Duration::from_secs(3) };
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chapter {
    /// Nothing has happened yet.
    Calm,
    /// The node is dead, its users are on their way.
    Dark,
    /// They are served elsewhere.
    Served {
        /// Since when.
        since: Instant,
    },
    /// The node is alive again, and has to prove it.
    Returning {
        /// Since when.
        since: Instant,
    },
    /// It is back; old clients are being settled.
    Settling,
    /// Nothing is left to do.
    Settled,
    /// It did not come true.
    Failed(String),
}

/// The story.
#[derive(Debug)]
pub struct Story {
    pace: Pace,
    /// When the chapter of calm began, then when the node was killed.
    began: Instant,
    chapter: Chapter,
    victim: String,
    /// Whose keys pointed to it.
    keys: BTreeSet<KeyId>,
    moved: usize,
    /// How many went to each node.
    to: BTreeMap<String, usize>,
    settling: (usize, usize, usize),
    summary: String,
}

impl Story {
    /// A story that has not begun.
    pub fn new(pace: Pace, now: Instant) -> Self {
        let chapter = Chapter::Calm;
        let (victim, summary, keys) = (String::new(), String::new(), BTreeSet::new());
        Self { pace, began: now, chapter, victim, keys, moved: 0, to: BTreeMap::new(), settling: (0, 0, 0), summary }
    }

    /// How far it is.
    pub fn chapter(&self) -> &Chapter {
        &self.chapter
    }

    /// The node that it kills; empty until then.
    pub fn victim(&self) -> &str {
        &self.victim
    }

    /// How many of its users went to each node.
    pub fn went_to(&self) -> &BTreeMap<String, usize> {
        &self.to
    }

    /// How it ended: what happened, or why it did not come true. `None` while it may still do either.
    pub fn outcome(&self) -> Option<Result<String, String>> {
        match &self.chapter {
            Chapter::Calm | Chapter::Dark | Chapter::Served { .. } | Chapter::Returning { .. } => None,
            Chapter::Settling | Chapter::Settled => Some(Ok(self.summary.clone())),
            Chapter::Failed(why) => Some(Err(why.clone())),
        }
    }

    /// What is under way, as a number.
    pub fn progress(&self) -> Option<Progress> {
        let (waiting, removed, home) = self.settling;
        match &self.chapter {
            Chapter::Calm | Chapter::Settled | Chapter::Failed(_) => None,
            Chapter::Dark | Chapter::Served { .. } | Chapter::Returning { .. } => {
                let what = format!("users of {} are served elsewhere", self.victim);
                Some(Progress { what, done: self.moved as u64, of: self.keys.len() as u64 })
            }
            Chapter::Settling => {
                let what = format!("old clients on {} are settled", self.victim);
                let of = (waiting + removed + home) as u64;
                Some(Progress { what, done: (removed + home) as u64, of })
            }
        }
    }

    /// Goes on as far as what is seen allows.
    pub fn step(&mut self, picture: &Picture, fleet: &mut Fleet, now: Instant, changes: &mut Vec<Change>) {
        match self.chapter.clone() {
            Chapter::Calm if now - self.began >= self.pace.calm => self.kill(picture, fleet, now, changes),
            Chapter::Dark => self.rescue(picture, now, changes),
            Chapter::Served { since } if now - since >= self.pace.dark => self.revive(fleet, now, changes),
            Chapter::Served { .. } if picture.node(&self.victim).is_some_and(|n| n.trouble.is_none()) => {
                // Somebody was faster.
                self.chapter = Chapter::Returning { since: now };
            }
            Chapter::Returning { since } => self.welcome(picture, since, now, changes),
            Chapter::Settling => self.settle(picture, changes),
            Chapter::Calm | Chapter::Served { .. } | Chapter::Settled | Chapter::Failed(_) => {}
        }
        let is_open = matches!(self.chapter, Chapter::Dark | Chapter::Served { .. } | Chapter::Returning { .. });
        if is_open && now - self.began >= DEADLINE {
            self.fail(self.missing(picture), changes);
        }
    }

    /// The fullest node that is well and that nobody meddles with.
    fn kill(&mut self, picture: &Picture, fleet: &mut Fleet, now: Instant, changes: &mut Vec<Change>) {
        let well = picture.nodes.iter().filter(|node| node.is_up() && node.trouble.is_none() && node.users > 0);
        // Of equally full ones the first.
        let Some(victim) = well.rev().max_by_key(|node| node.users) else { return };
        if fleet.act(&victim.name, Action::Kill).is_err() {
            return;
        }
        let keys = picture.homes.iter().filter(|(_, home)| home.node == victim.name);
        self.keys = keys.map(|(key, _)| *key).collect();
        self.victim.clone_from(&victim.name);
        self.began = now;
        self.chapter = Chapter::Dark;
        changes.push(Change::Done { action: Action::Kill, node: self.victim.clone(), by: By::Story });
    }

    fn rescue(&mut self, picture: &Picture, now: Instant, changes: &mut Vec<Change>) {
        let mut to: BTreeMap<String, usize> = BTreeMap::new();
        for home in self.homes(picture).filter(|home| home.node != self.victim && picture.is_served(home)) {
            *to.entry(home.node.clone()).or_default() += 1;
        }
        let (moved, of) = (to.values().sum(), self.keys.len());
        if moved != self.moved {
            self.moved = moved;
            self.to.clone_from(&to);
            changes.push(Change::Moved { from: self.victim.clone(), moved, of, to });
        }
        if moved == of {
            let seconds = tenths(now - self.began);
            self.summary =
                format!("all {of} users of {} were served elsewhere {seconds:.1} s after its death", self.victim);
            changes.push(Change::Served { from: self.victim.clone(), users: of, seconds });
            self.chapter = Chapter::Served { since: now };
        } else if picture.node(&self.victim).is_none_or(|node| node.trouble.is_none()) {
            self.fail(format!("somebody revived {} before its users were served elsewhere", self.victim), changes);
        }
    }

    fn revive(&mut self, fleet: &mut Fleet, now: Instant, changes: &mut Vec<Change>) {
        if fleet.act(&self.victim, Action::Revive).is_ok() {
            changes.push(Change::Done { action: Action::Revive, node: self.victim.clone(), by: By::Story });
        }
        self.chapter = Chapter::Returning { since: now };
    }

    fn welcome(&mut self, picture: &Picture, since: Instant, now: Instant, changes: &mut Vec<Change>) {
        if picture.node(&self.victim).is_some_and(|node| node.is_up() && node.trouble.is_none()) {
            let seconds = tenths(now - since);
            changes.push(Change::Back { node: self.victim.clone(), seconds });
            self.summary = format!("{}; it takes users again {seconds:.1} s after its revival", self.summary);
            changes.push(Change::Over { good: true, message: self.summary.clone() });
            self.chapter = Chapter::Settling;
        }
    }

    /// Which of the old clients are still there, and who went home.
    fn settle(&mut self, picture: &Picture, changes: &mut Vec<Change>) {
        let Some(node) = picture.node(&self.victim) else { return };
        let (back, away): (Vec<_>, Vec<_>) = self.homes(picture).partition(|home| home.node == self.victim);
        let waiting = away.iter().filter(|home| node.clients.contains_key(&home.client)).count();
        let now = (waiting, away.len() - waiting, back.len());
        if now != self.settling {
            self.settling = now;
            let (waiting, removed, home) = now;
            changes.push(Change::Settling { node: self.victim.clone(), waiting, removed, home });
        }
        if waiting == 0 {
            self.chapter = Chapter::Settled;
        }
    }

    fn homes<'a>(&'a self, picture: &'a Picture) -> impl Iterator<Item = &'a Residence> {
        self.keys.iter().filter_map(|key| picture.homes.get(key))
    }

    fn fail(&mut self, why: String, changes: &mut Vec<Change>) {
        changes.push(Change::Over { good: false, message: why.clone() });
        self.chapter = Chapter::Failed(why);
    }

    /// What has not come true in time.
    fn missing(&self, picture: &Picture) -> String {
        let limit = DEADLINE.as_secs();
        let state = picture.node(&self.victim).map_or("unknown", |node| node.state);
        let victim = &self.victim;
        if self.moved < self.keys.len() {
            let (moved, of) = (self.moved, self.keys.len());
            format!(
                "{limit} s after {victim} died, {moved} of its {of} users are served elsewhere; it is held to be {state}"
            )
        } else {
            format!("{limit} s after {victim} died it is not back: it is held to be {state}")
        }
    }
}

/// In seconds, as exactly as one looks.
fn tenths(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}
