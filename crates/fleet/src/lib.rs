//! The rules of the fleet: which node a key lives on, what one panel should hold, what a user's link says.
//!
//! Everything here is a plain function of values, time and chance included. The crate knows nothing of HTTP,
//! of databases, of clocks or of the environment: whoever calls it brings the data and carries out the answer.
//! So every decision that Muster makes can be read, and tested by the thousand, in this folder alone.
//!
//! | question | file |
//! |---|---|
//! | what a node, a key, an inbound is | [`node`], [`key`], [`inbound`] |
//! | why a key is on that node, or on none | [`place`] |
//! | when a node counts as up, and when as down | [`health`] |
//! | what is done to a panel, and when something is removed | [`sync`] |
//! | what link a user is given | [`link`] |
//! | when an old client goes after a move, and when a key goes back | [`settle`] |
//! | who was seen where | [`seen`] |
//! | which keys even out the fleet | [`rebalance`] |
//! | who moves first, and how many at once | [`budget`] |

pub mod budget;
pub mod client;
pub mod health;
pub mod id;
pub mod inbound;
pub mod key;
pub mod link;
pub mod node;
pub mod place;
pub mod rebalance;
pub mod seen;
pub mod settle;
pub mod sync;
