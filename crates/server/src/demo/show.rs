//! Where the demo is shown: redrawn in place on a terminal, as lines where nobody sits, as JSON for programs.

use super::{
    change::Change,
    picture::Picture,
    screen::{self, Screen},
    story::Story,
    users::Users,
};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use std::io::{self, Write};

/// One of the three.
pub struct Show {
    out: Box<dyn Write + Send>,
    how: How,
    story: String,
}

enum How {
    Screen(Box<Screen>),
    Lines,
    Json,
}

/// A change as a program reads it.
#[derive(Serialize)]
struct Line<'a> {
    at: String,
    #[serde(flatten)]
    change: &'a Change,
}

impl Show {
    /// Redrawn in place. `colours`: whether it may be colourful.
    pub fn on_screen(out: Box<dyn Write + Send>, colours: bool) -> Self {
        Self { out, how: How::Screen(Box::new(Screen::new(colours))), story: String::new() }
    }

    /// One line for each change.
    pub fn in_lines(out: Box<dyn Write + Send>) -> Self {
        Self { out, how: How::Lines, story: String::new() }
    }

    /// One JSON object for each change.
    pub fn in_json(out: Box<dyn Write + Send>) -> Self {
        Self { out, how: How::Json, story: String::new() }
    }

    /// Whether a terminal is drawn on, which shows nothing any more once it is given back.
    pub fn is_on_screen(&self) -> bool {
        matches!(self.how, How::Screen(_))
    }

    /// What is being prepared before there is anything to see.
    pub fn opening(&mut self, words: &str) -> io::Result<()> {
        match &mut self.how {
            How::Screen(screen) => self.out.write_all(screen.opening(words).as_bytes())?,
            How::Lines => writeln!(self.out, "{words}")?,
            How::Json => {}
        }
        self.out.flush()
    }

    /// What is to be seen now, and what changed since the last time. Fails when nobody reads it any more.
    pub fn tell(
        &mut self,
        picture: &Picture,
        users: &Users,
        story: &Story,
        changes: &[Change],
        now: DateTime<Utc>,
    ) -> io::Result<()> {
        self.story = story.outcome().map_or_else(String::new, |outcome| outcome.unwrap_or_else(|why| why));
        match &mut self.how {
            How::Screen(screen) => self.out.write_all(screen.draw(picture, users, story, changes).as_bytes())?,
            How::Lines => {
                for line in shortened(changes) {
                    writeln!(self.out, "{} {line}", now.format("%H:%M:%S"))?;
                }
            }
            How::Json => {
                for change in changes {
                    let at = now.to_rfc3339_opts(SecondsFormat::Millis, true);
                    serde_json::to_writer(&mut self.out, &Line { at, change })?;
                    writeln!(self.out)?;
                }
            }
        }
        self.out.flush()
    }

    /// What became of the story so far; empty while that is open.
    pub fn summary(&self) -> String {
        self.story.clone()
    }

    /// Gives the terminal back as it was.
    pub fn close(&mut self) {
        if let How::Screen(_) = self.how {
            // Nobody is there to be told.
            let _ = self.out.write_all(screen::CLOSING.as_bytes()).and_then(|()| self.out.flush());
        }
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        self.close();
    }
}

/// The changes as lines; of decisions of one kind, which come by the dozen, the first.
fn shortened(changes: &[Change]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut same = 0;
    for (index, change) in changes.iter().enumerate() {
        let is_like = |other: Option<&Change>| match (change, other) {
            (Change::Decided { kind, .. }, Some(Change::Decided { kind: other, .. })) => kind == other,
            _ => false,
        };
        if is_like(index.checked_sub(1).and_then(|before| changes.get(before))) {
            same += 1;
        } else {
            lines.push(change.to_string());
        }
        if same > 0 && !is_like(changes.get(index + 1)) {
            if let Some(line) = lines.last_mut() {
                *line = format!("{line} (and {same} more)");
            }
            same = 0;
        }
    }
    lines
}
