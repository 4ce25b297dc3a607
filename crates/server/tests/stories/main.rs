//! Stories over HTTP: a whole Muster, simulated panels of both generations, both databases. Each ends at rest.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod bot;
mod burst;
mod faults;
mod kill;
mod replaced;
mod world;
