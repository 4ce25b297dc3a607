//! The rules, tried by the thousand: invariants on fleets, panels and inbounds made at random, and stories.

mod app;
mod budgeting;
mod chance;
mod choosing;
mod filling;
mod fleets;
mod health;
mod links;
mod panels;
mod placing;
mod rebalancing;
mod settling;
mod shares;
mod syncing;
mod verdicts;
