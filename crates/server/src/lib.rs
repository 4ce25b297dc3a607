//! The program: everything that needs rules, panels and the database at once.
//!
//! | question | where |
//! |---|---|
//! | what can be asked for, one function each | [`ops`] |
//! | what runs by itself, and when | [`loops`] |
//! | how requests for keys are gathered and answered | [`intake`], [`gathered`], [`waiters`] |
//! | the programs' API, `/api/v1` | [`api`] |
//! | the Telegram bot's API | [`bot`] |
//! | the command line | [`cli`] |
//! | whether two nodes are one panel under two names | [`twins`] |
//! | settings | [`config`] |
//! | the data folder, the sealing key, opening the database | [`data`] |
//! | how the parts are put together | [`app`], [`serve`] |
//! | all of it with simulated panels, to look at (feature `demo`) | `demo` |

pub mod api;
pub mod app;
pub mod bot;
pub mod chance;
pub mod cli;
pub mod config;
pub mod data;
#[cfg(feature = "demo")]
pub mod demo;
pub mod gathered;
pub mod intake;
pub mod links;
pub mod loops;
pub mod ops;
pub mod panels;
pub mod serve;
pub mod twins;
pub mod waiters;
