//! The panel's JSON, kept here and nowhere else.
//!
//! Everything is read leniently: a field that is missing, null or of another type than usual is that field's
//! trouble, not the whole answer's, for one panel holds what many programs and people wrote into it.

pub(crate) mod client;
pub(crate) mod envelope;
pub(crate) mod inbound;
#[cfg(test)]
mod recordings;
pub(crate) mod status;

use serde_json::{Map, Value};

/// A text field; empty when missing, null or no text. Numbers are taken as they are written.
pub(crate) fn text(object: &Map<String, Value>, field: &str) -> String {
    match object.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

/// A whole number, also when written as text or with a fraction; 0 when missing, null or empty. `None` for
/// anything else: 0 often means "no limit", which is nothing to guess.
pub(crate) fn number(object: &Map<String, Value>, field: &str) -> Option<i64> {
    match object.get(field) {
        None | Some(Value::Null) => Some(0),
        Some(Value::Number(number)) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
        Some(Value::String(text)) if text.trim().is_empty() => Some(0),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
    }
}

/// A yes or no; `false` when missing or null, as panels count it. `None` for anything else.
pub(crate) fn flag(object: &Map<String, Value>, field: &str) -> Option<bool> {
    match object.get(field) {
        None | Some(Value::Null) => Some(false),
        Some(Value::Bool(flag)) => Some(*flag),
        Some(Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => None,
    }
}

/// An object inside an object; empty when it is anything else. JSON text is read as the object it holds, which is
/// how 2.x panels nest.
pub(crate) fn object(object: &Map<String, Value>, field: &str) -> Map<String, Value> {
    object.get(field).and_then(embedded).unwrap_or_default()
}

/// The object that a value is or holds as text. `Some` of an empty one for null and for empty text.
pub(crate) fn embedded(value: &Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object.clone()),
        Value::Null => Some(Map::new()),
        Value::String(text) if text.trim().is_empty() => Some(Map::new()),
        Value::String(text) => match serde_json::from_str(text).ok()? {
            Value::Object(object) => Some(object),
            Value::Null => Some(Map::new()),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        },
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// Texts in an array; a single text is split at commas.
pub(crate) fn texts(object: &Map<String, Value>, field: &str) -> Vec<String> {
    match object.get(field) {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(text)) => {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
    }
}

/// A whole number out of a floating one, if it is one that JSON can carry exactly.
fn whole(number: f64) -> Option<i64> {
    /// 2^53: beyond it, floating numbers skip whole ones.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within 2^53")]
    let converted = number as i64;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(converted)
}
