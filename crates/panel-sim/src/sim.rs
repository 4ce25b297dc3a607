//! The panel as a test holds it: started, looked into, made to fail, brought back.

use crate::{
    clock::Clock,
    door::Line,
    engine::Engine,
    fault::{Fault, Faults, Pace},
    http, public,
    setup::{Held, Setup},
};
use serde_json::Value;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch};

/// Which generation of 3x-ui a panel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// 2.9.4.
    Two,
    /// 3.6.0.
    Three,
}

/// One simulated panel. Dropping it stops it.
#[derive(Debug)]
pub struct Sim {
    pub(crate) shared: Arc<Shared>,
    address: SocketAddr,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) setup: Setup,
    pub(crate) clock: Clock,
    engine: Mutex<Engine>,
    faults: Mutex<Faults>,
    pub(crate) pace: Mutex<Pace>,
    /// In what way the panel takes connections.
    pub(crate) line: watch::Sender<Line>,
    /// In what way the public ports do.
    pub(crate) public: watch::Sender<Line>,
    /// How many client writes it answered or swallowed.
    pub(crate) writes: Mutex<u64>,
    /// How many calls reached it.
    pub(crate) calls: AtomicU64,
    /// How often its clients were listed.
    pub(crate) listings: Mutex<u64>,
    /// Held by whoever writes clients: panels do that one after the other.
    pub(crate) writing: tokio::sync::Mutex<()>,
}

/// What a panel held at some time, to be put back.
#[derive(Debug, Clone)]
pub struct Backup(Engine);

impl Sim {
    /// Starts a fresh panel on a free port of 127.0.0.1.
    pub async fn start(generation: Generation, setup: Setup) -> io::Result<Self> {
        Self::start_at(generation, setup, "127.0.0.1:0".parse().map_err(io::Error::other)?).await
    }

