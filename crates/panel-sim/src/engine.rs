//! A panel of either generation.

use crate::{
    call::{Call, Reply},
    machine::Machine,
    setup::{Held, Setup},
    sim::Generation,
    three, two,
};
use serde_json::Value;

/// The whole state. A clone is a backup.
#[derive(Debug, Clone)]
pub(crate) enum Engine {
    Two(Box<two::Panel>),
    Three(Box<three::Panel>),
}

/// Calls the same method on whichever generation it is.
macro_rules! either {
    ($engine:expr, $panel:ident => $call:expr) => {
        match $engine {
            Engine::Two($panel) => $call,
            Engine::Three($panel) => $call,
        }
    };
}

impl Engine {
    pub(crate) fn new(generation: Generation, setup: &Setup, now_ms: i64) -> Self {
        match generation {
            Generation::Two => Self::Two(Box::new(two::Panel::new(setup, now_ms))),
            Generation::Three => Self::Three(Box::new(three::Panel::new(setup, now_ms))),
        }
    }

    /// Does what the panel did by itself until now, then answers.
    pub(crate) fn answer(&mut self, call: &Call, now_ms: i64) -> Reply {
        either!(self, panel => {
            panel.pass_time(now_ms);
            panel.answer(call, now_ms)
        })
    }

    pub(crate) fn pass_time(&mut self, now_ms: i64) {
        either!(self, panel => panel.pass_time(now_ms));
    }

    pub(crate) fn clients(&self, inbound: i64) -> Vec<Held> {
        either!(self, panel => panel.clients(inbound))
    }

    /// How many clients an inbound has.
    pub(crate) fn count(&self, inbound: i64) -> usize {
        either!(self, panel => panel.count(inbound))
    }

    /// The same panel, as it looks when its listings show no client.
    pub(crate) fn emptied(mut self) -> Self {
        for id in self.inbound_ids() {
            match &mut self {
                Self::Two(panel) => panel.set_array(id, Vec::new()),
                Self::Three(panel) => panel.forget_clients(),
            }
        }
        self
    }

    pub(crate) fn inbound_ids(&self) -> Vec<i64> {
        either!(self, panel => panel.inbound_ids())
    }

    pub(crate) fn add_inbound(&mut self, body: &Value, now_ms: i64) -> i64 {
        either!(self, panel => panel.add_inbound(body, now_ms))
    }

    pub(crate) fn add_client(&mut self, inbound: i64, client: Value, now_ms: i64) {
        either!(self, panel => panel.add_client(inbound, client, now_ms));
    }

    pub(crate) fn remove_client(&mut self, inbound: i64, email: &str) {
        either!(self, panel => panel.remove_client(inbound, email));
    }

    pub(crate) fn use_traffic(&mut self, email: &str, up: i64, down: i64) -> bool {
        either!(self, panel => panel.use_traffic(email, up, down))
    }

    pub(crate) fn machine_mut(&mut self) -> &mut Machine {
        either!(self, panel => panel.machine_mut())
    }

    pub(crate) fn end_sessions(&mut self) {
        either!(self, panel => panel.end_sessions());
    }

    pub(crate) fn restart(&mut self, now_ms: i64) {
        either!(self, panel => panel.restart(now_ms));
    }

    pub(crate) fn set_locked(&mut self, locked: bool) {
        either!(self, panel => panel.locked = locked);
    }

    pub(crate) fn revoke_tokens(&mut self) {
        if let Self::Three(panel) = self {
            panel.revoke_tokens();
        }
    }

    /// A new API token; `None` on 2.x, which knows none.
    pub(crate) fn create_token(&mut self, name: &str, now_ms: i64) -> Option<String> {
        match self {
            Self::Two(_) => None,
            Self::Three(panel) => Some(panel.create_token(name, now_ms)),
        }
    }

    /// Makes a 2.9 panel a 3.6 one with what it holds; does nothing to a 3.6 one.
    pub(crate) fn upgrade(&mut self, setup: &Setup, now_ms: i64) {
        if let Self::Two(panel) = self {
            let inbounds = panel.inbounds_json(now_ms);
            let credentials = panel.credentials();
            *self = Self::Three(Box::new(three::Panel::upgraded_from(setup, &inbounds, credentials, now_ms)));
        }
    }
}
