//! A panel of generation 2 (2.9.4): the client array inside an inbound's settings is the store.
//!
//! | question | file |
//! |---|---|
//! | which call is which | `route` |
//! | who may call | `auth` |
//! | what an inbound is, how it is stored and shown | `inbound`, `array` |
//! | what the calls on inbounds do | `inbounds` |
//! | how clients come and change | `clients`, `copy` |
//! | how they go | `deletion` |
//! | counters and limits | `rows`, `traffic` |
//! | what the panel does by itself | `poll` |
//! | how a test looks in and lends a hand | `hand` |
//! | how a body is read, how a call is refused | `body`, `refusal` |

mod array;
mod auth;
mod body;
mod clients;
mod copy;
mod deletion;
mod hand;
mod inbound;
mod inbounds;
mod poll;
mod refusal;
mod route;
mod rows;
mod traffic;

#[cfg(test)]
mod tests;

use crate::{
    call::{Call, Reply},
    machine::{Machine, running_config},
    setup::Setup,
};
use auth::Auth;
use axum::http::Method;
use inbound::Inbound;
use poll::Timers;
use rand::{SeedableRng, rngs::StdRng};
use refusal::{Refusal, wrong};
use route::{Api, Route};
use rows::Rows;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The whole panel. A clone is a backup.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    auth: Auth,
    rng: StdRng,
    machine: Machine,
    inbounds: BTreeMap<i64, Inbound>,
    last_inbound: i64,
    rows: Rows,
    timers: Timers,
    /// Bytes that went through xray since the last poll, up and down, by name.
    uncounted: BTreeMap<String, (i64, i64)>,
    /// Whose bytes the last poll counted.
    online: Vec<String>,
    /// While set, every write that would commit is refused: somebody else holds the database.
    pub(crate) locked: bool,
}

impl Panel {
    /// A fresh panel: no inbounds, no clients, nobody logged in.
    pub(crate) fn new(setup: &Setup, now_ms: i64) -> Self {
        Self {
            auth: Auth::new(setup, now_ms),
            rng: StdRng::seed_from_u64(setup.seed),
            machine: Machine::new(2, now_ms, setup.seed.wrapping_add(1)),
            inbounds: BTreeMap::new(),
            last_inbound: 0,
            rows: Rows::default(),
            timers: Timers::started_at(now_ms),
            uncounted: BTreeMap::new(),
            online: Vec::new(),
            locked: false,
        }
    }

    /// Answers one call and applies what it does.
    pub(crate) fn answer(&mut self, call: &Call, now_ms: i64) -> Reply {
        if let Some(path) = auth::renamed(&call.raw_path) {
            return moved(call, 301, &format!("{}{path}", self.auth.base_path));
        }
        let segments = call.route();
        match Route::of(&call.method, &segments) {
            Some(Route::Login) => self.auth.login(call, now_ms),
            Some(Route::Logout) => {
                let base_path = &self.auth.base_path;
                moved(call, 307, base_path).with_session(None, base_path, now_ms)
            }
            Some(Route::TwoFactor) => Reply::ok("", json!(self.auth.has_second_factor())),
            Some(Route::Root) if self.auth.knows(call, now_ms) => {
                moved(call, 307, &format!("{}panel/", self.auth.base_path))
            }
            Some(Route::Root) => page(),
            Some(Route::Page) if self.auth.knows(call, now_ms) => page(),
            Some(Route::Page) => self.expired(call),
            Some(Route::Api(api)) if self.auth.knows(call, now_ms) => {
                self.api(&api, call, now_ms).unwrap_or_else(|refusal| refusal.reply(call))
            }
            Some(Route::Api(_)) => Reply::empty(404),
            None => self.nowhere(call, &segments, now_ms),
        }
    }

