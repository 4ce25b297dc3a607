//! Logging in as seldom as possible, against a server that counts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod raw;

use panel::{Access, Clock, Deadlines, Generation, Login, Panel, Tls};
use raw::{Raw, Reply, Seen, like_a_panel, yes};
use serde_json::json;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

/// A door as 3.x has it (or, without CSRF token, as 2.x has it) that counts who knocks.
#[derive(Default)]
struct Door {
    two: bool,
    /// The number in the only cookie that is accepted; 0 = none.
    valid: AtomicU64,
    logins: AtomicU64,
    refuse_logins: Mutex<bool>,
    token: Mutex<Option<String>>,
    codes: Mutex<Vec<String>>,
}

impl Door {
    fn answer(&self, seen: &Seen) -> Reply {
        let path = seen.path.split('?').next().unwrap_or_default();
        match path {
            "/csrf-token" if self.two => nothing(404),
            "/csrf-token" => {
                let body = json!({"success": true, "obj": "csrf"}).to_string().into_bytes();
                Reply::Answer(200, vec!["Set-Cookie: 3x-ui=before; Path=/; HttpOnly".into()], body)
            }
            "/login" => self.login(seen),
            _ if !self.is_let_in(seen) => nothing(if self.two { 404 } else { 401 }),
            _ if seen.method == "POST" && !self.two && seen.header("x-csrf-token").is_none() => nothing(403),
            "/panel/api/clients/list/paged" if self.two => nothing(404),
            // It does not tell its version.
            "/panel/api/server/status" if self.two => yes(&json!({"xray": {"state": "running"}})),
            _ => like_a_panel(seen).unwrap_or_else(|| nothing(404)),
        }
    }

    fn login(&self, seen: &Seen) -> Reply {
        self.logins.fetch_add(1, SeqCst);
        let code = seen.body.split("twoFactorCode=").nth(1).unwrap_or_default();
        self.codes.lock().unwrap().push(code.to_owned());
        if !self.two && (seen.header("x-csrf-token") != Some("csrf") || seen.header("cookie") != Some("3x-ui=before")) {
            return nothing(403);
        }
        if *self.refuse_logins.lock().unwrap() {
            let body =
                json!({"success": false, "msg": "Invalid username or password or two-factor code.", "obj": null});
            return Reply::Answer(200, vec![], body.to_string().into_bytes());
        }
        let valid = self.valid.fetch_add(1, SeqCst) + 1;
        let Reply::Answer(status, _, body) = yes(&json!(null)) else { unreachable!() };
        Reply::Answer(status, vec![format!("Set-Cookie: 3x-ui=session{valid}; Path=/; HttpOnly")], body)
    }

    fn is_let_in(&self, seen: &Seen) -> bool {
        let token = self.token.lock().unwrap();
        let bearer = seen.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let session = format!("3x-ui=session{}", self.valid.load(SeqCst));
        bearer.is_some_and(|bearer| token.as_deref() == Some(bearer)) || seen.header("cookie") == Some(&*session)
    }

    /// All sessions end, as after a change of credentials on 3.x.
    fn end_sessions(&self) {
        self.valid.fetch_add(1, SeqCst);
    }

    fn logins(&self) -> u64 {
        self.logins.load(SeqCst)
    }
}

fn nothing(status: u16) -> Reply {
    Reply::Answer(status, vec![], vec![])
}

/// A clock that a test moves.
fn movable() -> (Arc<AtomicU64>, Clock) {
    let seconds = Arc::new(AtomicU64::new(1_700_000_000));
    let read = seconds.clone();
    (seconds, Arc::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(read.load(SeqCst))))
}

async fn at(door: Door, token: Option<&str>, login: bool) -> (Arc<Door>, Panel, Arc<AtomicU64>) {
    let door = Arc::new(door);
    let answering = door.clone();
    let server = Raw::start(move |seen| answering.answer(seen)).await;
    let (seconds, clock) = movable();
    let login = login.then(|| Login {
        username: "operator".into(),
        password: "s3cret-Pass".into(),
        totp_secret: Some("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".into()),
    });
    let access = Access {
        url: server.url.parse().unwrap(),
        token: token.map(Into::into),
        login,
        tls: Tls::Verify,
        allow_http: true,
        deadlines: Deadlines::default(),
    };
    (door, Panel::new(access, clock).unwrap(), seconds)
}

#[tokio::test]
async fn fifty_calls_that_find_the_session_ended_log_in_once() {
    for two in [true, false] {
        let (door, panel, _) = at(Door { two, ..Door::default() }, None, true).await;
        panel.status().await.unwrap();
        assert_eq!(door.logins(), 1);
        door.end_sessions();
        let calls = futures::future::join_all((0..50).map(|_| panel.status())).await;
        assert!(calls.iter().all(Result::is_ok), "{calls:?}");
        assert_eq!(door.logins(), 2, "of generation 2: {two}");
    }
}

