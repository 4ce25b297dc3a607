//! Bodies of JSON and what Go says of those it cannot read.

use crate::{
    call::{Call, kind},
    three::{client::Client, entry::Entry},
};
use serde_json::{Deserializer, Map, Value};

/// Larger bodies are not read.
const LARGEST_BODY: usize = 10 << 20;

/// What Go takes a field for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Type {
    Text,
    Flag,
    Int,
    Int64,
}

/// The fields of a client that have a type of their own.
const CLIENT: [(&str, Type); 22] = [
    ("adTag", Type::Text),
    ("auth", Type::Text),
    ("comment", Type::Text),
    ("created_at", Type::Int64),
    ("email", Type::Text),
    ("enable", Type::Flag),
    ("expiryTime", Type::Int64),
    ("flow", Type::Text),
    ("group", Type::Text),
    ("id", Type::Text),
    ("keepAlive", Type::Int),
    ("limitIp", Type::Int),
    ("password", Type::Text),
    ("preSharedKey", Type::Text),
    ("privateKey", Type::Text),
    ("publicKey", Type::Text),
    ("reset", Type::Int),
    ("secret", Type::Text),
    ("security", Type::Text),
    ("subId", Type::Text),
    ("tgId", Type::Int64),
    ("totalGB", Type::Int64),
];

/// The body as JSON, whatever it is said to be. What follows the first value is not looked at.
pub(super) fn json(call: &Call) -> Result<Value, String> {
    check_size(call)?;
    if call.body.iter().all(u8::is_ascii_whitespace) {
        return Err("EOF".into());
    }
    match Deserializer::from_slice(&call.body).into_iter().next() {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(complaint(&call.body, &error)),
        None => Err("EOF".into()),
    }
}

/// The body as a JSON object; null is an empty one. `name` is what Go calls the type.
pub(super) fn object(call: &Call, name: &str) -> Result<Map<String, Value>, String> {
    as_object(json(call)?, name)
}

/// The body as an object, of JSON or a form, whose values are all text.
pub(super) fn bind(call: &Call, name: &str) -> Result<Map<String, Value>, String> {
    check_size(call)?;
    if call.is_json() {
        return object(call, name);
    }
    Ok(call.form().into_iter().map(|(key, value)| (key, Value::String(value))).collect())
}

fn check_size(call: &Call) -> Result<(), String> {
    if call.body.len() > LARGEST_BODY { Err("http: request body too large".into()) } else { Ok(()) }
}

fn as_object(value: Value, name: &str) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => Err(mismatch(&other, name)),
    }
}

/// The items of an array; null is an empty one.
pub(super) fn array(value: Value, name: &str) -> Result<Vec<Value>, String> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Null => Ok(Vec::new()),
        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            Err(mismatch(&other, name))
        }
    }
}

/// Checks the fields of an object against what Go takes them for. `path` is where Go says the object is.
pub(super) fn check(object: &Entry, fields: &[(&str, Type)], path: &str) -> Result<(), String> {
    for (name, wanted) in fields {
        let Some(value) = object.get(*name) else { continue };
        let (fits, go) = match wanted {
            Type::Text => (value.is_string(), "string"),
            Type::Flag => (value.is_boolean(), "bool"),
            Type::Int => (value.is_i64(), "int"),
            Type::Int64 => (value.is_i64(), "int64"),
        };
        if !fits && !value.is_null() {
            let found = described(value);
            return Err(format!("json: cannot unmarshal {found} into Go struct field {path}.{name} of type {go}"));
        }
    }
    Ok(())
}

/// A client out of a request. `path` is where Go says it is.
pub(super) fn client(value: Option<&Value>, path: &str) -> Result<Client, String> {
    match value {
        Some(Value::Object(entry)) => {
            check(entry, &CLIENT, path)?;
            Ok(Client::from_entry(entry))
        }
        Some(Value::Null) | None => Ok(Client::default()),
        Some(other) => Err(format!("json: cannot unmarshal {} into Go value of type model.Client", described(other))),
    }
}

/// A list of ids out of a request.
pub(super) fn ids(object: &Entry, key: &str, path: &str) -> Result<Vec<i64>, String> {
    let items = listed(object, key, path, "[]int")?;
    let id = |item: &Value| {
        let wrong = || {
            let found = described(item);
            format!("json: cannot unmarshal {found} into Go struct field {path}.{key} of type int")
        };
        item.as_i64().ok_or_else(wrong)
    };
    items.iter().map(id).collect()
}

/// A list of texts out of a request.
pub(super) fn texts(object: &Entry, key: &str, path: &str) -> Result<Vec<String>, String> {
    let items = listed(object, key, path, "[]string")?;
    let text = |item: &Value| {
        let wrong = || {
            let found = described(item);
            format!("json: cannot unmarshal {found} into Go struct field {path}.{key} of type string")
        };
        item.as_str().map(str::to_owned).ok_or_else(wrong)
    };
    items.iter().map(text).collect()
}

fn listed<'a>(object: &'a Entry, key: &str, path: &str, go: &str) -> Result<&'a [Value], String> {
    match object.get(key) {
        Some(Value::Array(items)) => Ok(items),
        Some(Value::Null) | None => Ok(&[]),
        Some(other) => {
            let found = described(other);
            Err(format!("json: cannot unmarshal {found} into Go struct field {path}.{key} of type {go}"))
        }
    }
}

/// What Go says of a value that is not of this type.
fn mismatch(value: &Value, name: &str) -> String {
    format!("json: cannot unmarshal {} into Go value of type {name}", described(value))
}

/// What Go calls a value in its errors: numbers are spelled out where they do not fit.
fn described(value: &Value) -> String {
    match value {
        Value::Number(number) if !number.is_i64() => format!("number {number}"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            kind(value).to_owned()
        }
    }
}

/// What Go's decoder says of a text that is no JSON.
fn complaint(body: &[u8], error: &serde_json::Error) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start();
    let first = text.chars().next().unwrap_or_default();
    for literal in ["null", "true", "false"].iter().filter(|literal| literal.starts_with(first)) {
        let wrong = text.chars().zip(literal.chars()).find(|(found, wanted)| found != wanted);
        if let Some((found, wanted)) = wrong {
            return format!("invalid character '{found}' in literal {literal} (expecting '{wanted}')");
        }
    }
    if !matches!(first, '{' | '[' | '"' | '-' | '0'..='9' | 'n' | 't' | 'f') {
        return format!("invalid character '{first}' looking for beginning of value");
    }
    if error.is_eof() {
        return "unexpected EOF".into();
    }
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let found = line.chars().nth(error.column().saturating_sub(1)).unwrap_or('\n');
    format!("invalid character '{found}' looking for beginning of value")
}
