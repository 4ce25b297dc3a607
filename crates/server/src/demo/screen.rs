//! What a terminal shows: the fleet, how far the story is, what was decided lately. Redrawn in place with plain ANSI
//! codes; it fits into 24 lines of 80 columns but for long reasons, which the terminal itself cuts.

use super::{
    change::Change,
    picture::{NodeView, Picture, Progress, is_routine},
    story::{Chapter, Story},
    users::Users,
};
use std::fmt::Write as _;
use store::events::PastEvent;

/// The terminal's other page, no cursor, long lines cut.
const OPENING: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
/// All that undone.
pub(super) const CLOSING: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const TOP: &str = "\x1b[H";
const END_OF_LINE: &str = "\x1b[K\r\n";
const REST_OF_PAGE: &str = "\x1b[J";

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";
const GREY: &str = "90";
const BOLD: &str = "1";

/// How many lines of events fit, and how long each may be.
const EVENTS: usize = 8;
const WIDTH: usize = 70;
/// Cells of a node's bar, and of the story's.
const SMALL: u64 = 8;
const LARGE: u64 = 30;

/// The screen of one demo.
#[derive(Debug)]
pub struct Screen {
    is_colourful: bool,
    is_open: bool,
    api: String,
}

impl Screen {
    /// Nothing is drawn yet.
    pub fn new(is_colourful: bool) -> Self {
        Self { is_colourful, is_open: false, api: String::new() }
    }

    /// While there is nothing to see.
    pub fn opening(&mut self, words: &str) -> String {
        let begin = if self.is_open { "" } else { OPENING };
        self.is_open = true;
        format!("{begin}{TOP}Muster demo: {words}{END_OF_LINE}{REST_OF_PAGE}")
    }

    /// The whole page, to be written at once.
    pub fn draw(&mut self, picture: &Picture, users: &Users, story: &Story, changes: &[Change]) -> String {
        for change in changes {
            if let Change::Started { api, .. } = change {
                self.api.clone_from(api);
            }
        }
        let mut page = String::from(TOP);
        for line in self.lines(picture, users, story) {
            // Writing to a string does not fail.
            let _ = write!(page, "{line}{END_OF_LINE}");
        }
        page + REST_OF_PAGE
    }

    fn lines(&self, picture: &Picture, users: &Users, story: &Story) -> Vec<String> {
        let told = self.told(&picture.events);
        let mut lines = vec![
            format!("{}  {}", self.paint(BOLD, "Muster demo"), self.crowd(picture, users)),
            self.paint(GREY, &format!("five simulated panels of both generations; API: {}", self.api)),
            String::new(),
            self.paint(GREY, &head()),
        ];
        lines.extend(picture.nodes.iter().map(|node| self.node(node)));
        lines.push(String::new());
        lines.push(self.paint(BOLD, &headline(story)));
        let progress = story.progress().or_else(|| picture.jobs.first().cloned());
        lines.push(progress.map_or_else(String::new, |progress| bar_of(&progress)));
        lines.push(self.paint(GREY, &destinations(story)));
        lines.extend(told);
        lines.push(self.paint(GREY, "in another terminal: muster demo kill|cut|slow|revive NODE     Ctrl-C ends it"));
        lines
    }

    /// How many users get through, and why others do not.
    fn crowd(&self, picture: &Picture, users: &Users) -> String {
        let (online, all) = (users.online(), users.count());
        let colour = if online == all { GREEN } else { RED };
        let online = self.paint(colour, &format!("{online} of {all} users get through"));
        match users.holding_old_links(picture) {
            0 => online,
            old => format!("{online}; {old} still hold the old link"),
        }
    }

