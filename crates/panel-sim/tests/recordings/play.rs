//! Plays a recording: who asks what, with which cookies and tokens, and what came back.

use crate::compare::differences;
use panel_sim::Sim;
use reqwest::{
    Client, Method, Response,
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, time::Duration};

/// What values of earlier answers are called.
type Names = BTreeMap<String, Value>;

/// One cookie jar.
struct Caller {
    http: Client,
    url: String,
    cookies: BTreeMap<String, String>,
    csrf: Option<String>,
}

impl Caller {
    fn new(url: &str) -> Self {
        // reqwest wants one installed, though nothing here speaks TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().redirect(Policy::none()).no_gzip().tls_certs_only([]).build().unwrap();
        Self { http, url: url.to_owned(), cookies: BTreeMap::new(), csrf: None }
    }

    async fn fetch_csrf(&mut self) {
        let answer = self.send(&json!({"method": "GET", "path": "csrf-token", "csrf": false})).await;
        self.csrf = observe(answer).await["json"]["obj"].as_str().map(str::to_owned);
    }

    async fn login(&mut self, sim: &Sim, generation: &str) {
        if generation.starts_with('3') {
            self.fetch_csrf().await;
        }
        let form = json!({"username": sim.setup().username, "password": sim.setup().password});
        let answer = self.send(&json!({"method": "POST", "path": "login", "form": form})).await;
        assert_eq!(observe(answer).await["json"]["success"], true);
    }

    async fn send(&mut self, request: &Value) -> Response {
        let method = Method::from_bytes(request["method"].as_str().unwrap().as_bytes()).unwrap();
        let url = format!("{}{}", self.url, request["path"].as_str().unwrap());
        let mut call = self.http.request(method, url).headers(self.headers(request));
        if let Some(json) = request.get("json") {
            call = call.json(json);
        } else if let Some(form) = request.get("form") {
            call = call.form(form);
        } else if let Some(body) = request.get("body") {
            call = call.body(body.as_str().unwrap().to_owned());
        }
        let answer = call.send().await.unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }

    /// What the recorder sent by default, less what the step takes away.
    fn headers(&self, request: &Value) -> HeaderMap {
        let mut headers = BTreeMap::from([
            ("x-requested-with".to_owned(), Some("XMLHttpRequest".to_owned())),
            ("accept".to_owned(), Some("*/*".to_owned())),
            ("accept-encoding".to_owned(), Some("gzip, deflate".to_owned())),
        ]);
        for (name, value) in request.get("headers").and_then(Value::as_object).into_iter().flatten() {
            headers.insert(name.to_lowercase(), value.as_str().map(str::to_owned));
        }
        if let (Some(csrf), true) = (&self.csrf, request.get("csrf") != Some(&json!(false))) {
            headers.insert("x-csrf-token".to_owned(), Some(csrf.clone()));
        }
        if !self.cookies.is_empty() && !headers.contains_key("cookie") {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            headers.insert("cookie".to_owned(), Some(pairs.join("; ")));
        }
        let sent = headers.into_iter().filter_map(|(name, value)| {
            let value = HeaderValue::from_str(&value?).unwrap();
            Some((HeaderName::from_bytes(name.as_bytes()).unwrap(), value))
        });
        sent.collect()
    }
}

