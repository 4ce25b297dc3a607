//! `/api/v1` as a program sees it. Here: who may call what, the document, and what cannot be read.

mod nodes;
mod users;

use crate::world::{World, quick};
use muster::ops::tokens;
use rand::{SeedableRng as _, rngs::StdRng};
use reqwest::{Method, RequestBuilder, StatusCode, header};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::{testing::TestDatabase, tokens::Scope};

/// Every call, and the least scope that may make it.
const CALLS: [(&str, &str, Scope); 13] = [
    ("get", "/nodes", Scope::Read),
    ("post", "/nodes", Scope::Admin),
    ("get", "/nodes/{id}", Scope::Read),
    ("patch", "/nodes/{id}", Scope::Admin),
    ("delete", "/nodes/{id}", Scope::Admin),
    ("post", "/nodes/{id}/test", Scope::Admin),
    ("get", "/nodes/{id}/inbounds", Scope::Admin),
    ("get", "/users/{telegram_id}", Scope::Read),
    ("post", "/users/{telegram_id}/key", Scope::Bot),
    ("post", "/users/{telegram_id}/key/refresh", Scope::Bot),
    ("delete", "/users/{telegram_id}/key", Scope::Bot),
    ("get", "/placement", Scope::Read),
    ("get", "/openapi.json", Scope::Read),
];

/// Tells a story on every database.
async fn on_every_database(story: impl AsyncFn(&mut World)) {
    for db in TestDatabase::all().await {
        let mut world = World::start(db, quick()).await;
        story(&mut world).await;
        world.stop().await;
    }
}

async fn token(world: &World, scope: Scope) -> String {
    let mut chance = StdRng::seed_from_u64(scope as u64 + 100);
    let made = tokens::create(&world.store, scope.as_str(), scope, &mut chance, world.clock.now()).await;
    made.unwrap().expose_secret().to_owned()
}

fn request(world: &World, method: &str, path: &str) -> RequestBuilder {
    let (http, url) = world.address();
    let path = path.replace("{id}", "1").replace("{telegram_id}", "1");
    http.request(method.to_uppercase().parse().unwrap(), format!("{url}/api/v1{path}"))
}

