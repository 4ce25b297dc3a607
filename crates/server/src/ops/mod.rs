//! One function for each thing that anybody can ask for; the page, the API, the bot and the command line call
//! the same one. Each owns its transaction. Nothing here waits for a panel.

pub mod health;
pub mod jobs;
pub mod keys;
pub mod leaving;
pub mod moves;
pub mod nodes;
pub mod placement;
pub mod plan;
pub mod rebalance;
pub mod tokens;
pub mod users;