#[tokio::test]
async fn fifty_calls_that_are_refused_are_refused_by_one_login() {
    let (door, panel, _) = at(Door { refuse_logins: Mutex::new(true), ..Door::default() }, None, true).await;
    let calls = futures::future::join_all((0..50).map(|_| panel.inbounds())).await;
    assert!(calls.iter().all(|call| call.as_ref().is_err_and(panel::PanelError::is_unauthorised)), "{calls:?}");
    assert!(door.logins() <= 2, "{}", door.logins());
}

#[tokio::test]
async fn after_two_refused_logins_there_is_silence_for_a_quarter_of_an_hour() {
    let (door, panel, seconds) = at(Door { refuse_logins: Mutex::new(true), ..Door::default() }, None, true).await;
    for _ in 0..6 {
        assert!(panel.status().await.unwrap_err().is_unauthorised());
    }
    assert_eq!(door.logins(), 2);
    let error = panel.status().await.unwrap_err().to_string();
    assert!(error.contains("not trying again before 2023-11-14 22:28:20 UTC"), "{error}");
    seconds.fetch_add(15 * 60 - 1, SeqCst);
    assert!(panel.status().await.is_err());
    assert_eq!(door.logins(), 2);
    *door.refuse_logins.lock().unwrap() = false;
    seconds.fetch_add(1, SeqCst);
    panel.status().await.unwrap();
    assert_eq!(door.logins(), 3);
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_make_the_silence_longer() {
    let (door, panel, seconds) = at(Door { refuse_logins: Mutex::new(true), ..Door::default() }, None, true).await;
    for _ in 0..3 {
        assert!(panel.status().await.is_err());
    }
    *door.refuse_logins.lock().unwrap() = false;
    seconds.fetch_sub(24 * 3600, SeqCst);
    panel.status().await.unwrap();
}

#[tokio::test]
async fn a_refused_token_falls_back_to_the_login_and_says_so() {
    let (door, panel, _) = at(Door::default(), Some("revoked"), true).await;
    assert_eq!(panel.status().await.unwrap().version.generation, Generation::V3);
    assert_eq!(door.logins(), 1);
    let seen = panel.examine().await;
    assert!(matches!(seen.authorised, panel::Step::Good { found: panel::Credential::Login, .. }), "{seen:?}");
}

#[tokio::test]
async fn a_good_token_needs_no_login_until_it_is_revoked() {
    let door = Door { token: Mutex::new(Some("t0ken".into())), ..Door::default() };
    let (door, panel, _) = at(door, Some("t0ken"), true).await;
    panel.status().await.unwrap();
    assert_eq!(door.logins(), 0);
    *door.token.lock().unwrap() = None;
    panel.status().await.unwrap();
    assert_eq!(door.logins(), 1);
}

#[tokio::test]
async fn a_refused_token_without_a_login_is_our_mistake_not_the_nodes() {
    let (door, panel, _) = at(Door::default(), Some("revoked"), false).await;
    let error = panel.status().await.unwrap_err();
    assert!(error.is_unauthorised() && error.is_misconfigured(), "{error}");
    let seen = panel.examine().await;
    assert!(seen.panel.is_good() && !seen.authorised.is_good(), "{seen:?}");
    assert_eq!(door.logins(), 0);
}

#[tokio::test]
async fn a_token_means_nothing_to_a_panel_of_generation_2() {
    let (door, panel, _) = at(Door { two: true, ..Door::default() }, Some("t0ken"), true).await;
    assert_eq!(panel.status().await.unwrap().version.generation, Generation::V2);
    assert_eq!(door.logins(), 1);
    let (_, panel, _) = at(Door { two: true, ..Door::default() }, Some("t0ken"), false).await;
    let error = panel.status().await.unwrap_err();
    assert!(error.is_misconfigured() && error.to_string().contains("2.x"), "{error}");
}

#[tokio::test]
async fn the_second_factor_is_the_code_of_the_clock_that_was_passed() {
    let (door, panel, seconds) = at(Door::default(), None, true).await;
    seconds.store(1_111_111_109, SeqCst);
    panel.status().await.unwrap();
    assert_eq!(*door.codes.lock().unwrap(), ["081804"]);
}

#[tokio::test]
async fn a_path_without_a_panel_is_our_mistake_not_the_nodes() {
    let server = Raw::start(|_| nothing(404)).await;
    let (_, clock) = movable();
    let login = Login { username: "u".into(), password: "p".into(), totp_secret: None };
    let access = Access {
        url: server.url.parse().unwrap(),
        token: None,
        login: Some(login),
        tls: Tls::Verify,
        allow_http: true,
        deadlines: Deadlines::default(),
    };
    let panel = Panel::new(access, clock).unwrap();
    let error = panel.status().await.unwrap_err();
    assert!(error.is_misconfigured() && error.to_string().contains("base path"), "{error}");
    assert!(matches!(panel.examine().await.panel, panel::Step::Bad { .. }));
}
