//! One client of a batch on its way to an outcome.

use crate::{PanelError, call::Fault};

/// A client, what was done for it, and what became of it.
pub(crate) struct Task<'a, T, R> {
    pub(crate) item: &'a T,
    /// What we would report if reading back showed it done now.
    pub(crate) did: Option<R>,
    /// Whether no write that was meant for it has ever failed.
    pub(crate) is_clean: bool,
    last: Last,
    outcome: Option<Result<R, PanelError>>,
}

/// The last write that was meant for it.
enum Last {
    None,
    /// It may have been applied.
    Sent(String),
    /// It was not, said the panel.
    Refused(String),
}

impl<'a, T, R: Copy> Task<'a, T, R> {
    pub(crate) fn new(item: &'a T) -> Self {
        Self { item, did: None, is_clean: false, last: Last::None, outcome: None }
    }

    /// Whether the panel took the first write that it ever got for it: nothing is left there of one that failed.
    pub(crate) fn was_taken_at_once(&self) -> bool {
        self.is_clean && self.did.is_some()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.outcome.is_none()
    }

    /// Ends it.
    pub(crate) fn settle(&mut self, outcome: Result<R, PanelError>) {
        self.outcome = Some(outcome);
    }

    /// A write was answered with success; what it did shows when reading back.
    pub(crate) fn succeeded(&mut self, did: R) {
        self.did = Some(self.did.unwrap_or(did));
        self.last = Last::Sent("the panel said yes, but reading back does not show it".into());
    }

    /// The panel said no. Saying so twice ends it.
    pub(crate) fn refused(&mut self, message: &str) {
        if !self.is_open() {
            return;
        }
        self.is_clean = false;
        if matches!(&self.last, Last::Refused(before) if before == message) {
            self.settle(Err(PanelError::refused(message)));
        }
        self.last = Last::Refused(message.to_owned());
    }

    /// Whether the last word of the panel about it was a no.
    pub(crate) fn was_refused(&self) -> bool {
        matches!(self.last, Last::Refused(_))
    }

    /// The panel said no to a whole batch because of another client in it.
    pub(crate) fn held_up(&mut self, message: &str) {
        self.is_clean = false;
        self.last = Last::Refused(message.to_owned());
    }

    /// Nobody knows what became of a write.
    pub(crate) fn unclear(&mut self, did: R, what: &str) {
        self.is_clean = false;
        self.did = Some(self.did.unwrap_or(did));
        self.last = Last::Sent(what.to_owned());
    }

    /// The outcome; `error` is what ended everything before this one was settled, `None` when it was still not as
    /// it should be after the last reading.
    pub(crate) fn close(self, error: Option<&PanelError>) -> Result<R, PanelError> {
        if let Some(outcome) = self.outcome {
            return outcome;
        }
        let unclear = |what| Err(PanelError::Unclear { what });
        match (self.last, error) {
            (Last::None, Some(error)) => Err(error.clone()),
            (Last::None, None) => unclear("it changes while we look".into()),
            (Last::Sent(what), None) => unclear(what),
            (Last::Sent(what) | Last::Refused(what), Some(error)) => {
                unclear(format!("{what}; then reading back failed: {error}"))
            }
            (Last::Refused(message), None) => Err(PanelError::Refused { message }),
        }
    }
}

/// What a write's fault means for the writes after it.
pub(crate) enum Next {
    /// Go on.
    On,
    /// Read back first.
    ReadBack,
}

/// Takes down what became of a write for several tasks. Fails with what makes further calls pointless.
pub(crate) fn record<'a, 't: 'a, T: 't, R: Copy + 'a>(
    tasks: impl Iterator<Item = &'a mut Task<'t, T, R>>,
    did: R,
    result: Result<(), Fault>,
) -> Result<Next, Fault> {
    match result {
        Ok(()) => {
            tasks.for_each(|task| task.succeeded(did));
            Ok(Next::On)
        }
        Err(Fault::Error(PanelError::Refused { message })) => {
            tasks.for_each(|task| task.refused(&message));
            Ok(Next::On)
        }
        Err(Fault::Unclear(what)) => {
            tasks.for_each(|task| task.unclear(did, &what));
            Ok(Next::ReadBack)
        }
        Err(fault @ (Fault::Gone(_) | Fault::Error(_))) => Err(fault),
    }
}
