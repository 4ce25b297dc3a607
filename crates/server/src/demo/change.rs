//! One thing that happened in the demo: a line for people, an object for programs.

use super::fleet::Action;
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The demo's own story.
    Story,
    /// Somebody, by `muster demo kill` and the like.
    Hand,
}

/// One thing that happened. With `--json` each is one line, with `at` (when, UTC) and `change` (which of these, in
/// snake case) beside its own members.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// The fleet is up and everybody has a key.
    Started {
        /// Where the API listens.
        api: String,
        /// The nodes' names.
        nodes: Vec<String>,
        /// How many users there are.
        users: usize,
    },
    /// Something was done to a node.
    Done {
        /// What.
        action: Action,
        /// To which.
        node: String,
        /// By whom.
        by: By,
    },
    /// Muster holds something else to be true of a node.
    Node {
        /// Which.
        node: String,
        /// Its state now.
        state: &'static str,
        /// Its state before.
        before: &'static str,
        /// Why, unless all is well.
        why: Option<String>,
    },
    /// Users of the node that the story killed are served elsewhere.
    Moved {
        /// The node they were on.
        from: String,
        /// How many are served elsewhere by now.
        moved: usize,
        /// How many there are.
        of: usize,
        /// How many went to each node.
        to: BTreeMap<String, usize>,
    },
    /// Muster decided something, as its own list of events says.
    Decided {
        /// What kind of decision.
        kind: String,
        /// The sentence.
        message: String,
    },
    /// Everybody of the killed node is served elsewhere.
    Served {
        /// The node they were on.
        from: String,
        /// How many they are.
        users: usize,
        /// How long after the kill, in seconds.
        seconds: f64,
    },
    /// The killed node may take users again.
    Back {
        /// Which.
        node: String,
        /// How long after it was revived, in seconds.
        seconds: f64,
    },
    /// Old clients that the moves left behind on the killed node.
    Settling {
        /// The node that holds them.
        node: String,
        /// How many wait for a sign of their users.
        waiting: usize,
        /// How many were removed, for their users were seen on the new node.
        removed: usize,
        /// How many keys went home, for their users were seen here only.
        home: usize,
    },
    /// The story is over.
    Over {
        /// Whether it came true.
        good: bool,
        /// What happened, or why not.
        message: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { api, nodes, users } => {
                write!(f, "{users} users on {} simulated nodes ({}); API: {api}", nodes.len(), nodes.join(", "))
            }
            Self::Done { action, node, by } => {
                let by = if *by == By::Hand { " by hand" } else { "" };
                write!(f, ">>> {node} is {}{by}", action.done())
            }
            Self::Node { node, state, before, why } => {
                let why = why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
                write!(f, "{node}: {before} -> {state}{why}")
            }
            Self::Moved { from, moved, of, to } => {
                let to: Vec<String> = to.iter().map(|(node, users)| format!("{node} +{users}")).collect();
                write!(f, "{moved} of {of} users of {from} are served elsewhere ({})", to.join(", "))
            }
            Self::Decided { kind, message } => write!(f, "{kind}: {message}"),
            Self::Served { from, users, seconds } => {
                write!(f, ">>> all {users} users of {from} are served elsewhere, {seconds:.1} s after the kill")
            }
            Self::Back { node, seconds } => {
                write!(f, ">>> {node} came through probation and takes users again, {seconds:.1} s after its revival")
            }
            Self::Settling { node, waiting, removed, home } => {
                write!(f, "old clients on {node}: {waiting} wait, {removed} removed, {home} keys went home")
            }
            Self::Over { good: true, message } => write!(f, "the story is over: {message}"),
            Self::Over { good: false, message } => write!(f, "the story did not come true: {message}"),
        }
    }
}
