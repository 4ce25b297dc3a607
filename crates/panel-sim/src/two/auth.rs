//! Who may call: logging in, the session in the cookie, and the prefixes of older versions.

use crate::{
    call::{Call, Reply},
    setup::Setup,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use serde_json::Value;
use sha2::{Digest, Sha256};
use totp_rs::{Builder, Secret};

/// How old a signed session may be: the browser's own limit is shorter, and the panel does not check it.
const SESSION_LIFE_MS: i64 = 30 * 86_400_000;

/// The operator and the sessions. A session is not stored: its cookie carries it, signed.
#[derive(Debug, Clone)]
pub(super) struct Auth {
    pub(super) username: String,
    pub(super) password: String,
    pub(super) base_path: String,
    totp_secret: Option<String>,
    rng: StdRng,
    /// What cookies are signed with: another one ends all sessions.
    signing_key: Vec<u8>,
}

impl Auth {
    pub(super) fn new(setup: &Setup, now_ms: i64) -> Self {
        let mut auth = Self {
            username: setup.username.clone(),
            password: setup.password.clone(),
            base_path: setup.base_path.clone(),
            totp_secret: setup.totp_secret.clone(),
            rng: StdRng::seed_from_u64(setup.seed ^ now_ms.unsigned_abs()),
            signing_key: Vec::new(),
        };
        auth.end_sessions();
        auth
    }

    pub(super) fn end_sessions(&mut self) {
        let mut key = vec![0; 32];
        self.rng.fill_bytes(&mut key);
        self.signing_key = key;
    }

    pub(super) fn has_second_factor(&self) -> bool {
        self.totp_secret.is_some()
    }

    pub(super) fn login(&mut self, call: &Call, now_ms: i64) -> Reply {
        let Ok(form) = call.bind() else {
            return Reply::no("The Input data format is invalid.");
        };
        let field = |name: &str| form.get(name).and_then(Value::as_str).unwrap_or_default();
        let (username, password) = (field("username"), field("password"));
        if username.is_empty() {
            return Reply::no("Username is required");
        }
        if password.is_empty() {
            return Reply::no("Password is required");
        }
        let known = username == self.username && password == self.password;
        if !known || !self.accepts_code(field("twoFactorCode"), now_ms) {
            return Reply::no("Invalid username or password or two-factor code.");
        }
        let session = self.session(now_ms);
        Reply::ok(" You have successfully logged into your account.", Value::Null).with_session(
            Some(&session),
            &self.base_path,
            now_ms,
        )
    }

    /// Whether this is the code of the current half minute, or none is asked for.
    fn accepts_code(&self, code: &str, now_ms: i64) -> bool {
        let Some(secret) = &self.totp_secret else {
            return true;
        };
        let Ok(secret) = Secret::try_from_base32(secret) else {
            return false;
        };
        let seconds = u64::try_from(now_ms / 1_000).unwrap_or_default();
        Builder::new().with_secret(secret).build_noncompliant().generate(seconds).to_string() == code
    }

    /// Whether the call comes with a session.
    pub(super) fn knows(&self, call: &Call, now_ms: i64) -> bool {
        let Some((session, signature)) = call.cookie("3x-ui").and_then(|cookie| cookie.rsplit_once('.')) else {
            return false;
        };
        let begun = session.split_once('.').and_then(|(begun, _)| begun.parse::<i64>().ok());
        let is_young = begun.is_some_and(|begun| now_ms - begun < SESSION_LIFE_MS);
        is_young && self.signature(session) == signature
    }

    /// A new session: when it began, something of its own, and a signature over both.
    fn session(&mut self, now_ms: i64) -> String {
        let session = format!("{now_ms}.{:016x}", self.rng.next_u64());
        let signature = self.signature(&session);
        format!("{session}.{signature}")
    }

    fn signature(&self, session: &str) -> String {
        let digest = Sha256::new().chain_update(&self.signing_key).chain_update(session).finalize();
        URL_SAFE_NO_PAD.encode(digest)
    }
}

/// Where a path of an older version has gone.
pub(super) fn renamed(path: &str) -> Option<String> {
    let (old, new) = [("panel/API", "panel/api"), ("xui/API", "panel/api"), ("xui", "panel")]
        .into_iter()
        .find(|(old, _)| path.strip_prefix(old).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))?;
    Some(format!("{new}{}", &path[old.len()..]))
}
