//! The server below the panel: its status, its xray, and what generates keys. The same for both generations but for
//! a few fields.

use crate::call::{Call, Reply};
use axum::http::Method;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use uuid::Uuid;

/// Bytes in a gibibyte.
const GIB: u64 = 1 << 30;

/// How xray fares.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Xray {
    Running,
    Stopped,
    /// It went down by itself, with these last words.
    Failed(String),
}

/// One server with one panel and one xray on it.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    generation: u8,
    rng: StdRng,
    booted_at_ms: i64,
    panel_guid: Uuid,
    xray: Xray,
    xray_started_at_ms: i64,
    xray_starts: u64,
    /// Processor load in percent.
    pub(crate) cpu: f64,
    /// Memory in use, bytes.
    pub(crate) mem_used: u64,
    /// Memory there is, bytes.
    pub(crate) mem_total: u64,
    /// Until then the status is null: the panel looks for its public address first.
    pub(crate) ready_at_ms: i64,
    /// Whether that search takes its time at each start of the panel, as it does without Internet.
    pub(crate) slow_start: bool,
}

impl Machine {
    /// A server whose panel is of generation 2 or 3, running, with a status at once.
    pub(crate) fn new(generation: u8, now_ms: i64, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        Self {
            generation,
            booted_at_ms: now_ms - 86_400_000,
            panel_guid: random_uuid(&mut rng),
            rng,
            xray: Xray::Running,
            xray_started_at_ms: now_ms,
            xray_starts: 1,
            cpu: 4.5,
            mem_used: GIB / 2,
            mem_total: 2 * GIB,
            ready_at_ms: now_ms,
            slow_start: false,
        }
    }

    /// The panel's process starts anew, and its xray with it.
    pub(crate) fn start(&mut self, now_ms: i64) {
        let search_ms = match (self.slow_start, self.generation) {
            (false, _) => 0,
            (true, 2) => 10_000,
            (true, _) => 35_000,
        };
        self.ready_at_ms = now_ms + search_ms;
        self.start_xray(now_ms);
    }

    pub(crate) fn xray_is_running(&self) -> bool {
        self.xray == Xray::Running
    }

    /// What happens to xray from outside: `running`, `stop`, or the words of a crash.
    pub(crate) fn set_xray(&mut self, state: &str) {
        self.xray = match state {
            "running" => Xray::Running,
            "stop" => Xray::Stopped,
            words => Xray::Failed(words.to_owned()),
        };
    }

    /// A full start: whatever was connected before is not any more.
    pub(crate) fn start_xray(&mut self, now_ms: i64) {
        self.xray = Xray::Running;
        self.xray_started_at_ms = now_ms;
        self.xray_starts += 1;
    }

    pub(crate) fn stop_xray(&mut self) {
        self.xray = Xray::Stopped;
    }

    /// How often xray was started: every start drops all connections.
    pub(crate) fn xray_starts(&self) -> u64 {
        self.xray_starts
    }

    /// The status object; null for as long as the panel has none.
    pub(crate) fn status(&self, now_ms: i64) -> Value {
        if now_ms < self.ready_at_ms {
            return Value::Null;
        }
        let mut status = self.status_of_both(now_ms);
        if self.generation >= 3 {
            status["diskIO"] = json!({"read": 0, "write": 0});
            status["diskTraffic"] = json!({"read": 1_048_576, "write": 4_194_304});
            status["panelVersion"] = json!("3.6.0");
            status["panelGuid"] = json!(self.panel_guid);
            for (field, counts) in [("netIO", ["pktUp", "pktDown"]), ("netTraffic", ["pktSent", "pktRecv"])] {
                for count in counts {
                    status[field][count] = json!(0);
                }
            }
        }
        status
    }

    /// The fields that both generations have.
    fn status_of_both(&self, now_ms: i64) -> Value {
        // The panel takes a new snapshot every two seconds, so no number changes more often.
        let now_ms = now_ms - now_ms.rem_euclid(2_000);
        let xray_uptime = if self.xray_is_running() { seconds(now_ms - self.xray_started_at_ms) } else { 0 };
        json!({
            "cpu": self.cpu,
            "cpuCores": 2,
            "logicalPro": 2,
            "cpuSpeedMhz": 2400.0,
            "mem": {"current": self.mem_used, "total": self.mem_total},
            "swap": {"current": 0, "total": 0},
            "disk": {"current": 4 * GIB, "total": 40 * GIB},
            "xray": self.xray_state(),
            "uptime": seconds(now_ms - self.booted_at_ms),
            "loads": [0.05, 0.1, 0.1],
            "tcpCount": 12,
            "udpCount": 3,
            "netIO": {"up": 0, "down": 0},
            "netTraffic": {"sent": 1_048_576, "recv": 1_048_576},
            "publicIP": {"ipv4": "203.0.113.5", "ipv6": "N/A"},
            "appStats": {"threads": 12, "mem": 60_000_000, "uptime": xray_uptime},
        })
    }

