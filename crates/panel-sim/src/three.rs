//! A panel of generation 3 (3.6.0): clients are records, linked to inbounds.
//!
//! | question | file |
//! |---|---|
//! | who calls, and may he | `session`, `login`, `limiter`, `tokens`, and here |
//! | which path is answered by what | `route` |
//! | what a body says, what is said of a bad one | `body`, `draft` |
//! | inbounds | `inbounds` (calls), `install` (writing), `inbound` (one), `entry` (its client array) |
//! | clients | `clients`, `page` (reading), `add`, `change` (writing), `batch`, `bulk`, `adjust` (many) |
//! | the tables | `store`, `client`, `traffic` |
//! | what it does by itself | `poll` |
//! | what a test does to it | `hand` |

mod add;
mod adjust;
mod batch;
mod body;
mod bulk;
mod change;
mod client;
mod clients;
mod draft;
mod entry;
mod hand;
mod inbound;
mod inbounds;
mod install;
mod limiter;
mod login;
mod page;
mod poll;
mod route;
mod session;
mod store;
#[cfg(test)]
mod tests;
mod tokens;
mod traffic;

use crate::{
    call::{Call, Reply},
    machine::Machine,
    setup::Setup,
};
use axum::http::Method;
use login::Operator;
use rand::{RngCore, SeedableRng, rngs::StdRng};
use serde_json::Value;
use session::Session;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What almost every refusal begins with.
const FAILED: &str = "Something went wrong";
/// When a panel that has just started polls for the first time.
const POLL_AFTER_START_MS: i64 = 5_000;
/// What the panel says it can do to other panels.
const CAPS: (&str, &str) = ("x-3x-node-caps", "config-zstd");

/// The whole panel. A clone is a backup.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    /// While set, every write is refused with "database is locked" and changes nothing.
    pub(crate) locked: bool,
    base_path: String,
    rng: StdRng,
    machine: Machine,
    /// The identity of the panel, as the status has it.
    guid: Value,
    store: store::Store,
    operator: Operator,
    /// What cookies are signed with.
    secret: [u8; 32],
    /// Sessions of another epoch have ended.
    epoch: u64,
    limiter: limiter::Limiter,
    tokens: Vec<tokens::Token>,
    last_token: i64,
    /// Bytes that went through xray since the last poll.
    pending: BTreeMap<String, (i64, i64)>,
    /// Who is online, and when the last traffic was counted.
    online: BTreeMap<String, i64>,
    next_poll_ms: i64,
}

/// A call below `panel/api/` that was let in.
#[derive(Debug)]
struct Asked<'a> {
    call: &'a Call,
    /// The segment of the path that says which inbound, client or token.
    name: &'a str,
    now_ms: i64,
}

impl Asked<'_> {
    /// The name as a number. `Err` is what Go says.
    fn id(&self) -> Result<i64, String> {
        self.name.parse().map_err(|_| format!("strconv.Atoi: parsing {:?}: invalid syntax", self.name))
    }
}

impl Panel {
    /// A fresh panel, as it is right after its installation.
    pub(crate) fn new(setup: &Setup, now_ms: i64) -> Self {
        let mut rng = StdRng::seed_from_u64(setup.seed);
        let machine = Machine::new(3, now_ms, rng.next_u64());
        // A panel installed anew has another secret, whatever its seed: cookies of the old one are worth nothing.
        let secret = Sha256::new().chain_update(rng.next_u64().to_le_bytes()).chain_update(now_ms.to_le_bytes());
        let operator = Operator {
            username: setup.username.clone(),
            password: setup.password.clone(),
            totp_secret: setup.totp_secret.clone(),
        };
        Self {
            locked: false,
            base_path: setup.base_path.clone(),
            rng,
            guid: machine.status(machine.ready_at_ms)["panelGuid"].clone(),
            machine,
            store: store::Store::default(),
            operator,
            secret: secret.finalize().into(),
            epoch: 1,
            limiter: limiter::Limiter::default(),
            tokens: Vec::new(),
            last_token: 0,
            pending: BTreeMap::new(),
            online: BTreeMap::new(),
            next_poll_ms: now_ms + POLL_AFTER_START_MS,
        }
    }

