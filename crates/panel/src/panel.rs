//! The client: one per node, long-lived, shared.

use crate::{
    access::{Access, AccessError},
    batch::Batch,
    family::Family,
    http::Http,
    session::Session,
    tls,
};
use std::{
    fmt,
    sync::{Arc, Mutex},
    time::SystemTime,
};

/// The time, passed in. Used for codes of the second factor and for how long a refused login is not repeated.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// One panel. Build it once per node and share it: it keeps the session, what it found out about the panel, and
/// the one turn that all writers of this panel take.
///
/// Every call ends within its deadline ([`crate::Deadlines`]) for each request that it takes. A call that is
/// dropped half-way leaves nothing behind that a repetition does not settle.
pub struct Panel {
    pub(crate) access: Access,
    pub(crate) http: Http,
    pub(crate) session: Session,
    /// What the panel is, once known.
    pub(crate) family: Mutex<Option<Family>>,
    /// Held while that is being found out.
    pub(crate) finding: tokio::sync::Mutex<()>,
    /// For hellos to the node's public ports.
    pub(crate) hello: Arc<rustls::ClientConfig>,
    /// Held by whoever writes clients, with the size of the next batch.
    pub(crate) writer: tokio::sync::Mutex<Batch>,
}

impl Panel {
    /// A client for a panel; nothing is sent yet. Fails when `access` cannot work whatever the panel says.
    pub fn new(access: Access, clock: Clock) -> Result<Self, AccessError> {
        let http = Http::new(&access)?;
        let session = Session::new(&access, clock);
        let hello = tls::trusting().map_err(AccessError::Client)?;
        Ok(Self {
            access,
            http,
            session,
            family: Mutex::default(),
            finding: tokio::sync::Mutex::default(),
            hello,
            writer: tokio::sync::Mutex::default(),
        })
    }

    /// Since when no login is tried, because the panel refused two of them: another process with the same credentials
    /// would do well to know ([`Panel::be_silent_since`]), for panels of generation 3 lock an address out after five.
    pub fn silent_since(&self) -> Option<SystemTime> {
        self.session.silent_since()
    }

    /// Tries no login for a quarter of an hour from this time on.
    pub fn be_silent_since(&self, at: SystemTime) {
        self.session.be_silent_since(at);
    }
}

impl fmt::Debug for Panel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panel").field("access", &self.access).finish_non_exhaustive()
    }
}