    fn node(&self, node: &NodeView) -> String {
        let colour = match node.state {
            "up" => GREEN,
            "down" => RED,
            "probation" => CYAN,
            "unknown" => GREY,
            _ => YELLOW,
        };
        let state = self.paint(colour, &format!("{:<14}", node.state));
        let users = format!(
            "{:>3}/{:<3} {}",
            node.users,
            node.max,
            bar(node.users as u64, u64::try_from(node.max).unwrap_or(0), SMALL)
        );
        let answers = node.response_ms.filter(|_| node.state != "down").map_or("-".to_owned(), |ms| format!("{ms} ms"));
        let done = match node.trouble {
            Some(action) => self.paint(RED, &format!("[{}] ", action.done())),
            None => String::new(),
        };
        let why = node.why.as_deref().unwrap_or_default();
        let (name, place, panel) = (&node.name, &node.location, &node.panel);
        let clients = node.clients.len();
        format!("{name:<6}{place:<11}{panel:<6}{state}{users} {clients:>5} {answers:>8} {done}{why}")
    }

    /// The latest events, each with its time, broken into lines.
    fn told(&self, events: &[PastEvent]) -> Vec<String> {
        let mut lines = Vec::new();
        for event in condensed(events) {
            let mut margin = self.paint(GREY, &event.at.format("%H:%M:%S").to_string());
            for part in broken(&event.message) {
                lines.push(format!("{margin} {part}"));
                margin = " ".repeat("HH:MM:SS".len());
            }
        }
        lines.resize(EVENTS, String::new());
        lines
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.is_colourful { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn head() -> String {
    let bar = 18;
    format!(
        "{:<6}{:<11}{:<6}{:<14}{:<bar$} {:>5} {:>8}",
        "NODE", "PLACE", "3X-UI", "STATE", "USERS/MAX", "HOLDS", "ANSWERS"
    )
}

/// What is going on, in a sentence.
fn headline(story: &Story) -> String {
    let victim = story.victim();
    match story.chapter() {
        Chapter::Calm => "All is well. In a few seconds one node will die.".to_owned(),
        Chapter::Dark => format!("{victim} was killed. Its users move to other nodes, each with the key he has."),
        Chapter::Served { .. } => format!("Everybody of {victim} is served elsewhere. Soon it will be back."),
        Chapter::Returning { .. } => format!("{victim} is alive again, with its old clients. First comes probation."),
        Chapter::Settling => format!("{victim} is back. An old client goes once its user is seen on his new node."),
        Chapter::Settled => "The story is over. Now it is your turn: kill, cut, slow, revive.".to_owned(),
        Chapter::Failed(why) => format!("The story did not come true: {why}."),
    }
}

/// Where the users of the dead node went.
fn destinations(story: &Story) -> String {
    if !matches!(story.chapter(), Chapter::Dark | Chapter::Served { .. } | Chapter::Returning { .. }) {
        return String::new();
    }
    let each: Vec<String> = story.went_to().iter().map(|(node, users)| format!("{users} to {node}")).collect();
    each.join(", ")
}

fn bar_of(progress: &Progress) -> String {
    let Progress { what, done, of } = progress;
    format!("{} {done}/{of} {what}", bar(*done, *of, LARGE))
}

/// A bar of so many cells.
fn bar(part: u64, whole: u64, cells: u64) -> String {
    let whole = whole.max(1);
    let full = (part.min(whole) * cells).div_ceil(whole);
    (0..cells).fold(String::from("["), |bar, cell| bar + if cell < full { "#" } else { "." }) + "]"
}

/// A sentence in lines that fit beside the time.
fn broken(sentence: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in sentence.split(' ') {
        match lines.last_mut().filter(|line| line.chars().count() + word.chars().count() < WIDTH) {
            Some(line) => *line = format!("{line} {word}"),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The latest events that say something; of many of one kind in a row the last, and how many there are.
fn condensed(events: &[PastEvent]) -> Vec<PastEvent> {
    let mut told: Vec<(PastEvent, usize)> = Vec::new();
    for event in events.iter().filter(|event| !is_routine(event)) {
        let is_like = |same: &PastEvent| same.kind == event.kind && event.kind != "health";
        if let Some((_, count)) = told.last_mut().filter(|(same, _)| is_like(same)) {
            *count += 1;
        } else if told.len() < EVENTS {
            told.push((event.clone(), 1));
        } else {
            break;
        }
    }
    let with_count = |(event, count): (PastEvent, usize)| match count {
        1 => event,
        count => PastEvent { message: format!("[1 of {count}] {}", event.message), ..event },
    };
    told.into_iter().map(with_count).collect()
}
