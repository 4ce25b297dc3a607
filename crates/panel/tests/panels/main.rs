//! Stories of one panel and its client: the crate against simulated panels of both generations, over HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod access;
mod adding;
mod bodies;
mod by_hand;
mod chance;
mod crowd;
mod ensuring;
mod faults;
mod reading;
mod removing;
mod slow;
mod stage;
mod upgrade;
mod way_in;