/// Replays a recording from its first step and says what differs.
pub(crate) async fn play(sim: &Sim, recording: &Value) -> Vec<String> {
    let generation = recording["generation"].as_str().unwrap();
    let mut names = Names::new();
    let mut found = Vec::new();
    let mut main = Caller::new(&sim.url());
    main.login(sim, generation).await;
    for inbound in recording.get("inbounds").and_then(Value::as_array).into_iter().flatten() {
        let add = json!({"method": "POST", "path": "panel/api/inbounds/add", "json": inbound});
        let answer = observe(main.send(&add).await).await;
        assert_eq!(answer["json"]["success"], true, "set-up: {answer}");
    }
    let mut callers = BTreeMap::from([("session".to_owned(), main)]);
    for step in recording["steps"].as_array().unwrap() {
        let mut request = substitute(&step["request"], &names);
        if let Some(seconds) = step.get("wait").and_then(Value::as_f64) {
            sim.advance(Duration::from_secs_f64(seconds));
        }
        let who = request.get("as").and_then(Value::as_str).unwrap_or("session").to_owned();
        let caller = callers.entry(who.clone()).or_insert_with(|| Caller::new(&sim.url()));
        if request.get("fetch_csrf") == Some(&json!(true)) {
            caller.fetch_csrf().await;
        }
        if let Some(token) = who.strip_prefix("bearer:") {
            let token = names.get(token).and_then(Value::as_str).unwrap_or(token);
            let headers = request.as_object_mut().unwrap().entry("headers").or_insert_with(|| json!({}));
            headers["Authorization"] = json!(format!("Bearer {token}"));
        }
        let answer = observe(caller.send(&request).await).await;
        for (name, path) in step.get("capture").and_then(Value::as_object).into_iter().flatten() {
            names.insert(name.clone(), look_up(&answer, path.as_str().unwrap()));
        }
        let want = substitute(&step["answer"], &names);
        let label = format!("{} {} {}", step["id"].as_str().unwrap(), request["method"], request["path"]);
        found.extend(differences(&want, &answer, "answer").into_iter().map(|d| format!("{label}: {d}")));
    }
    found
}

/// An answer as recordings write it.
async fn observe(response: Response) -> Value {
    let mut answer = Map::from_iter([("status".to_owned(), json!(response.status().as_u16()))]);
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    if let Some(location) = header("location") {
        answer.insert("location".into(), json!(location));
    }
    let cookies = response.headers().get_all("set-cookie").iter().map(|c| masked(c.to_str().unwrap()));
    let cookies: Vec<String> = cookies.collect();
    if !cookies.is_empty() {
        answer.insert("set_cookie".into(), json!(cookies.join(", ")));
    }
    let kind = header("content-type").unwrap_or_default();
    let text = response.text().await.unwrap();
    if kind.contains("application/json") && !text.is_empty() {
        answer.insert("json".into(), serde_json::from_str(&text).unwrap());
    } else if kind.contains("octet-stream") {
        answer.insert("bytes".into(), json!("<binary>"));
    } else {
        answer.insert("body".into(), json!(text));
    }
    Value::Object(answer)
}

/// A cookie without what differs from one to the next.
fn masked(cookie: &str) -> String {
    let parts = cookie.split("; ").map(|part| match part.split_once('=') {
        Some((name @ ("3x-ui" | "session"), _)) => format!("{name}=<value>"),
        Some(("Expires", _)) => "Expires=<date>".to_owned(),
        Some(_) | None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("; ")
}

fn look_up(value: &Value, path: &str) -> Value {
    path.split('.').fold(value.clone(), |value, part| match part.parse::<usize>() {
        Ok(index) if value.is_array() => value[index].clone(),
        Ok(_) | Err(_) => value[part].clone(),
    })
}

fn substitute(value: &Value, names: &Names) -> Value {
    match value {
        Value::String(text) => substitute_text(text, names),
        Value::Array(items) => items.iter().map(|item| substitute(item, names)).collect(),
        Value::Object(map) => {
            let text = |key: &str| substitute_text(key, names).as_str().unwrap_or(key).to_owned();
            Value::Object(map.iter().map(|(key, value)| (text(key), substitute(value, names))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn substitute_text(text: &str, names: &Names) -> Value {
    for (name, value) in names {
        let mark = format!("{{{{{name}}}}}");
        if text == mark {
            return value.clone();
        }
        if text.contains(&mark) {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            return substitute_text(&text.replace(&mark, &shown), names);
        }
    }
    json!(text)
}
