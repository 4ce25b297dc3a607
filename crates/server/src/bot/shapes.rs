//! Users, keys and nodes as the bot reads them.

use crate::ops::users::Standing;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{
    keys::KeyRecord,
    nodes::NodeLabel,
    payments::Payment,
    users::{Profile, User},
};

/// The longest text about a user that his row holds, in characters; longer ones are cut, as they would be useless
/// in full and are no reason to leave somebody without a key.
const LONGEST: usize = 255;
const LONGEST_LANGUAGE: usize = 10;

/// What the bot tells of a user.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UserData {
    pub(super) username: Option<String>,
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) language_code: Option<String>,
}

impl UserData {
    pub(super) fn into_profile(self) -> Profile {
        let cut = |text: Option<String>, most| text.map(|t| t.chars().filter(|c| *c != '\0').take(most).collect());
        Profile {
            username: cut(self.username, LONGEST),
            first_name: cut(self.first_name, LONGEST),
            last_name: cut(self.last_name, LONGEST),
            language_code: cut(self.language_code, LONGEST_LANGUAGE),
        }
    }
}

/// `2026-01-02T03:04:05.678901+00:00`
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

/// A user in short.
pub(super) fn user(user: &User) -> Value {
    json!({
        "id": user.id.0,
        "telegram_id": user.telegram_id,
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "language_code": user.language_code,
        "is_active": user.is_active,
        "created_at": user.created_at.map(time),
    })
}

/// A key with what is known of its node.
pub(super) fn key(key: &KeyRecord, node: Option<&NodeLabel>) -> Value {
    json!({
        "id": key.id.0,
        "key_name": key.key_name,
        "status": "active",
        "vless_url": key.link,
        "created_at": key.created_at.map(time),
        "node_id": key.node.map(|id| id.0),
        "node_info": node.map(node_info),
    })
}

fn node_info(node: &NodeLabel) -> Value {
    json!({"id": node.id.0, "name": node.name, "location": node.location})
}

/// Everything about an account.
pub(super) fn dashboard(standing: &Standing, now: DateTime<Utc>) -> Value {
    let (account, payments) = (&standing.user, &standing.payments);
    let keys: Vec<Value> = standing.keys.iter().map(|(k, node)| key(k, node.as_ref())).collect();
    let expired = account.valid_until.is_some_and(|end| end <= now);
    let status =
        if expired && account.subscription_status == "active" { "expired" } else { account.subscription_status };
    let account_status = match (account.is_active && !account.is_blocked, expired) {
        (false, _) => "blocked",
        (true, true) => "expired",
        (true, false) => "active",
    };
    let mut shown = user(account);
    shown["subscription_status"] = json!(status);
    shown["valid_until"] = json!(account.valid_until.map(time));
    shown["has_active_subscription"] = json!(account.is_entitled(now));
    shown["days_remaining"] = json!(account.valid_until.map(|end| (end - now).num_days().max(0)));
    json!({
        "success": true,
        "user": shown,
        "stats": {"active_vpn_keys": keys.len(), "total_payments": payments.len(), "account_status": account_status},
        "vpn_keys": keys,
        "payments": payments.iter().map(payment).collect::<Vec<_>>(),
    })
}

fn payment(payment: &Payment) -> Value {
    json!({
        "id": payment.id,
        "amount": payment.amount,
        "status": payment.status,
        "created_at": payment.created_at.map(time),
    })
}
