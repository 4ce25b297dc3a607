//! Who failed to log in too often. In memory: gone when the panel starts anew.

use crate::call::Call;
use std::collections::BTreeMap;

/// So many failures …
const FAILURES: usize = 5;
/// … within this time …
const WITHIN_MS: i64 = 5 * 60_000;
/// … block for this time.
const BLOCKED_MS: i64 = 15 * 60_000;

/// An address and a name in lower case.
pub(super) type Key = (String, String);

/// What is known of failures, by who made them.
#[derive(Debug, Clone, Default)]
pub(super) struct Limiter {
    attempts: BTreeMap<Key, Attempts>,
}

#[derive(Debug, Clone, Default)]
struct Attempts {
    failed_at_ms: Vec<i64>,
    blocked_until_ms: i64,
}

impl Limiter {
    pub(super) fn is_blocked(&self, key: &Key, now_ms: i64) -> bool {
        self.attempts.get(key).is_some_and(|attempts| now_ms < attempts.blocked_until_ms)
    }

    pub(super) fn failed(&mut self, key: Key, now_ms: i64) {
        let attempts = self.attempts.entry(key).or_default();
        attempts.failed_at_ms.retain(|at| now_ms - at < WITHIN_MS);
        attempts.failed_at_ms.push(now_ms);
        if attempts.failed_at_ms.len() >= FAILURES {
            attempts.failed_at_ms.clear();
            attempts.blocked_until_ms = now_ms + BLOCKED_MS;
        }
    }

    pub(super) fn succeeded(&mut self, key: &Key) {
        self.attempts.remove(key);
    }
}

/// Where a call comes from: what a proxy says is believed if the proxy is on the same machine.
pub(super) fn address(call: &Call) -> String {
    let told = || call.header("x-real-ip").or_else(|| call.header("x-forwarded-for")?.split(',').next());
    match told() {
        Some(address) if call.peer.is_loopback() => address.trim().to_owned(),
        Some(_) | None => call.peer.to_string(),
    }
}
