//! A 3x-ui panel made of memory: both generations over real HTTP, with faults to inject while it runs.
//!
//! For tests, benchmarks and the demo. It answers as panels of 2.9.4 and 3.6.0 do, which is pinned by recorded
//! conversations with real ones (`recordings/`, replayed by `tests/recordings.rs`). It shares no wire code with the
//! crate `panel`, on purpose: a mistake made in both would cancel out.
//!
//! | question | file |
//! |---|---|
//! | how a test starts a panel, looks into it and makes it fail | [`Sim`], [`Fault`] |
//! | a request and an answer, whatever the generation | `call` |
//! | what a 2.9 panel answers, what it does by itself | `two` |
//! | what a 3.6 panel answers, what it does by itself | `three` |
//! | the server's status, xray, generators of keys | `machine` |

mod call;
mod clock;
mod door;
mod engine;
mod fault;
mod http;
mod machine;
mod public;
mod setup;
mod sim;
mod three;
mod two;

pub use fault::{Fault, Pace};
pub use setup::{Held, Setup, reality};
pub use sim::{Backup, Generation, Sim};
