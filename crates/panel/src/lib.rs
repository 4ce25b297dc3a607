//! One 3x-ui panel over HTTP, whatever its generation.
//!
//! A [`Panel`] says what a panel is and does, and makes it hold the clients it should. It knows how panels of 2.7
//! to 3.x differ, how they fail, and how to find out what really happened when an answer got lost; so its callers
//! see one kind of panel. It does not know why a client should be there, nor which panel a user lives on.
//!
//! | question | file |
//! |---|---|
//! | what a call means and when it is repeated | `call` |
//! | login, tokens, sessions, when we stop trying | `session` |
//! | which generation a panel is | `family` |
//! | how clients come to be there, or to be gone | `ensure`, `remove` |
//! | one look at a node for its health | `check` |
//! | the calls that only 2.x or 3.x has | `two`, `three` |
//! | the panel's JSON | `wire` |

mod access;
mod batch;
mod call;
mod check;
mod ensure;
mod error;
mod examine;
mod family;
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod observe;
mod otp;
mod panel;
mod remove;
mod report;
mod seen;
mod session;
mod task;
mod three;
mod tls;
mod two;
mod wire;

pub use access::{Access, AccessError, Deadlines, Login, Tls};
pub use check::{Checked, Patience, PublicPort};
pub use error::{Cause, Layer, PanelError};
pub use examine::{Credential, Examination, InboundFound, Step, TlsFound};
pub use panel::{Clock, Panel};
pub use report::{Ensured, Generation, Observation, Outcome, Removed, Status, Version, Xray, XrayState};
pub use seen::Seen;
pub use two::PLACEHOLDER;
