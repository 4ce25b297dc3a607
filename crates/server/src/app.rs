//! The parts of the running program, put together once and handed to whoever needs them.

use crate::{
    config::Config,
    intake::Intake,
    loops::{Loops, Pokes, sync::Timing},
    panels::Clock,
    waiters::Waiters,
};
use panel::Deadlines;
use rand::{SeedableRng as _, rngs::StdRng};
use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};
use store::Store;

/// Everything that a request or a command may need. Cheap to clone: every layer that a request passes does.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What an [`App`] is made of, once.
pub struct Parts {
    /// Settings.
    pub config: Arc<Config>,
    /// The database.
    pub store: Store,
    /// The way to a key.
    pub intake: Intake,
    /// Wakes the loops.
    pub pokes: Pokes,
    /// The time.
    pub clock: Clock,
    waiters: Waiters,
    chance: Arc<Mutex<StdRng>>,
}

impl App {
    /// Puts the parts together and starts the intake. Loops do not run yet: see [`App::loops`].
    pub fn new(config: Config, store: Store, mut chance: StdRng, clock: Clock) -> Self {
        let (waiters, pokes) = (Waiters::default(), Pokes::default());
        let intake = Intake::start(
            store.clone(),
            config.trial(),
            config.panels.issue_wait,
            waiters.clone(),
            pokes.clone(),
            StdRng::from_rng(&mut chance),
            clock.clone(),
        );
        let (config, chance) = (Arc::new(config), Arc::new(Mutex::new(chance)));
        Self(Arc::new(Parts { config, store, intake, pokes, clock, waiters, chance }))
    }

    /// The loops of this process.
    pub fn loops(&self) -> Loops {
        let sync = &self.config.sync;
        Loops {
            store: self.store.clone(),
            waiters: self.waiters.clone(),
            pokes: self.pokes.clone(),
            deadlines: self.deadlines(),
            timing: Timing { full: sync.full_interval, retry: sync.retry_interval, poll: sync.poll },
            config: self.config.clone(),
            clock: self.clock.clone(),
            chance: self.chance.clone(),
        }
    }

    /// How long panels may take.
    pub fn deadlines(&self) -> Deadlines {
        let panels = &self.config.panels;
        Deadlines { connect: panels.connect_timeout, read: panels.read_timeout, write: panels.write_timeout }
    }

    /// A generator of one's own.
    pub fn chance(&self) -> StdRng {
        StdRng::from_rng(&mut *self.chance.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