/// The answer must be this problem, in the form that all problems have.
async fn problem(call: RequestBuilder, status: u16, code: &str) -> Value {
    let answer = call.send().await.unwrap();
    let (found, url) = (answer.status().as_u16(), answer.url().clone());
    let kind = answer.headers().get(header::CONTENT_TYPE).map(|k| k.to_str().unwrap().to_owned());
    let challenge = answer.headers().contains_key(header::WWW_AUTHENTICATE);
    let text = answer.text().await.unwrap();
    assert_eq!((found, kind.as_deref()), (status, Some("application/problem+json")), "{url}: {text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&body["status"], &body["code"]), (&json!(status), &json!(code)), "{url}: {text}");
    assert!(["title", "detail"].iter().all(|f| body[f].as_str().is_some_and(|t| !t.is_empty())), "{text}");
    assert_eq!(challenge, status == 401, "{url}");
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_wants_a_token_of_its_scope() {
    on_every_database(async |world: &mut World| {
        let mut known = BTreeMap::new();
        for scope in [Scope::Read, Scope::Bot, Scope::Admin] {
            known.insert(scope, token(world, scope).await);
        }
        for (method, path, needed) in CALLS.into_iter().filter(|(_, path, _)| !path.ends_with("openapi.json")) {
            let call = || request(world, method, path);
            problem(call(), 401, "unauthorised").await;
            problem(call().bearer_auth("mst_nobody_made_this"), 401, "unauthorised").await;
            problem(call().bearer_auth(""), 401, "unauthorised").await;
            problem(call().basic_auth("admin", Some(&known[&Scope::Admin])), 401, "unauthorised").await;
            for (scope, token) in &known {
                if *scope < needed {
                    let told = problem(call().bearer_auth(token), 403, "forbidden").await;
                    let detail = told["detail"].as_str().unwrap();
                    assert!(detail.contains(needed.as_str()) && detail.contains(scope.as_str()), "{detail}");
                } else {
                    let status = call().bearer_auth(token).send().await.unwrap().status();
                    assert!(![401, 403].contains(&status.as_u16()), "{method} {path} with {scope:?}: {status}");
                }
            }
        }
        tokens::revoke(&world.store, "admin", world.clock.now()).await.unwrap();
        problem(request(world, "get", "/nodes").bearer_auth(&known[&Scope::Admin]), 401, "unauthorised").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_openapi_3_1_and_names_every_call_and_problem() {
    let world = World::start(TestDatabase::sqlite(), quick()).await;
    let document: Value = request(&world, "get", "/openapi.json").send().await.unwrap().json().await.unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    let mut told = Vec::new();
    for (path, calls) in document["paths"].as_object().unwrap() {
        for (method, call) in calls.as_object().unwrap() {
            told.push(format!("{method} {}", path.trim_start_matches("/api/v1")));
            let words = call["summary"].as_str().or(call["description"].as_str());
            assert!(words.is_some_and(|w| !w.is_empty()), "{method} {path} says nothing");
            for (status, answer) in call["responses"].as_object().unwrap() {
                let is_problem = answer["content"]["application/problem+json"]["schema"].is_object();
                assert_eq!(is_problem, status.starts_with(['4', '5']), "{method} {path}: {status}");
            }
            assert!(call["responses"]["401"].is_object(), "{method} {path}");
        }
    }
    for (method, path, _) in CALLS.into_iter().filter(|(_, path, _)| !path.ends_with("openapi.json")) {
        assert!(told.contains(&format!("{method} {path}")), "{method} {path} is missing in {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_a_problem_too() {
    let world = World::start(TestDatabase::sqlite(), quick()).await;
    let (http, url) = world.address();
    for path in
        ["", "/nothing", "/api", "/api/v1", "/api/v1/", "/api/v1/nodes/", "/api/v1/nodes/1/nothing", "/api/v2/nodes"]
    {
        problem(http.get(format!("{url}{path}")).bearer_auth(&world.token), 404, "not_found").await;
    }
    for (method, path) in
        [("put", "/nodes"), ("delete", "/nodes"), ("post", "/nodes/{id}"), ("get", "/nodes/{id}/test")]
    {
        problem(request(&world, method, path).bearer_auth(&world.token), 405, "method_not_allowed").await;
    }
    for (method, path) in [("get", "/users/{telegram_id}/key"), ("post", "/placement"), ("post", "/openapi.json")] {
        problem(request(&world, method, path).bearer_auth(&world.token), 405, "method_not_allowed").await;
    }
    for path in
        ["/nodes/x", "/nodes/1.5", "/nodes/9999999999999999999", "/users/0", "/users/-1", "/users/9007199254740992"]
    {
        problem(request(&world, "get", path).bearer_auth(&world.token), 400, "bad_request").await;
    }
    let long = format!("/users/1/key?location={}", "ü".repeat(101));
    for (method, path) in [
        ("get", "/placement?telegram_id=x"),
        ("get", "/placement?telegram_id=0"),
        ("get", "/placement?telegram=1"),
        ("delete", "/nodes/1?abandon=perhaps"),
        ("delete", "/nodes/1?force=true"),
        ("post", "/users/1/key?place=NL"),
        ("post", &long),
    ] {
        problem(request(&world, method, path).bearer_auth(&world.token), 400, "bad_request").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_cannot_be_read_are_refused_and_change_nothing() {
    let world = World::start(TestDatabase::sqlite(), quick()).await;
    let node = json!({"name": "a", "url": "http://127.0.0.1:1/", "token": "t", "allow_http": true, "force": true});
    let list = json!(["a", "http://127.0.0.1:1/"]).to_string();
    let with = |field: &str, value: Value| {
        let mut body = node.clone();
        body[field] = value;
        body.to_string()
    };
    let deep = "[".repeat(20_000);
    let large = with("description", json!("x".repeat(70_000)));
    for (body, status, code) in [
        ("", 400, "bad_request"),
        ("{", 400, "bad_request"),
        ("\0", 400, "bad_request"),
        ("null", 422, "bad_request"),
        ("[]", 422, "bad_request"),
        (deep.as_str(), 422, "bad_request"),
        (list.as_str(), 422, "bad_request"),
        ("\"node\"", 422, "bad_request"),
        ("{}", 422, "bad_request"),
        (&with("max_users", json!("many")), 422, "bad_request"),
        (&with("max_users", json!(1e300)), 422, "bad_request"),
        (&with("force", json!("yes")), 422, "bad_request"),
        (&with("colour", json!("red")), 422, "bad_request"),
        (&with("max_users", json!(-1)), 422, "invalid"),
        (&with("name", json!("a\0b")), 422, "invalid"),
        (&large, 413, "too_large"),
    ] {
        for (method, path) in [("post", "/nodes"), ("patch", "/nodes/1")] {
            // A change may be empty, and it does not name `force`.
            if method == "patch" && (body == "{}" || status == 422 && code == "invalid") {
                continue;
            }
            let call = request(&world, method, path).bearer_auth(&world.token);
            let call = call.header(header::CONTENT_TYPE, "application/json").body(body.to_owned());
            let told = problem(call, status, code).await;
            if body.contains("colour") {
                assert!(told["detail"].as_str().unwrap().contains("colour") || method == "patch", "{told}");
            }
        }
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let call = request(&world, "post", "/nodes").bearer_auth(&world.token).header(header::CONTENT_TYPE, kind);
        problem(call.body(node.to_string()), 415, "unsupported_media_type").await;
    }
    problem(
        request(&world, "post", "/nodes").bearer_auth(&world.token).body(node.to_string()),
        415,
        "unsupported_media_type",
    )
    .await;
    assert_eq!(world.api(Method::GET, "nodes", None).await, (200, json!({"nodes": []})));
    let call = request(&world, "post", "/nodes").bearer_auth(&world.token).json(&node);
    assert_eq!(call.send().await.unwrap().status(), StatusCode::CREATED, "and what can be read is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bot_needs_a_token_unless_it_calls_from_its_network_itself() {
    let mut config = quick();
    config.server.bot_networks = vec!["10.0.0.0/8".parse().unwrap()];
    let outside = World::start(TestDatabase::sqlite(), config).await;
    let inside = World::start(TestDatabase::sqlite(), quick()).await;
    let calls = [
        ("post", "/integration/full-cycle"),
        ("post", "/integration/update-vpn-key"),
        ("delete", "/integration/vpn-key/1"),
        ("get", "/integration/user-dashboard/1"),
        ("post", "/integration/create-user"),
        ("post", "/integration/update-user-data"),
        ("get", "/integration/app-settings"),
    ];
    let (read, bot) = (token(&outside, Scope::Read).await, token(&outside, Scope::Bot).await);
    for (method, path) in calls {
        problem(request(&outside, method, path), 401, "unauthorised").await;
        problem(request(&outside, method, path).bearer_auth(&read), 403, "forbidden").await;
        for token in [&bot, &outside.token] {
            let status = request(&outside, method, path).bearer_auth(token).send().await.unwrap().status();
            assert!(![401, 403].contains(&status.as_u16()), "{method} {path}: {status}");
        }
        for header in ["x-forwarded-for", "forwarded", "x-real-ip"] {
            problem(request(&inside, method, path).header(header, "127.0.0.1"), 401, "unauthorised").await;
        }
        let status = request(&inside, method, path).send().await.unwrap().status();
        assert!(![401, 403].contains(&status.as_u16()), "{method} {path}: {status}");
    }
    for world in [outside, inside] {
        let (http, url) = world.address();
        assert_eq!(http.get(format!("{url}/health")).send().await.unwrap().status(), StatusCode::OK);
    }
}