    fn api(&mut self, api: &Api, call: &Call, now_ms: i64) -> Result<Reply, Refusal> {
        match *api {
            Api::List => Ok(Reply::ok("", self.list())),
            Api::Get(id) => self.get(id),
            Api::Add => self.add_by_call(call, now_ms),
            Api::Update(id) => self.update_inbound(id, call, now_ms),
            Api::SetEnable(id) => self.set_enable(id, call),
            Api::Delete(id) => self.delete_inbound_by_call(id),
            Api::Import => self.import(call, now_ms),
            Api::ResetAllTraffics => self.reset_inbounds(),
            Api::AddClient => self.add_clients(call, now_ms),
            Api::UpdateClient(key) => self.update_client(key, call, now_ms),
            Api::CopyClients(id) => self.copy_clients(id, call, now_ms),
            Api::DelClient(id, key) => self.delete_by_key(id, key),
            Api::DelClientByEmail(id, email) => self.delete_by_email(id, email),
            Api::DelDepleted(id) => self.delete_depleted(id, now_ms),
            Api::ClientTraffics(email) => self.traffics_of(email),
            Api::ClientTrafficsById(key) => Ok(self.traffics_by_id(key)),
            Api::ResetClientTraffic(id, email) => self.reset_client(id, email),
            Api::ResetAllClientTraffics(id) => self.reset_clients(id, now_ms),
            Api::UpdateClientTraffic(email) => self.set_traffic(email, call),
            Api::Onlines => Ok(self.onlines()),
            Api::LastOnline => Ok(self.last_online()),
            Api::ClientIps => Ok(Reply::ok("", json!("No IP Record"))),
            Api::ClearClientIps => Ok(Reply::ok("The log has been cleared.", Value::Null)),
            Api::Server(["getConfigJson"]) if call.method == Method::GET => {
                Ok(Reply::ok("", running_config(&self.running_inbounds())))
            }
            Api::Server(below) => Ok(self.server(call, below, now_ms)),
        }
    }

    fn server(&mut self, call: &Call, below_server: &[&str], now_ms: i64) -> Reply {
        let starts = self.machine.xray_starts();
        let reply = self.machine.answer(call, below_server, now_ms);
        if self.machine.xray_starts() > starts {
            self.timers.config_drifted = false;
        }
        reply.unwrap_or_else(|| Reply::empty(404))
    }

    /// What is said to a path that leads nowhere.
    fn nowhere(&self, call: &Call, segments: &[&str], now_ms: i64) -> Reply {
        if let [known @ .., ""] = segments
            && Route::of(&call.method, known).is_some()
        {
            let status = if call.method == Method::GET { 301 } else { 307 };
            let path = call.raw_path.trim_end_matches('/');
            return moved(call, status, &format!("{}{path}", self.auth.base_path));
        }
        let is_page = matches!(segments, ["panel", second, ..] if *second != "api");
        if is_page && !self.auth.knows(call, now_ms) { self.expired(call) } else { Reply::empty(404) }
    }

    /// What a caller without a session is told outside the API.
    fn expired(&self, call: &Call) -> Reply {
        if call.is_xhr() {
            let envelope = json!({
                "success": false,
                "msg": "Your session has expired, please log in again",
                "obj": null,
            });
            return Reply::json(401, &envelope);
        }
        moved(call, 307, &self.auth.base_path)
    }

    /// Refuses when the database is locked; asked where a write would commit.
    fn commit(&self) -> Result<(), Refusal> {
        if self.locked { Err(wrong("database is locked")) } else { Ok(()) }
    }
}

/// A redirect as Go writes it: with a link in it for those who only look.
fn moved(call: &Call, status: u16, location: &str) -> Reply {
    let mut reply = Reply::redirect(status, location);
    if call.method == Method::GET {
        let words = if status == 301 { "Moved Permanently" } else { "Temporary Redirect" };
        reply.headers.push(("content-type", "text/html; charset=utf-8".to_owned()));
        reply.body = format!("<a href=\"{location}\">{words}</a>.\n\n").into_bytes();
    }
    reply
}

/// One of the panel's pages, without what is on it.
fn page() -> Reply {
    let headers = vec![("content-type", "text/html; charset=utf-8".to_owned())];
    Reply { headers, body: b"<!DOCTYPE html><title>3x-ui</title>".to_vec(), ..Reply::empty(200) }
}