    /// Starts a fresh panel at this address.
    pub async fn start_at(generation: Generation, setup: Setup, address: SocketAddr) -> io::Result<Self> {
        let clock = Clock::default();
        let engine = Engine::new(generation, &setup, clock.now_ms());
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            setup,
            clock,
            engine: Mutex::new(engine),
            faults: Mutex::default(),
            pace: Mutex::default(),
            line: watch::Sender::new(Line::Up),
            public: watch::Sender::new(Line::Up),
            writes: Mutex::default(),
            calls: AtomicU64::default(),
            listings: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        });
        tokio::spawn(http::serve(shared.clone(), listener, address));
        Ok(Self { shared, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as an operator types it, the base path included.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.shared.setup.base_path)
    }

    /// What it was installed with.
    pub fn setup(&self) -> &Setup {
        &self.shared.setup
    }

    /// Lets time pass at once, with all that the panel does by itself meanwhile.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
        let now = self.now_ms();
        self.engine().pass_time(now);
    }

    /// Switches a fault on until [`Sim::heal`].
    pub fn inject(&self, fault: Fault) {
        self.inject_times(fault, None);
    }

    /// Switches a fault on for the next `times` calls that it concerns.
    pub fn inject_next(&self, fault: Fault, times: u32) {
        self.inject_times(fault, Some(times));
    }

    fn inject_times(&self, fault: Fault, times: Option<u32>) {
        match fault {
            Fault::Dead => self.set_lines(Line::Dead, Line::Dead),
            Fault::BlackHole => self.set_lines(Line::BlackHole, Line::BlackHole),
            Fault::Cut => self.set_lines(Line::Cut, Line::Cut),
            Fault::PanelDead => self.set_lines(Line::Dead, Line::Up),
            Fault::PortClosed => self.set_lines(Line::Up, Line::Dead),
            Fault::Slow(_)
            | Fault::AnswerLost
            | Fault::ErrorBefore
            | Fault::ErrorAfter
            | Fault::Locked
            | Fault::Truncated
            | Fault::LostUpdate(_)
            | Fault::EmptyLists
            | Fault::BadGateway => self.shared.faults().inject(fault, times),
        }
    }

    /// Ends all faults; the panel is what it was, with what was applied meanwhile.
    pub fn heal(&self) {
        self.shared.faults().clear();
        let public = if self.engine().machine_mut().xray_is_running() { Line::Up } else { Line::Dead };
        self.set_lines(Line::Up, public);
    }

    fn set_lines(&self, panel: Line, public: Line) {
        self.shared.line.send_replace(panel);
        self.shared.public.send_replace(public);
    }

    /// Opens a free public port that completes TLS hellos, for an inbound to be put there; gives its number.
    pub async fn open_port(&self) -> io::Result<u16> {
        public::open(self.address, &self.shared.public).await
    }

    /// Whether nobody can reach it.
    pub fn is_dark(&self) -> bool {
        *self.shared.line.borrow() != Line::Up
    }

    /// How long it takes for what it does.
    pub fn set_pace(&self, pace: Pace) {
        *self.shared.pace.lock().unwrap_or_else(PoisonError::into_inner) = pace;
    }

    /// What it holds now.
    pub fn backup(&self) -> Backup {
        Backup(self.engine().clone())
    }

    /// Puts a backup back, as an operator does after a lost disk.
    pub fn restore(&self, backup: &Backup) {
        *self.engine() = backup.0.clone();
    }

    /// Starts the panel's process anew; what is in its database stays.
    pub fn restart(&self) {
        let now = self.now_ms();
        self.engine().restart(now);
    }

    /// Starts the panel anew with an empty database: no inbounds, no clients, no tokens.
    pub fn restart_empty(&self) {
        let now = self.now_ms();
        let mut engine = self.engine();
        let generation = match &*engine {
            Engine::Two(_) => Generation::Two,
            Engine::Three(_) => Generation::Three,
        };
        *engine = Engine::new(generation, &self.shared.setup, now);
    }

    /// Upgrades a 2.9 panel in place: sessions end, clients stay.
    pub fn upgrade(&self) {
        let now = self.now_ms();
        self.engine().upgrade(&self.shared.setup, now);
    }

    /// Adds an inbound by the body of `inbounds/add` and gives its id.
    pub fn add_inbound(&self, body: &Value) -> i64 {
        let now = self.now_ms();
        self.engine().add_inbound(body, now)
    }

    /// The ids of its inbounds.
    pub fn inbound_ids(&self) -> Vec<i64> {
        self.engine().inbound_ids()
    }

    /// The clients of an inbound, by name.
    pub fn clients(&self, inbound: i64) -> Vec<Held> {
        let mut clients = self.engine().clients(inbound);
        clients.sort();
        clients
    }

    /// How many clients an inbound has.
    pub fn count(&self, inbound: i64) -> usize {
        self.engine().count(inbound)
    }

    /// Adds a client as somebody in the panel's own pages does.
    pub fn add_client(&self, inbound: i64, client: Value) {
        let now = self.now_ms();
        self.engine().add_client(inbound, client, now);
    }

    /// Deletes a client as somebody in the panel's own pages does.
    pub fn remove_client(&self, inbound: i64, email: &str) {
        self.engine().remove_client(inbound, email);
    }

    /// A user's bytes through xray; the panel counts them at its next poll. False when he was not let in.
    pub fn use_traffic(&self, email: &str, up: i64, down: i64) -> bool {
        *self.shared.public.borrow() == Line::Up && self.engine().use_traffic(email, up, down)
    }

    /// Puts xray into a state: `running`, `stop` or `error`. The public ports are open while it runs.
    pub fn set_xray(&self, state: &str) {
        self.engine().machine_mut().set_xray(state);
        self.shared.public.send_replace(if state == "running" { Line::Up } else { Line::Dead });
    }

    /// Ends every session.
    pub fn end_sessions(&self) {
        self.engine().end_sessions();
    }

    /// Deletes every API token.
    pub fn revoke_tokens(&self) {
        self.engine().revoke_tokens();
    }

    /// Makes an API token and gives its text; `None` on 2.x, which knows none.
    pub fn create_token(&self, name: &str) -> Option<String> {
        let now = self.now_ms();
        self.engine().create_token(name, now)
    }

    /// How many calls that change clients reached it, answered or not.
    pub fn writes(&self) -> u64 {
        *self.shared.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many calls reached it, answered or not.
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// How often it was asked for its clients, answered or not.
    pub fn listings(&self) -> u64 {
        *self.shared.listings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> i64 {
        self.shared.clock.now_ms()
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.shared.engine()
    }
}

impl Shared {
    pub(crate) fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.set_lines(Line::Stopped, Line::Stopped);
    }
}
