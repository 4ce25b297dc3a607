//! `muster demo`: the whole of Muster with simulated panels in one process, so that a newcomer sees a failover within
//! a minute. Behind the cargo feature `demo`.
//!
//! App and loops are the ordinary ones, on an SQLite file in a folder of their own that goes with the demo; only the
//! settings are shortened. All that is shown is read from the database, the panels and the users, never assumed.
//!
//! | question | file |
//! |---|---|
//! | what is shorter here than in production | [`settings`] |
//! | which panels there are, and how they fail | [`fleet`] |
//! | what users do | [`users`] |
//! | what is seen of all that at one moment | [`picture`] |
//! | what is killed when, and whether it ended well | [`story`] |
//! | one thing that happened, as a line or as JSON | [`change`] |
//! | what a terminal shows | [`screen`] |
//! | how orders reach a running demo | [`control`] |
//! | where its data is, until it ends | [`folder`] |

pub mod change;
pub mod control;
pub mod fleet;
pub mod folder;
pub mod picture;
pub mod screen;
pub mod settings;
pub mod show;
pub mod story;
pub mod users;

use crate::{
    app::App,
    data::{self, StartError},
    ops::keys::IssueError,
    panels::{Clock, LookError},
    serve::{listen, serve, told_to_stop},
};
use change::{By, Change};
use control::{Control, Order};
use fleet::Fleet;
use folder::Folder;
use picture::Picture;
use rand::rngs::StdRng;
use show::Show;
use std::{io, net::SocketAddr, time::Duration};
use store::StoreError;
use story::{Pace, Story};
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;
use users::Users;

/// How often the picture is looked at and drawn.
const TICK: Duration = Duration::from_millis(250);
/// How long the fleet may take to be found well at the start.
const FIRST_LOOKS: Duration = Duration::from_secs(20);

/// What somebody asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many users.
    pub users: usize,
    /// End when the story is over.
    pub once: bool,
    /// Where the API listens.
    pub listen: SocketAddr,
}

/// How a demo ended that was not cut short by an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Somebody stopped it; what had happened until then.
    Stopped(String),
    /// The story came true; what happened.
    Told(String),
    /// It did not come true; why.
    Failed(String),
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Its database cannot be made.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A simulated panel was not taken in.
    #[error(transparent)]
    Look(#[from] LookError),
    /// A simulated user got no key.
    #[error("a simulated user got no key")]
    Issue(#[from] IssueError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Files, ports, the terminal.
    #[error("{what}")]
    Io {
        /// What could not be done.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The fleet was not found well although nothing was done to it.
    #[error("after {FIRST_LOOKS:?} not every simulated node is up: {0}")]
    NotUp(String),
}

impl DemoError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Runs the demo until its story is over ([`Options::once`]), somebody stops it, or nobody reads any more what it
/// shows. Leaves nothing behind.
pub async fn run(options: &Options, clock: Clock, mut chance: StdRng, mut show: Show) -> Result<Ended, DemoError> {
    let folder = Folder::make(&mut chance).map_err(DemoError::io("the demo's data folder cannot be made"))?;
    let fleet = Fleet::start().await.map_err(DemoError::io("the simulated panels cannot be started"))?;
    let control = Control::open(folder.path(), &mut chance).await.map_err(DemoError::io("no orders can be taken"))?;
    let config = settings::settings();
    let store = data::open(&config, folder.path(), &mut chance).await?;
    let listener = listen(options.listen).map_err(DemoError::io(format!("cannot listen on {}", options.listen)))?;
    let address = listener.local_addr().map_err(DemoError::io("the address is unknown"))?;
    let app = App::new(config, store.clone(), chance, clock);
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(app.clone(), listener, stop.clone()));
    let demo = Demo { options, app, fleet, control, address };
    let ended = demo.play(&mut show, &server).await;
    show.close();
    stop.cancel();
    // What is left unsaid to a panel goes with it.
    let _ = server.await;
    store.close().await;
    folder.remove().map_err(DemoError::io("the demo's data folder cannot be removed"))?;
    ended
}

struct Demo<'a> {
    options: &'a Options,
    app: App,
    fleet: Fleet,
    control: Control,
    address: SocketAddr,
}

impl Demo<'_> {
    async fn play(self, show: &mut Show, server: &JoinHandle<io::Result<()>>) -> Result<Ended, DemoError> {
        tokio::select! {
            asked = told_to_end() => {
                asked.map_err(DemoError::io("signals cannot be received"))?;
                Ok(Ended::Stopped(show.summary()))
            }
            ended = self.tell(show, server) => ended,
        }
    }

    async fn tell(mut self, show: &mut Show, server: &JoinHandle<io::Result<()>>) -> Result<Ended, DemoError> {
        if show.opening("starting five simulated panels …").is_err() {
            return Ok(Ended::Stopped(String::new()));
        }
        self.fleet.join(&self.app).await?;
        self.first_looks().await?;
        if show.opening("the users come …").is_err() {
            return Ok(Ended::Stopped(String::new()));
        }
        let mut users = Users::arrive(&self.app, self.options.users).await?;
        self.fleet.slow_down();
        let pace = if self.options.once { Pace::BRISK } else { Pace::CALM };
        let mut story = Story::new(pace, Instant::now());
        let mut before = Picture::look(&self.app.store, &self.fleet).await?;
        let nodes = before.nodes.iter().map(|n| n.name.clone()).collect();
        let mut changes =
            vec![Change::Started { api: format!("http://{}", self.address), nodes, users: users.count() }];
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                order = self.control.next() => self.carry_out(order, &mut changes),
            }
            if server.is_finished() {
                return Err(DemoError::Io { what: "the server ended".to_owned(), source: io::ErrorKind::Other.into() });
            }
            let picture = Picture::look(&self.app.store, &self.fleet).await?;
            users.live(&picture, &self.fleet, Instant::now());
            picture.changes_since(&before, &mut changes);
            story.step(&picture, &mut self.fleet, Instant::now(), &mut changes);
            if show.tell(&picture, &users, &story, &changes, (self.app.clock)()).is_err() {
                return Ok(Ended::Stopped(String::new()));
            }
            changes.clear();
            before = picture;
            if let (true, Some(outcome)) = (self.options.once, story.outcome()) {
                return Ok(match outcome {
                    Ok(summary) => Ended::Told(summary),
                    Err(why) => Ended::Failed(why),
                });
            }
        }
    }

    /// Waits until the probes found every node well.
    async fn first_looks(&self) -> Result<(), DemoError> {
        let deadline = Instant::now() + FIRST_LOOKS;
        loop {
            let picture = Picture::look(&self.app.store, &self.fleet).await?;
            let not_up = picture.nodes.iter().filter(|n| !n.is_up());
            let not_up: Vec<String> = not_up.map(|n| format!("{} is {}", n.name, n.state)).collect();
            if not_up.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(DemoError::NotUp(not_up.join(", ")));
            }
            sleep(TICK).await;
        }
    }

    fn carry_out(&mut self, order: Order, changes: &mut Vec<Change>) {
        let done = self.fleet.act(&order.node, order.action);
        if done.is_ok() {
            changes.push(Change::Done { action: order.action, node: order.node.clone(), by: By::Hand });
        }
        // Whoever hung up sees it on the screen.
        let _ = order.answer.send(done.map(|()| format!("{}: {}", order.node, order.action.done())));
    }
}

/// Ends when the process is told to, or its terminal is closed.
async fn told_to_end() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut closed = signal(SignalKind::hangup())?;
    tokio::select! {
        told = told_to_stop() => told,
        _ = closed.recv() => Ok(()),
    }
}
