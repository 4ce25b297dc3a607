//! By what the panel lets us in: an API token, or a session that is opened by a login and renewed by itself.
//!
//! Three rules are kept here. A login happens once, however many calls notice at the same time that they need
//! one. After two refused logins none is tried for a quarter of an hour, for panels of generation 3 lock an
//! address out after five. A cookie is kept by its name, the newest value wins: panels put the session itself
//! into it.

use crate::{
    access::{Access, Login},
    error::PanelError,
    http::{Answer, Http, Lost, Request, cookie_header},
    otp::Otp,
    panel::Clock,
    wire::envelope::Envelope,
};
use chrono::{DateTime, Utc};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// Refused logins in a row after which we stop.
const REFUSALS: u32 = 2;
/// For how long: as long as a 3.x panel locks out whoever failed five times.
const SILENCE: Duration = Duration::from_mins(15);

/// What a login told about the panel: those of generation 3 hand out a CSRF token before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    Two,
    Three,
}

/// What one call shows the panel.
#[derive(Debug)]
pub(crate) enum Pass {
    Token(HeaderMap),
    Session {
        headers: HeaderMap,
        spoken: Spoken,
        /// Which login it comes from.
        epoch: u64,
        /// That login was made for this very call.
        fresh: bool,
    },
}

/// The way into one panel.
pub(crate) struct Session {
    token: Option<SecretString>,
    login: Option<Login>,
    clock: Clock,
    state: Mutex<State>,
    /// Held while a login is under way.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    token: TokenState,
    session: Option<Open>,
    /// Grows with every login that succeeded.
    epoch: u64,
    /// Grows with every login that was tried.
    tries: u64,
    /// How the last one ended, for those who waited for it.
    last: Option<PanelError>,
    /// What the panel looked like at the last try, whatever came of it.
    met: Option<Spoken>,
    refused: u32,
    refused_at: Option<SystemTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum TokenState {
    /// As far as we know it is good.
    #[default]
    Good,
    /// The panel did not accept it.
    Refused,
    /// The panel knows no tokens (2.x). Holds until a login finds a newer panel.
    Unknown,
}

#[derive(Clone)]
struct Open {
    cookies: BTreeMap<String, String>,
    csrf: Option<String>,
    spoken: Spoken,
}

impl Session {
    pub(crate) fn new(access: &Access, clock: Clock) -> Self {
        let turn = tokio::sync::Mutex::new(());
        Self { token: access.token.clone(), login: access.login.clone(), clock, state: Mutex::default(), turn }
    }

    /// The time, in ms since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        DateTime::<Utc>::from((self.clock)()).timestamp_millis()
    }

    /// What to show with the next call. Logs in when that is the only way and nobody did so before.
    pub(crate) async fn pass(&self, http: &Http) -> Result<Pass, PanelError> {
        let (ready, epoch) = {
            let state = self.state();
            (self.ready(&state, false), state.epoch)
        };
        if let Some(pass) = ready {
            return Ok(pass);
        }
        self.renew(http, epoch).await?;
        let state = self.state();
        self.ready(&state, true).ok_or_else(|| PanelError::Unauthorised { why: "the session ended at once".into() })
    }

    /// Logs in anew, unless somebody did since the login of this epoch. Everybody who asks while one login is
    /// under way shares its outcome.
    pub(crate) async fn renew(&self, http: &Http, epoch: u64) -> Result<(), PanelError> {
        let tries = self.state().tries;
        let _turn = self.turn.lock().await;
        {
            let state = self.state();
            if state.epoch != epoch && state.session.is_some() {
                return Ok(());
            }
            if state.tries != tries {
                return state.last.clone().map_or(Ok(()), Err);
            }
        }
        let Some(login) = &self.login else {
            return Err(self.nothing_left());
        };
        self.check_silence()?;
        let result = self.open(http, login).await;
        let mut state = self.state();
        state.tries += 1;
        state.last = result.as_ref().err().cloned();
        let open = result?;
        if open.spoken == Spoken::Three && state.token == TokenState::Unknown {
            state.token = TokenState::Good;
        }
        state.session = Some(open);
        state.epoch += 1;
        state.refused = 0;
        Ok(())
    }