    /// Answers one call and applies what it does.
    pub(crate) fn answer(&mut self, call: &Call, now_ms: i64) -> Reply {
        let path = call.route();
        match (&call.method, path.as_slice()) {
            (&Method::GET, ["csrf-token"]) => self.csrf_token(call, now_ms),
            (&Method::POST, ["login" | "logout" | "getTwoFactorEnable"]) if !self.has_csrf(call, now_ms) => {
                Reply::empty(403)
            }
            (&Method::POST, ["login"]) => self.login(call, now_ms),
            (&Method::POST, ["logout"]) => self.logout(),
            (&Method::POST, ["getTwoFactorEnable"]) => self.two_factor_enabled(),
            (_, ["panel", "api", below @ ..]) => self.api(call, below, now_ms),
            (&Method::GET, [""] | ["panel", ..]) => self.page(call, &path, now_ms),
            _ => Reply::empty(404),
        }
    }

    /// The pages, of which there is next to nothing here.
    fn page(&mut self, call: &Call, path: &[&str], now_ms: i64) -> Reply {
        let session = self.session(call, now_ms);
        let logged_in = session.is_some_and(|session| self.is_logged_in(&session));
        match (path, logged_in) {
            ([""], true) => Reply::redirect(307, &format!("{}panel/", self.base_path)),
            (["panel", "csrf-token"], true) => self.csrf_token(call, now_ms),
            ([""], false) | (_, true) => page("3x-ui"),
            (_, false) if call.is_xhr() => {
                let words = "Your session has expired, please log in again";
                Reply { status: axum::http::StatusCode::UNAUTHORIZED, ..Reply::no(words) }
            }
            (_, false) => Reply::redirect(307, &self.base_path),
        }
    }

    /// What lies below `panel/api/`. First whether there is such a path, then who calls, then his CSRF token.
    fn api(&mut self, call: &Call, below: &[&str], now_ms: i64) -> Reply {
        let route = route::find(&call.method, below);
        let below_server = below.strip_prefix(&["server"]);
        if route.is_none() && below_server.is_none() {
            return self.without_slash(call, below);
        }
        if let Err(refusal) = self.admit(call, now_ms) {
            return refusal;
        }
        let reply = match (route, below_server) {
            (Some(route), _) if route.writes && self.locked => Reply::failed(FAILED, "database is locked"),
            (Some(route), _) => (route.handler)(self, &Asked { call, name: route.name, now_ms }),
            (None, Some(below)) => self.server(call, below, now_ms),
            (None, None) => Reply::empty(404),
        };
        with_caps(reply)
    }

    fn server(&mut self, call: &Call, below: &[&str], now_ms: i64) -> Reply {
        if matches!(below, ["restartXrayService" | "stopXrayService"]) {
            // A process that ends takes with it what was not yet counted.
            self.pending.clear();
        }
        self.machine.answer(call, below, now_ms).unwrap_or_else(|| Reply::empty(404))
    }

    /// Lets a caller in: by token, or by session and, if the call is unsafe, CSRF token. `Err` is the answer to others.
    fn admit(&mut self, call: &Call, now_ms: i64) -> Result<(), Reply> {
        let bearer = call.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if bearer.is_some_and(|token| self.is_token(token)) {
            return Ok(());
        }
        let session = self.session(call, now_ms);
        match session {
            Some(session) if self.is_logged_in(&session) => {
                let is_safe = matches!(call.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
                if is_safe || self.has_csrf(call, now_ms) { Ok(()) } else { Err(Reply::empty(403)) }
            }
            stale => Err(self.unauthorized(call, stale, now_ms)),
        }
    }

    /// What somebody sees who is not logged in. Whose login has ended is given his session without it.
    fn unauthorized(&self, call: &Call, stale: Option<Session>, now_ms: i64) -> Reply {
        let reply = Reply::empty(if call.is_xhr() { 401 } else { 404 });
        match stale {
            Some(session) if session.login.is_some() => {
                reply.with_cookie(self.cookie(&Session { login: None, ..session }, now_ms))
            }
            Some(_) | None => reply,
        }
    }

    /// A path with a slash too many leads to the one without; any other is not there.
    fn without_slash(&self, call: &Call, below: &[&str]) -> Reply {
        let known = match below {
            [path @ .., ""] => route::find(&call.method, path).is_some(),
            _ => false,
        };
        if !known {
            return Reply::empty(404);
        }
        let status = if call.method == Method::GET { 301 } else { 307 };
        let path = call.raw_path.split('?').next().unwrap_or_default().trim_end_matches('/');
        Reply::redirect(status, &format!("{}{path}", self.base_path))
    }
}

fn with_caps(mut reply: Reply) -> Reply {
    reply.headers.push((CAPS.0, CAPS.1.to_owned()));
    reply
}

/// A page with next to nothing on it.
fn page(title: &str) -> Reply {
    let headers = vec![("content-type", "text/html; charset=utf-8".to_owned())];
    Reply { headers, body: format!("<!DOCTYPE html><title>{title}</title>").into_bytes(), ..Reply::empty(200) }
}
