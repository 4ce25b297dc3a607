//! The store on real databases. Every test runs on each engine of `TestDatabase::all()`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bounds;
mod jobs;
mod lease;
mod ledger;
mod ledger_at_random;
mod migrations;
mod moves;
mod nodes;
mod payments;
mod picture;
mod samples;
mod scene;
mod seen;
mod tokens;
mod users;