    /// Keeps cookies that an answer set, unless a newer login replaced the session meanwhile.
    pub(crate) fn keep(&self, pass: &Pass, answer: &Answer) {
        let Pass::Session { epoch, .. } = pass else { return };
        let mut state = self.state();
        if state.epoch == *epoch
            && let Some(open) = &mut state.session
        {
            store(&mut open.cookies, answer);
        }
    }

    /// The panel did not accept the token. Fails when there is nothing else to try.
    pub(crate) fn token_refused(&self) -> Result<(), PanelError> {
        self.state().token = TokenState::Refused;
        self.login.as_ref().map(|_| ()).ok_or_else(|| self.nothing_left())
    }

    /// The panel has no tokens at all. Fails when there is nothing else to try.
    pub(crate) fn token_unknown(&self) -> Result<(), PanelError> {
        self.state().token = TokenState::Unknown;
        self.login.as_ref().map(|_| ()).ok_or_else(|| self.nothing_left())
    }

    /// Lets go of a session that the panel does not know.
    pub(crate) fn forget(&self) {
        self.state().session = None;
    }

    /// What the newest login told; `None` while the token is used.
    pub(crate) fn spoken(&self) -> Option<Spoken> {
        let state = self.state();
        if self.token.is_some() && state.token == TokenState::Good {
            return None;
        }
        state.session.as_ref().map(|open| open.spoken)
    }

    /// Whether the login that was refused last (or the session that is held) is one at a 2.x panel.
    pub(crate) fn tells_two(&self) -> bool {
        self.state().met == Some(Spoken::Two)
    }

    /// Whether calls show the token.
    pub(crate) fn uses_token(&self) -> bool {
        self.token.is_some() && self.state().token == TokenState::Good
    }

    /// Asks for a CSRF token: panels of generation 3 hand one to anybody, older ones have no such path.
    pub(crate) async fn csrf(&self, http: &Http) -> Result<Option<(String, Answer)>, PanelError> {
        let answer = http.send(&Request::read("csrf-token"), HeaderMap::new()).await.map_err(Lost::into_error)?;
        match answer.status {
            200 => {}
            404 => return Ok(None),
            _ => return Err(stranger(&answer)),
        }
        match Envelope::parse(&answer.body) {
            Ok(Envelope { success: true, obj: serde_json::Value::String(token), .. }) => Ok(Some((token, answer))),
            Ok(_) | Err(()) => Err(stranger(&answer)),
        }
    }

    async fn open(&self, http: &Http, login: &Login) -> Result<Open, PanelError> {
        let mut open = Open { cookies: BTreeMap::new(), csrf: None, spoken: Spoken::Two };
        if let Some((token, answer)) = self.csrf(http).await? {
            store(&mut open.cookies, &answer);
            open.csrf = Some(token);
            open.spoken = Spoken::Three;
        }
        self.state().met = Some(open.spoken);
        let mut fields =
            vec![("username", login.username.clone()), ("password", login.password.expose_secret().to_owned())];
        let code = match &login.totp_secret {
            Some(secret) => Otp::new(secret).map(|otp| otp.code((self.clock)())).unwrap_or_default(),
            None => String::new(),
        };
        fields.push(("twoFactorCode", code));
        let answer = http.send(&Request::login(fields), open.headers()).await.map_err(Lost::into_error)?;
        if answer.status != 200 {
            return Err(stranger(&answer));
        }
        let envelope = Envelope::parse(&answer.body).map_err(|()| {
            PanelError::unexpected("the login was answered with something else than yes or no", &answer.body)
        })?;
        if !envelope.success {
            return Err(self.refused(&envelope.msg));
        }
        store(&mut open.cookies, &answer);
        if answer.cookies.is_empty() {
            return Err(PanelError::unexpected("the login succeeded, but no session cookie came with it", b""));
        }
        Ok(open)
    }

