//! Sessions: the cookie carries all of it, signed; the panel keeps nothing but the epoch that ends them.

use crate::{call::Call, three::Panel};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::RngCore;
use sha2::{Digest, Sha256};

/// The name of the cookie.
const COOKIE: &str = "3x-ui";
/// How long the browser keeps it, seconds: `sessionMaxAge`, six hours by default.
const MAX_AGE_S: i64 = 21_600;
/// How long the panel accepts a cookie that was kept: what its library does, whatever the settings say.
const ACCEPTED_MS: i64 = 30 * 86_400_000;

/// What a cookie says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Session {
    /// The token that goes with every unsafe call.
    pub(super) csrf: String,
    /// The epoch of the login; `None` for somebody who is not logged in.
    pub(super) login: Option<u64>,
}

impl Panel {
    /// The session of a caller, if his cookie is ours and not too old. The login in it may be of an epoch gone by.
    pub(super) fn session(&self, call: &Call, now_ms: i64) -> Option<Session> {
        let (body, signature) = call.cookie(COOKIE)?.split_once('.')?;
        if signature != self.signature(body) {
            return None;
        }
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        let mut parts = text.split('|');
        let csrf = parts.next()?.to_owned();
        let login = parts.next()?.parse().ok();
        let made_at_ms: i64 = parts.next()?.parse().ok()?;
        (now_ms - made_at_ms < ACCEPTED_MS).then_some(Session { csrf, login })
    }

    /// A session with a token of its own, for a caller who has none.
    pub(super) fn new_session(&mut self) -> Session {
        let mut token = [0; 32];
        self.rng.fill_bytes(&mut token);
        Session { csrf: URL_SAFE_NO_PAD.encode(token), login: None }
    }

    /// Whether the login is of this epoch.
    pub(super) fn is_logged_in(&self, session: &Session) -> bool {
        session.login == Some(self.epoch)
    }

    /// The header that gives a caller this session.
    pub(super) fn cookie(&self, session: &Session, now_ms: i64) -> String {
        let login = session.login.map(|epoch| epoch.to_string()).unwrap_or_default();
        let body = URL_SAFE_NO_PAD.encode(format!("{}|{login}|{now_ms}", session.csrf));
        let value = format!("{body}.{}", self.signature(&body));
        self.set_cookie(&value, now_ms / 1_000 + MAX_AGE_S, MAX_AGE_S)
    }

    /// The header that takes the session away.
    pub(super) fn no_cookie(&self) -> String {
        self.set_cookie("", 1, 0)
    }

    fn set_cookie(&self, value: &str, expires_s: i64, max_age_s: i64) -> String {
        let (path, expires) = (&self.base_path, http_date(expires_s));
        format!("{COOKIE}={value}; Path={path}; Expires={expires}; Max-Age={max_age_s}; HttpOnly; SameSite=Lax")
    }

    fn signature(&self, body: &str) -> String {
        hex::encode(Sha256::new().chain_update(self.secret).chain_update(body).finalize())
    }
}

/// A time as headers write it: `Thu, 01 Jan 1970 00:00:01 GMT`.
fn http_date(seconds: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, date) = civil(day);
    let word = |words: &[&'static str], at: i64| usize::try_from(at).ok().and_then(|at| words.get(at).copied());
    let weekday = word(&DAYS, day.rem_euclid(7)).unwrap_or_default();
    let month = word(&MONTHS, month - 1).unwrap_or_default();
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{weekday}, {date:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Year, month and day of a day since 1970, in eras of 400 years that begin in March.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, day_of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let date = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::http_date;

    #[test]
    fn dates_are_those_of_headers() {
        assert_eq!(http_date(1), "Thu, 01 Jan 1970 00:00:01 GMT");
        assert_eq!(http_date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(http_date(1_784_561_696), "Mon, 20 Jul 2026 15:34:56 GMT");
    }
}
