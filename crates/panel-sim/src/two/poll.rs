//! What the panel does by itself: it counts traffic and acts on limits every ten seconds, and looks every thirty
//! seconds whether somebody asked for a restart of xray.

use super::{Panel, array::int};
use serde_json::json;
use std::mem;

const POLL_MS: i64 = 10_000;
const RESTART_CHECK_MS: i64 = 30_000;
const DAY_MS: i64 = 86_400_000;

/// How many polls one jump of the clock may take; what is left then happens in one.
const MOST_POLLS: u32 = 100;

/// When the panel acts next, and what is left for then.
#[derive(Debug, Clone)]
pub(super) struct Timers {
    next_poll_ms: i64,
    next_restart_check_ms: i64,
    /// Whether a restart is asked for: it happens if xray is down or its configuration is another by now.
    pub(super) restart_asked: bool,
    /// Whether the stored configuration differs from the running one.
    pub(super) config_drifted: bool,
}

impl Timers {
    pub(super) fn started_at(now_ms: i64) -> Self {
        Self {
            next_poll_ms: now_ms + POLL_MS,
            next_restart_check_ms: now_ms + RESTART_CHECK_MS,
            restart_asked: false,
            config_drifted: false,
        }
    }

    /// Skips what comes before this time, as nothing would happen then.
    fn skip_to(&mut self, time_ms: i64) {
        let skip = |next: &mut i64, period: i64| {
            let missing = time_ms.saturating_sub(*next).max(0);
            *next += missing.div_euclid(period) * period + if missing % period > 0 { period } else { 0 };
        };
        skip(&mut self.next_poll_ms, POLL_MS);
        skip(&mut self.next_restart_check_ms, RESTART_CHECK_MS);
    }
}

impl Panel {
    /// Does all that was due until now, in its order.
    pub(crate) fn pass_time(&mut self, now_ms: i64) {
        let mut polls = 0;
        loop {
            let (poll, check) = (self.timers.next_poll_ms, self.timers.next_restart_check_ms);
            if poll.min(check) > now_ms {
                return;
            }
            if check < poll {
                self.timers.next_restart_check_ms += RESTART_CHECK_MS;
                self.check_restart(check);
            } else {
                self.timers.next_poll_ms += POLL_MS;
                self.poll(poll);
                polls += 1;
            }
            let idle_until = if polls < MOST_POLLS { self.idle_until(now_ms) } else { now_ms - POLL_MS };
            self.timers.skip_to(idle_until);
        }
    }

    /// Until when nothing will happen by itself, at most a moment from now.
    fn idle_until(&self, now_ms: i64) -> i64 {
        let has_work = !self.uncounted.is_empty() || !self.online.is_empty();
        if self.timers.restart_asked || (has_work && self.machine.xray_is_running()) {
            return i64::MIN;
        }
        if !self.machine.xray_is_running() {
            return now_ms + 1;
        }
        let rows = self.rows.iter().filter(|row| row.enable || (row.reset > 0 && row.expiry_time > 0));
        let rows = rows.map(|row| match (row.is_depleted(now_ms), row.expiry_time) {
            (false, _) => i64::MAX,
            (true, expiry @ 1..) if !row.enable || row.total <= 0 || row.up + row.down < row.total => expiry,
            (true, _) => i64::MIN,
        });
        let inbounds = self.inbounds.values().filter(|inbound| inbound.enable && inbound.is_depleted(now_ms));
        let inbounds = inbounds.map(|_| i64::MIN);
        rows.chain(inbounds).min().unwrap_or(i64::MAX).min(now_ms + 1)
    }

    /// A restart that was asked for. Xray goes on when nothing would be different.
    fn check_restart(&mut self, at_ms: i64) {
        let asked = mem::take(&mut self.timers.restart_asked);
        if asked && (self.timers.config_drifted || !self.machine.xray_is_running()) {
            self.restart_xray(at_ms);
        }
    }

    fn restart_xray(&mut self, at_ms: i64) {
        self.machine.start_xray(at_ms);
        self.timers.config_drifted = false;
    }

    /// One poll: without xray there is nothing to ask.
    fn poll(&mut self, at_ms: i64) {
        if !self.machine.xray_is_running() {
            self.online.clear();
            return;
        }
        self.count_traffic(at_ms);
        self.renew(at_ms);
        self.disable_inbounds(at_ms);
        self.disable_clients(at_ms);
    }

    /// Takes what went through xray into the books; whoever has no row is not counted.
    fn count_traffic(&mut self, at_ms: i64) {
        self.online.clear();
        for (email, (up, down)) in mem::take(&mut self.uncounted) {
            let Some(row) = self.rows.get_mut(&email) else {
                continue;
            };
            row.up += up;
            row.down += down;
            row.all_time += up + down;
            row.last_online = at_ms;
            let starts = row.expiry_time < 0;
            if starts {
                // A validity that begins with the first use, kept as its length below zero.
                row.expiry_time = at_ms - row.expiry_time;
            }
            if let Some(inbound) = self.inbounds.get_mut(&row.inbound) {
                inbound.up += up;
                inbound.down += down;
                inbound.all_time += up + down;
                let array = &mut inbound.settings.clients;
                if starts && array.get(&email).is_some_and(|client| int(client, "expiryTime") < 0) {
                    array.set(&email, vec![("expiryTime", json!(row.expiry_time)), ("updated_at", json!(at_ms))]);
                }
            }
            self.online.push(email);
        }
    }

    /// Clients with a period get a new one when the old one is over, with counters at zero.
    fn renew(&mut self, at_ms: i64) {
        for row in self.rows.iter_mut().filter(|row| row.reset > 0 && row.is_expired(at_ms)) {
            let period_ms = row.reset.saturating_mul(DAY_MS);
            let periods = (at_ms - row.expiry_time) / period_ms + 1;
            row.expiry_time = row.expiry_time.saturating_add(periods.saturating_mul(period_ms));
            row.reset_counters();
            if let Some(inbound) = self.inbounds.get_mut(&row.inbound) {
                let renewed = [("expiryTime", json!(row.expiry_time)), ("enable", json!(true))];
                let fields = renewed.into_iter().chain([("updated_at", json!(at_ms))]).collect();
                inbound.settings.clients.set(&row.email, fields);
            }
        }
    }

    fn disable_inbounds(&mut self, at_ms: i64) {
        for inbound in self.inbounds.values_mut().filter(|inbound| inbound.is_depleted(at_ms)) {
            inbound.enable = false;
        }
    }

    /// Clients over a limit are switched off, in the books and in the array, and xray is restarted for it.
    fn disable_clients(&mut self, at_ms: i64) {
        let mut has_disabled = false;
        for row in self.rows.iter_mut().filter(|row| row.enable && row.is_depleted(at_ms)) {
            row.enable = false;
            has_disabled = true;
            if let Some(inbound) = self.inbounds.get_mut(&row.inbound) {
                let fields = vec![("enable", json!(false)), ("updated_at", json!(at_ms))];
                inbound.settings.clients.set(&row.email, fields);
            }
        }
        if has_disabled {
            self.restart_xray(at_ms);
        }
    }
}
