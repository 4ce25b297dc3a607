//! A request and an answer, as far as both generations see them alike.

pub(crate) mod decoding;

use axum::{
    body::Bytes,
    http::{HeaderMap, Method, StatusCode},
};
use chrono::DateTime;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// How long a browser keeps a session: 360 minutes, the default of both generations.
const SESSION_S: i64 = 360 * 60;

/// One request, its path relative to the base path.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// The decoded path, split at `/`: `panel/api/inbounds/list` is four segments. A trailing `/` gives an empty last one.
    pub(crate) segments: Vec<String>,
    /// The path as it was sent, without the base path and its slash, and the query.
    pub(crate) raw_path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) peer: IpAddr,
}

impl Call {
    /// The segments, for matching: `["panel", "api", "inbounds", "get", id]`.
    pub(crate) fn route(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the caller marks itself as a script of the panel's pages.
    pub(crate) fn is_xhr(&self) -> bool {
        self.header("x-requested-with") == Some("XMLHttpRequest")
    }

    pub(crate) fn accepts_gzip(&self) -> bool {
        self.header("accept-encoding").is_some_and(|value| value.contains("gzip"))
    }

    /// The value of one cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let pairs = self.headers.get_all("cookie").into_iter().filter_map(|line| line.to_str().ok());
        pairs.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_json(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.starts_with("application/json"))
    }

    /// The fields of a form; empty for a body that is none.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        serde_urlencoded::from_bytes(&self.body).unwrap_or_default()
    }

    /// The body as an object, from JSON or from a form (whose values are all text). `Err` is the decoder's word.
    pub(crate) fn bind(&self) -> Result<Map<String, Value>, String> {
        if self.is_json() {
            return match self.json()? {
                Value::Object(map) => Ok(map),
                other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                    Err(format!("json: cannot unmarshal {} into Go value", kind(&other)))
                }
            };
        }
        Ok(self.form().into_iter().map(|(key, value)| (key, Value::String(value))).collect())
    }

    /// The body as JSON. `Err` is the decoder's word, as Go puts it.
    pub(crate) fn json(&self) -> Result<Value, String> {
        if self.body.is_empty() {
            return Err("EOF".into());
        }
        serde_json::from_slice(&self.body).map_err(|error| decoding::of_body(&error, &self.body))
    }
}

/// What Go calls a JSON value in its errors.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A status and nothing else.
    pub(crate) fn empty(status: u16) -> Self {
        Self { status: StatusCode::from_u16(status).unwrap_or_default(), headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn json(status: u16, value: &Value) -> Self {
        let headers = vec![("content-type", "application/json; charset=utf-8".to_owned())];
        Self { headers, body: value.to_string().into_bytes(), ..Self::empty(status) }
    }

    /// The envelope of a success.
    #[expect(clippy::needless_pass_by_value, reason = "every caller makes the value for this")]
    pub(crate) fn ok(msg: &str, obj: Value) -> Self {
        Self::json(200, &json!({"success": true, "msg": msg, "obj": obj}))
    }

    /// The envelope of a failure with a bare message.
    pub(crate) fn no(msg: &str) -> Self {
        Self::json(200, &json!({"success": false, "msg": msg, "obj": null}))
    }

    /// The envelope of a failure: a translated prefix, and in parentheses what went wrong.
    pub(crate) fn failed(prefix: &str, inner: &str) -> Self {
        Self::no(&format!("{prefix} ({inner})"))
    }

    /// The answer of a handler that broke down; callers that accept gzip get a success without a body.
    pub(crate) fn broken_down(call: &Call) -> Self {
        Self::empty(if call.accepts_gzip() { 200 } else { 500 })
    }

    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self { headers: vec![("location", location.to_owned())], ..Self::empty(status) }
    }

    pub(crate) fn bytes(body: Vec<u8>) -> Self {
        let headers = vec![("content-type", "application/octet-stream".to_owned())];
        Self { headers, body, ..Self::empty(200) }
    }

    /// Sets the session's cookie as both generations do; without a value the browser is told to drop it.
    pub(crate) fn with_session(self, value: Option<&str>, path: &str, now_ms: i64) -> Self {
        let max_age_s = value.map_or(0, |_| SESSION_S);
        let expires_ms = value.map_or(1_000, |_| now_ms + SESSION_S * 1_000);
        let expires = DateTime::from_timestamp_millis(expires_ms).unwrap_or_default();
        let expires = expires.format("%a, %d %b %Y %H:%M:%S GMT");
        let value = value.unwrap_or("dropped");
        self.with_cookie(format!(
            "3x-ui={value}; Path={path}; Expires={expires}; Max-Age={max_age_s}; HttpOnly; SameSite=Lax"
        ))
    }

    pub(crate) fn with_cookie(mut self, cookie: String) -> Self {
        self.headers.push(("set-cookie", cookie));
        self
    }
}
