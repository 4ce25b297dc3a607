//! Stories over HTTP: a whole Muster, simulated panels of both generations, both databases. Each ends at rest.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![expect(clippy::print_stdout, reason = "shown with a test that fails: which database, which seed")]

mod api;
mod bot;
mod burst;
mod chaos;
mod command_line;
#[cfg(feature = "demo")]
mod demo;
mod failover;
mod faults;
mod kill;
mod moving;
mod program;
mod replaced;
mod returning;
mod twins;
mod world;
