//! API tokens: names, and hashes of texts that are shown once.

use crate::{
    call::Reply,
    three::{Asked, Panel, body},
};
use rand::{Rng, distr::Alphanumeric};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How long the text of a token is.
const LENGTH: usize = 48;
/// The longest name.
const LONGEST_NAME: usize = 64;
/// What every answer here begins with, good or bad.
const CHANGED: &str = "The parameters have been changed.";

/// One token.
#[derive(Debug, Clone)]
pub(super) struct Token {
    id: i64,
    name: String,
    hash: String,
    enabled: bool,
    created_at_s: i64,
}

impl Token {
    fn json(&self) -> Value {
        json!({"id": self.id, "name": self.name, "enabled": self.enabled, "createdAt": self.created_at_s})
    }
}

impl Panel {
    /// Makes a token and gives its text.
    pub(super) fn make_token(&mut self, name: &str, now_ms: i64) -> String {
        let text: String = (0..LENGTH).map(|_| char::from(self.rng.sample(Alphanumeric))).collect();
        self.last_token += 1;
        let (id, hash, created_at_s) = (self.last_token, hash(&text), now_ms / 1_000);
        self.tokens.push(Token { id, name: name.to_owned(), hash, enabled: true, created_at_s });
        text
    }

    /// Whether a call may be made with this text.
    pub(super) fn is_token(&self, text: &str) -> bool {
        let hash = hash(text);
        self.tokens.iter().any(|token| token.enabled && token.hash == hash)
    }
}

fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

pub(super) fn list(panel: &mut Panel, _: &Asked<'_>) -> Reply {
    Reply::ok("", panel.tokens.iter().map(Token::json).collect())
}

pub(super) fn create(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let fields = match body::bind(asked.call, "controller.apiTokenCreateForm") {
        Ok(fields) => fields,
        Err(error) => return Reply::failed(CHANGED, &error),
    };
    let name = fields.get("name").and_then(Value::as_str).unwrap_or_default().trim();
    if name.is_empty() {
        return Reply::failed(CHANGED, "token name is required\n");
    }
    if name.chars().count() > LONGEST_NAME {
        return Reply::failed(CHANGED, "token name must be 64 characters or fewer\n");
    }
    if panel.tokens.iter().any(|token| token.name == name) {
        return Reply::failed(CHANGED, "a token with that name already exists\n");
    }
    let text = panel.make_token(name, asked.now_ms);
    let mut shown = panel.tokens.last().map(Token::json).unwrap_or_default();
    shown["token"] = json!(text);
    Reply::ok("", shown)
}

pub(super) fn set_enabled(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let fields = match body::bind(asked.call, "controller.apiTokenEnabledForm") {
        Ok(fields) => fields,
        Err(error) => return Reply::failed(CHANGED, &error),
    };
    let enabled =
        matches!(fields.get("enabled"), Some(Value::Bool(true))) || fields.get("enabled") == Some(&json!("true"));
    match panel.tokens.iter_mut().find(|token| token.id.to_string() == asked.name) {
        Some(token) => token.enabled = enabled,
        None => return Reply::failed(CHANGED, "token not found"),
    }
    Reply::ok(CHANGED, Value::Null)
}

/// Deletes a token; one that there is not is deleted as well.
pub(super) fn delete(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    panel.tokens.retain(|token| token.id.to_string() != asked.name);
    Reply::ok(CHANGED, Value::Null)
}
