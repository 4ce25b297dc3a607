//! The store on real databases. Every test runs on each engine of `TestDatabase::all()`.

mod bounds;
mod lease;
mod ledger;
mod ledger_at_random;
mod migrations;
mod nodes;
mod payments;
mod picture;
mod scene;
mod tokens;
mod users;