    fn ready(&self, state: &State, fresh: bool) -> Option<Pass> {
        if state.token == TokenState::Good
            && let Some(token) = &self.token
        {
            let mut headers = HeaderMap::new();
            if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())) {
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            return Some(Pass::Token(headers));
        }
        let open = state.session.as_ref()?;
        Some(Pass::Session { headers: open.headers(), spoken: open.spoken, epoch: state.epoch, fresh })
    }

    fn refused(&self, message: &str) -> PanelError {
        let mut state = self.state();
        state.refused += 1;
        let now = (self.clock)();
        state.refused_at = Some(now);
        let mut why = format!("user name, password or second factor are not accepted ({})", message.trim());
        if state.token == TokenState::Refused {
            why.push_str("; neither is the API token");
        }
        if state.refused >= REFUSALS {
            why.push_str(&not_before(now + SILENCE));
        }
        PanelError::Unauthorised { why }
    }

    /// Fails while the quarter of an hour after two refusals lasts. A clock that was set back ends it.
    fn check_silence(&self) -> Result<(), PanelError> {
        let mut state = self.state();
        let (Some(since), true) = (state.refused_at, state.refused >= REFUSALS) else { return Ok(()) };
        match (self.clock)().duration_since(since) {
            Ok(passed) if passed < SILENCE => Err(PanelError::Unauthorised {
                why: format!("the panel refused the login {REFUSALS} times{}", not_before(since + SILENCE)),
            }),
            Ok(_) | Err(_) => {
                state.refused = 0;
                Ok(())
            }
        }
    }

    /// Since when no login is tried, because the panel refused too many; that it lasts no more shows at the next try.
    pub(crate) fn silent_since(&self) -> Option<SystemTime> {
        let state = self.state();
        state.refused_at.filter(|_| state.refused >= REFUSALS)
    }

    /// As if the panel had refused too many logins at this time.
    pub(crate) fn be_silent_since(&self, at: SystemTime) {
        let mut state = self.state();
        (state.refused, state.refused_at) = (REFUSALS, Some(at));
    }

    fn nothing_left(&self) -> PanelError {
        match self.state().token {
            TokenState::Unknown => PanelError::Unsuitable {
                why: "no panel that knows API tokens answers under this path: check the base path; a 2.x panel has \
                      no tokens and needs user name and password"
                    .into(),
            },
            TokenState::Good | TokenState::Refused => PanelError::Unauthorised {
                why: "the API token is not accepted (revoked, disabled or mistyped), and no login is given".into(),
            },
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        cookie_header(&mut headers, self.cookies.iter().map(|(name, value)| format!("{name}={value}")));
        if let Some(csrf) = self.csrf.as_deref().and_then(|token| HeaderValue::from_str(token).ok()) {
            headers.insert("X-CSRF-Token", csrf);
        }
        headers
    }
}

fn store(cookies: &mut BTreeMap<String, String>, answer: &Answer) {
    for pair in &answer.cookies {
        if let Some((name, value)) = pair.split_once('=') {
            cookies.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
}

fn not_before(until: SystemTime) -> String {
    format!("; not trying again before {}", DateTime::<Utc>::from(until).format("%Y-%m-%d %H:%M:%S UTC"))
}

/// An answer that no panel gives to somebody who is about to log in.
pub(crate) fn stranger(answer: &Answer) -> PanelError {
    let why = match answer.status {
        200 => "something else than a panel answers under this path: check address and base path".to_owned(),
        404 => "there is no panel under this path (404): check the base path".to_owned(),
        403 => "it forbids the call (403): a panel that is bound to a domain must be addressed by that name".to_owned(),
        301..=308 => format!(
            "it redirects to {}: give that address, or check http and https",
            crate::error::excerpt(answer.location.as_deref().unwrap_or("nowhere").as_bytes())
        ),
        502..=504 => {
            return PanelError::Unreachable {
                layer: crate::error::Layer::Http,
                source: crate::error::Cause(format!("a proxy answers {} in the panel's place", answer.status)),
            };
        }
        status => return PanelError::unexpected(format!("HTTP status {status}"), &answer.body),
    };
    PanelError::Unsuitable { why }
}
