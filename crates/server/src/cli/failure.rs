//! Why a command fails, in words, as a document and as an exit code.

use crate::{
    config::{ConfigErrors, Mistake},
    data::StartError,
    ops::{jobs::JobError, keys::IssueError, moves::MoveError, nodes::NodeError},
    panels::LookError,
};
use serde_json::{Value, json};
use std::error::Error;
use store::StoreError;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the settings are not usable:\n{0}")]
    Config(ConfigErrors),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Look(#[from] LookError),
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Move(#[from] MoveError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Refused(String),
    #[error("{what}")]
    Io {
        what: String,
        #[source]
        source: std::io::Error,
    },
}

impl Failure {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Usage(_)
            | Self::Node(NodeError::Invalid(_))
            | Self::Look(LookError::Node(NodeError::Invalid(_)) | LookError::Access { .. }) => 2,
            Self::Start(_)
            | Self::Store(_)
            | Self::Node(_)
            | Self::Look(_)
            | Self::Issue(_)
            | Self::Move(_)
            | Self::Job(_)
            | Self::Refused(_)
            | Self::Io { .. } => 1,
        }
    }

    /// For programs: in words, and mistakes in settings one by one.
    pub(super) fn document(&self) -> Value {
        let mut document = json!({"error": self.in_words()});
        if let Self::Config(ConfigErrors(mistakes)) = self {
            let mistake = |m: &Mistake| json!({"place": m.place, "key": m.key, "message": m.message});
            document["mistakes"] = mistakes.iter().map(mistake).collect();
        }
        document
    }

    /// The error and its causes on one line; causes that an outer text repeats are left out.
    pub(super) fn in_words(&self) -> String {
        let mut words = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !words.contains(&text) {
                words = format!("{words}: {text}");
            }
            cause = error.source();
        }
        words
    }
}
