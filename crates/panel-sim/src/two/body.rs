//! A request's body, read as Go reads it into a struct: from JSON or from a form, with its words when it cannot.

use crate::call::{Call, decoding, kind};
use serde_json::{Map, Value};

/// The fields of a body.
#[derive(Debug)]
pub(super) struct Body {
    fields: Map<String, Value>,
    is_form: bool,
}

impl Body {
    /// From JSON when the caller says so, otherwise from a form.
    pub(super) fn of(call: &Call) -> Result<Self, String> {
        Ok(Self { fields: call.bind()?, is_form: !call.is_json() })
    }

    /// From JSON whatever the caller says.
    pub(super) fn of_json(call: &Call) -> Result<Self, String> {
        Self::of_value(call.json()?)
    }

    /// From JSON in a text.
    pub(super) fn of_text(text: &str) -> Result<Self, String> {
        Self::of_value(parse(text)?)
    }

    pub(super) fn of_value(value: Value) -> Result<Self, String> {
        let kind = kind(&value);
        let Value::Object(fields) = value else {
            return Err(format!("json: cannot unmarshal {kind} into Go value"));
        };
        Ok(Self { fields, is_form: false })
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    pub(super) fn text(&self, field: &str) -> Result<String, String> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(mismatch(other, field, "string")),
        }
    }

    pub(super) fn int(&self, field: &str) -> Result<i64, String> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(0),
            Some(Value::String(text)) if self.is_form && text.is_empty() => Ok(0),
            Some(Value::String(text)) if self.is_form => {
                text.parse().map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
            }
            Some(other) => other.as_i64().ok_or_else(|| mismatch(other, field, "int64")),
        }
    }

    pub(super) fn flag(&self, field: &str) -> Result<bool, String> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::String(text)) if self.is_form => match text.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
                "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
                _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
            },
            Some(other) => other.as_bool().ok_or_else(|| mismatch(other, field, "bool")),
        }
    }

    /// A list of texts; what is none is left out.
    pub(super) fn texts(&self, field: &str) -> Vec<String> {
        let items = self.fields.get(field).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    }
}

/// JSON in a text. `Err` is the decoder's word.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| decoding::of_text(&error, text.as_bytes()))
}

fn mismatch(value: &Value, field: &str, wanted: &str) -> String {
    format!("json: cannot unmarshal {} into Go struct field .{field} of type {wanted}", kind(value))
}