    fn xray_state(&self) -> Value {
        let version = if self.generation >= 3 { "26.7.11" } else { "25.10.15" };
        let (state, error) = match &self.xray {
            Xray::Running => ("running", ""),
            Xray::Stopped => ("stop", ""),
            Xray::Failed(words) => ("error", words.as_str()),
        };
        json!({"state": state, "errorMsg": error, "version": version})
    }

    /// Answers what lies under `panel/api/server/`; `below_server` is the rest of the path. `None`: there is no such.
    pub(crate) fn answer(&mut self, call: &Call, below_server: &[&str], now_ms: i64) -> Option<Reply> {
        match call.method {
            Method::GET => self.look(below_server, now_ms),
            Method::POST => self.act(below_server, now_ms),
            _ => None,
        }
    }

    fn look(&mut self, below_server: &[&str], now_ms: i64) -> Option<Reply> {
        let obj = match below_server {
            ["status"] => self.status(now_ms),
            ["getNewUUID"] => json!({"uuid": random_uuid(&mut self.rng)}),
            ["getNewX25519Cert"] => json!({"privateKey": self.random_key(), "publicKey": self.random_key()}),
            ["getNewmldsa65"] => json!({"seed": self.random_key(), "verify": self.random_key()}),
            ["getNewmlkem768"] => json!({"seed": self.random_key(), "client": self.random_key()}),
            ["getConfigJson"] => running_config(&json!([])),
            ["getXrayVersion"] => json!(["v26.7.11", "v25.10.15"]),
            ["cpuHistory", _] => json!([]),
            ["getDb"] => return Some(backup()),
            _ => return None,
        };
        Some(Reply::ok("", obj))
    }

    fn act(&mut self, below_server: &[&str], now_ms: i64) -> Option<Reply> {
        let reply = match below_server {
            ["restartXrayService"] => {
                self.start_xray(now_ms);
                Reply::ok("Xray has been successfully relaunched.", Value::Null)
            }
            ["stopXrayService"] if self.xray_is_running() => {
                self.stop_xray();
                Reply::ok("Xray has been successfully stopped.", Value::Null)
            }
            ["stopXrayService"] => Reply::failed("There was an error when stopping the Xray.", "xray is not running"),
            ["logs" | "xraylogs", _] => Reply::ok("", json!([])),
            _ => return None,
        };
        Some(reply)
    }

    /// 32 random bytes as keys are written. Nobody encrypts here, so the halves of a pair need not fit each other.
    fn random_key(&mut self) -> String {
        let mut key = [0; 32];
        self.rng.fill_bytes(&mut key);
        URL_SAFE_NO_PAD.encode(key)
    }
}

/// The configuration xray runs with, around its inbounds.
pub(crate) fn running_config(inbounds: &Value) -> Value {
    json!({
        "log": {"loglevel": "warning"},
        "api": {"services": ["HandlerService", "LoggerService", "StatsService"], "tag": "api"},
        "inbounds": inbounds,
        "outbounds": [{"protocol": "freedom", "tag": "direct"}, {"protocol": "blackhole", "tag": "blocked"}],
        "policy": {"levels": {"0": {"statsUserDownlink": true, "statsUserUplink": true}}},
        "routing": {"rules": [{"inboundTag": ["api"], "outboundTag": "api", "type": "field"}]},
        "stats": {},
    })
}

/// A UUID as Go's library makes them.
pub(crate) fn random_uuid(rng: &mut StdRng) -> Uuid {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// The database as a file: enough of one to tell it from an answer in JSON.
fn backup() -> Reply {
    let mut reply = Reply::bytes(b"SQLite format 3\0".to_vec());
    reply.headers.push(("content-disposition", "attachment; filename=x-ui.db".to_owned()));
    reply
}

fn seconds(ms: i64) -> i64 {
    ms.max(0) / 1_000
}
