//! What other people do to a panel: operators in a browser, other programs.

use panel_sim::Sim;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};

/// A client that an operator made by hand, good for any protocol.
pub(crate) fn stranger(name: &str) -> Value {
    json!({
        "id": format!("5742a6e0-0000-4000-8000-{:012x}", name.len()), "password": format!("pass-of-{name}"),
        "email": name, "subId": format!("sub-of-{name}"), "enable": true, "expiryTime": 4_102_444_800_000_i64,
        "totalGB": 5_000_000_000_i64, "limitIp": 3, "comment": "pays in cash", "tgId": 0, "reset": 0, "flow": "",
        "security": "auto",
    })
}

/// Somebody with a browser: calls of the panel's API without our crate.
pub(crate) struct ByHand {
    http: reqwest::Client,
    url: String,
    cookie: String,
    token: Option<String>,
}

impl ByHand {
    pub(crate) async fn log_in(sim: &Sim) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
        let token = sim.create_token("by hand");
        let fields = [("username", &sim.setup().username), ("password", &sim.setup().password)];
        let answer = http.post(format!("{}login", sim.url())).form(&fields).send().await.unwrap();
        let cookie = answer.headers().get(SET_COOKIE).map(|cookie| cookie.to_str().unwrap()).unwrap_or_default();
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Self { http, url: sim.url(), cookie, token }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call(self.http.get(format!("{}{path}", self.url))).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        self.call(self.http.post(format!("{}{path}", self.url)).json(body)).await
    }

    async fn call(&self, call: reqwest::RequestBuilder) -> Value {
        let call = call.header(COOKIE, &self.cookie);
        let call = match &self.token {
            Some(token) => call.bearer_auth(token),
            None => call,
        };
        let mut answer: Value = call.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["success"], true, "{answer}");
        answer["obj"].take()
    }
}
