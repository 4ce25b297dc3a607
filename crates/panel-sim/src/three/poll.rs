//! What the panel does by itself: every five seconds it counts traffic and switches off whose quota or time is over.

use crate::three::{Panel, traffic::DAY_MS};
use serde_json::{Value, json};

/// The time between two polls.
const POLL_MS: i64 = 5_000;
/// How long somebody counts as online after his last traffic was counted.
const GRACE_MS: i64 = 20_000;

impl Panel {
    /// Does all that the panel did by itself until now. After a long time only the first poll, which counts the
    /// traffic, and the last, which finds whoever has expired, make a difference.
    pub(crate) fn pass_time(&mut self, now_ms: i64) {
        if now_ms < self.next_poll_ms {
            return;
        }
        let first_ms = self.next_poll_ms;
        let last_ms = now_ms - (now_ms - first_ms).rem_euclid(POLL_MS);
        self.poll(first_ms);
        if last_ms > first_ms {
            self.poll(last_ms);
        }
        self.next_poll_ms = last_ms + POLL_MS;
    }

    fn poll(&mut self, now_ms: i64) {
        self.online.retain(|_, seen_ms| now_ms - *seen_ms <= GRACE_MS);
        if self.locked {
            return;
        }
        self.count_traffic(now_ms);
        self.renew(now_ms);
        self.switch_off(now_ms);
    }

    /// Counts what went through xray. A stopped one tells nothing any more.
    fn count_traffic(&mut self, now_ms: i64) {
        let used = std::mem::take(&mut self.pending);
        if !self.machine.xray_is_running() {
            return;
        }
        for (email, (up, down)) in used {
            let Some(row) = self.store.rows.get_mut(&email) else { continue };
            row.up = row.up.saturating_add(up);
            row.down = row.down.saturating_add(down);
            row.last_online = now_ms;
            let waiting = row.expiry;
            self.online.insert(email.clone(), now_ms);
            let links = self.store.links(&email);
            if let Some(inbound) = links.first().and_then(|id| self.store.inbounds.get_mut(id)) {
                inbound.up = inbound.up.saturating_add(up);
                inbound.down = inbound.down.saturating_add(down);
            }
            if waiting < 0 {
                self.set_expiry(&email, now_ms - waiting);
            }
        }
    }

    /// Gives those who renew themselves their next period.
    fn renew(&mut self, now_ms: i64) {
        let rows = self.store.rows.values().filter(|row| row.reset > 0 && row.expiry > 0 && row.expiry <= now_ms);
        let due: Vec<(String, i64)> = rows
            .map(|row| {
                let period = row.reset.saturating_mul(DAY_MS);
                let periods = (now_ms - row.expiry) / period + 1;
                (row.email.clone(), row.expiry.saturating_add(periods.saturating_mul(period)))
            })
            .collect();
        for (email, expiry) in due {
            self.set_expiry(&email, expiry);
            self.readmit(&[email], now_ms);
        }
    }

    /// Writes a new end into row, record and arrays.
    fn set_expiry(&mut self, email: &str, expiry: i64) {
        if let Some(row) = self.store.rows.get_mut(email) {
            row.expiry = expiry;
        }
        for inbound in self.store.inbounds.values_mut() {
            if let Some(entry) = inbound.clients.get_mut(email) {
                entry.insert("expiryTime".into(), json!(expiry));
            }
        }
        self.store.alter(email, |client| client.expiry = expiry);
    }

    /// Switches off clients, and inbounds, whose quota or time is over.
    fn switch_off(&mut self, now_ms: i64) {
        let over = self.store.rows.values().filter(|row| row.enable && row.is_over(now_ms));
        let emails: Vec<String> = over.map(|row| row.email.clone()).collect();
        for email in &emails {
            if let Some(row) = self.store.rows.get_mut(email) {
                row.enable = false;
            }
            for inbound in self.store.inbounds.values_mut() {
                if let Some(entry) = inbound.clients.get_mut(email) {
                    entry.insert("enable".into(), Value::Bool(false));
                }
            }
            self.store.alter(email, |client| client.enable = false);
        }
        for inbound in self.store.inbounds.values_mut() {
            let depleted = inbound.total > 0 && inbound.up.saturating_add(inbound.down) >= inbound.total;
            if depleted || (inbound.expiry > 0 && inbound.expiry <= now_ms) {
                inbound.enable = false;
            }
        }
    }
}
