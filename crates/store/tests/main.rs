//! The store on real databases. Every test runs on each engine of `TestDatabase::all()`.

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
mod timing_tmp;
