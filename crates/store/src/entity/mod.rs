//! The tables as `SeaORM` sees them. Private to this crate: nobody else learns its vocabulary.
//!
//! `users` and `vpn_keys` may belong to a database that was there before us: only the columns that Muster uses
//! are named here, and ids are 32 bits wide because they are there.

#![expect(unreachable_pub, reason = "SeaORM's derives make public types whatever the module is")]

pub(crate) mod assignment;
pub(crate) mod client;
pub(crate) mod event;
pub(crate) mod job;
pub(crate) mod job_move;
pub(crate) mod key;
pub(crate) mod meta;
pub(crate) mod moment;
pub(crate) mod node;
pub(crate) mod sample;
pub(crate) mod token;
pub(crate) mod user;
