//! Logging in and out, the second factor, and changing the credentials.

use crate::{
    call::{Call, Reply},
    three::{Asked, Panel, body, limiter},
};
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

/// Said of a wrong name, password or code alike, and to whoever is blocked.
const WRONG: &str = "Invalid username or password or two-factor code.";
/// What a failed change of the credentials begins with.
const NOT_CHANGED: &str = "An error occurred while changing administrator credentials.";
/// How long a code of the second factor lasts, seconds.
const STEP_S: i64 = 30;

/// What somebody logs in with.
#[derive(Debug, Clone)]
pub(super) struct Operator {
    pub(super) username: String,
    pub(super) password: String,
    /// Base32.
    pub(super) totp_secret: Option<String>,
}

impl Operator {
    fn is_right(&self, username: &str, password: &str, code: &str, now_ms: i64) -> bool {
        let known = self.username == username && self.password == password;
        known && self.totp_secret.as_ref().is_none_or(|secret| is_code(secret, code, now_ms))
    }
}

/// Whether this is the code of this step or one of its neighbours.
fn is_code(secret: &str, code: &str, now_ms: i64) -> bool {
    let Ok(secret) = Secret::try_from_base32(secret) else { return false };
    let codes = Builder::new().with_secret(secret).build_noncompliant();
    let second = now_ms / 1_000;
    let steps = [second - STEP_S, second, second + STEP_S].into_iter();
    steps.filter_map(|at| u64::try_from(at).ok()).any(|at| codes.generate(at).to_string() == code)
}

impl Panel {
    /// `GET csrf-token`: the token of the caller's session, which begins here if there is none.
    pub(super) fn csrf_token(&mut self, call: &Call, now_ms: i64) -> Reply {
        let answer = |csrf: &str| Reply::json(200, &json!({"success": true, "obj": csrf}));
        if let Some(session) = self.session(call, now_ms).filter(|session| !session.csrf.is_empty()) {
            return answer(&session.csrf);
        }
        let session = self.new_session();
        answer(&session.csrf).with_cookie(self.cookie(&session, now_ms))
    }

    /// Whether an unsafe call brings the token of its session.
    pub(super) fn has_csrf(&self, call: &Call, now_ms: i64) -> bool {
        let Some(session) = self.session(call, now_ms) else { return false };
        let header = call.header("x-csrf-token").map(str::to_owned);
        let is_form = call.header("content-type").is_some_and(|kind| kind.contains("form"));
        let field = || call.form().into_iter().find(|(name, _)| name == "_csrf").map(|(_, value)| value);
        let token = header.or_else(|| if is_form { field() } else { None });
        !session.csrf.is_empty() && token.as_deref() == Some(session.csrf.as_str())
    }

    /// `POST login`.
    pub(super) fn login(&mut self, call: &Call, now_ms: i64) -> Reply {
        let Ok(fields) = body::bind(call, "controller.LoginForm") else {
            return Reply::no("The input data format is invalid.");
        };
        let field = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let (username, password) = (field("username"), field("password"));
        if username.is_empty() {
            return Reply::no("Username is required");
        }
        if password.is_empty() {
            return Reply::no("Password is required");
        }
        let key = (limiter::address(call), username.to_lowercase());
        if self.limiter.is_blocked(&key, now_ms) {
            return Reply::no(WRONG);
        }
        if !self.operator.is_right(username, password, field("twoFactorCode"), now_ms) {
            self.limiter.failed(key, now_ms);
            return Reply::no(WRONG);
        }
        self.limiter.succeeded(&key);
        let mut session = self.session(call, now_ms).unwrap_or_default();
        session.login = Some(self.epoch);
        let cookie = self.cookie(&session, now_ms);
        Reply::ok("You have successfully logged into your account.", Value::Null).with_cookie(cookie)
    }

    /// `POST logout`: the caller loses his cookie; a copy of it goes on.
    pub(super) fn logout(&self) -> Reply {
        Reply::json(200, &json!({"success": true})).with_cookie(self.no_cookie())
    }

    pub(super) fn two_factor_enabled(&self) -> Reply {
        Reply::ok("", json!(self.operator.totp_secret.is_some()))
    }
}

/// Changes the credentials, which ends every session and switches the second factor off.
pub(super) fn update_user(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let fields = match body::bind(asked.call, "controller.updateUserForm") {
        Ok(fields) => fields,
        Err(error) => return Reply::failed(NOT_CHANGED, &error),
    };
    let field = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    if panel.operator.username != field("oldUsername") || panel.operator.password != field("oldPassword") {
        return Reply::failed(NOT_CHANGED, "The current username or password is invalid");
    }
    let (username, password) = (field("newUsername").to_owned(), field("newPassword").to_owned());
    if username.is_empty() || password.is_empty() {
        return Reply::failed(NOT_CHANGED, "The new username and password are empty");
    }
    panel.operator = Operator { username, password, totp_secret: None };
    panel.epoch += 1;
    let reply = Reply::ok("You have successfully changed the credentials of the administrator.", Value::Null);
    // The caller is given his session once more, with the login that has just ended.
    match panel.session(asked.call, asked.now_ms) {
        Some(session) => reply.with_cookie(panel.cookie(&session, asked.now_ms)),
        None => reply,
    }
}
