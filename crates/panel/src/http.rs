//! One request, one bounded answer, and how far it came when there is none.

use crate::{
    access::{Access, AccessError, Deadlines},
    error::{Cause, Layer, PanelError},
    tls::{self, Shown},
};
use reqwest::{
    dns::{Addrs, Name, Resolve, Resolving},
    header::{COOKIE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE},
    redirect::Policy,
};
use rustls::ClientConfig;
use std::{error::Error, sync::Arc, time::Duration};
use url::Url;

/// The largest listing that is read: what 3x-ui's own controller accepts of a node; some 100,000 clients.
const LISTING: usize = 64 << 20;
/// The largest other answer that is read.
const ORDINARY: usize = 1 << 20;

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Segments of the path below the base path; each is percent-encoded as a whole.
    path: Vec<String>,
    query: Option<&'static str>,
    body: Body,
    /// Whether it changes anything: then a lost answer leaves doubt, and the longer deadline holds.
    pub(crate) writes: bool,
    bound: usize,
}

#[derive(Debug, Clone)]
enum Body {
    None,
    /// Posted all the same.
    Empty,
    Json(String),
    Form(Vec<(&'static str, String)>),
}

impl Request {
    /// Reads something small. `path` is split at `/`.
    pub(crate) fn read(path: &str) -> Self {
        let path = path.split('/').map(str::to_owned).collect();
        Self { path, query: None, body: Body::None, writes: false, bound: ORDINARY }
    }

    /// Reads something that grows with the number of clients.
    pub(crate) fn list(path: &str) -> Self {
        Self { bound: LISTING, ..Self::read(path) }
    }

    /// Reads something that panels want to be asked for by POST.
    pub(crate) fn question(path: &str) -> Self {
        Self { body: Body::Empty, ..Self::list(path) }
    }

    /// Changes something.
    pub(crate) fn write(path: &str) -> Self {
        Self { writes: true, ..Self::read(path) }
    }

    /// Appends one segment to the path, whatever characters it holds.
    pub(crate) fn segment(mut self, segment: &str) -> Self {
        self.path.push(segment.to_owned());
        self
    }

    /// With a query.
    pub(crate) fn query(self, query: &'static str) -> Self {
        Self { query: Some(query), ..self }
    }

    /// With a JSON body.
    pub(crate) fn json(self, body: &serde_json::Value) -> Self {
        Self { body: Body::Json(body.to_string()), ..self }
    }

    /// A login: posted as a form. It changes nothing that matters, so its answer may get lost.
    pub(crate) fn login(fields: Vec<(&'static str, String)>) -> Self {
        Self { body: Body::Form(fields), ..Self::read("login") }
    }

    /// For messages: the path without the base path, which operators keep to themselves.
    pub(crate) fn name(&self) -> String {
        self.path.join("/")
    }

    fn is_post(&self) -> bool {
        self.writes || !matches!(self.body, Body::None)
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `name=value` of every cookie that was set.
    pub(crate) cookies: Vec<String>,
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// Why no answer came back.
#[derive(Debug)]
pub(crate) enum Lost {
    /// Before anything was sent.
    Unsent(Layer, Cause),
    /// After something may have been sent.
    Sent(Cause),
    /// The answer is larger than we read.
    TooLarge(usize),
}

/// Connections to one panel.
pub(crate) struct Http {
    client: reqwest::Client,
    /// For handshakes that are not part of a request.
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) base: Url,
    deadlines: Deadlines,
}

impl Http {
    /// Nothing is sent yet.
    pub(crate) fn new(access: &Access) -> Result<Self, AccessError> {
        let base = access.base()?;
        let config = tls::config(access.tls, Shown::default()).map_err(AccessError::Client)?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(config.clone())
            .http1_only()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .dns_resolver(System)
            .connect_timeout(access.deadlines.connect)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(IDLE)
            .build()
            .map_err(|e| AccessError::Client(innermost(&e)))?;
        Ok(Self { client, tls: Arc::new(config), base, deadlines: access.deadlines })
    }

    /// Sends a request with these headers and reads the answer up to its bound, whatever its status.
    pub(crate) async fn send(&self, request: &Request, headers: HeaderMap) -> Result<Answer, Lost> {
        let deadline = if request.writes { self.deadlines.write } else { self.deadlines.read };
        let url = self.url(request);
        let call = if request.is_post() { self.client.post(url) } else { self.client.get(url) };
        let call = call.timeout(deadline).header("X-Requested-With", "XMLHttpRequest").headers(headers);
        let call = match &request.body {
            Body::None | Body::Empty => call,
            Body::Json(text) => call.header("Content-Type", "application/json").body(text.clone()),
            Body::Form(fields) => call.form(fields),
        };
        let mut response = call.send().await.map_err(|e| lost(&e, deadline))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| lost(&e, deadline))? {
            if body.len() + chunk.len() > request.bound {
                return Err(Lost::TooLarge(request.bound));
            }
            body.extend_from_slice(&chunk);
        }
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        Ok(Answer {
            status: response.status().as_u16(),
            cookies: response
                .headers()
                .get_all(SET_COOKIE)
                .iter()
                .filter_map(text)
                .filter_map(|cookie| cookie.split(';').next().map(|pair| pair.trim().to_owned()))
                .collect(),
            location: response.headers().get(LOCATION).and_then(text),
            body,
        })
    }

    fn url(&self, request: &Request) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&request.path);
        }
        url.set_query(request.query);
        url
    }
}

/// How long a connection is kept after a call: as long as calls follow each other, as in a burst. One that is kept from
/// one check to the next costs 25 KB a node, and panels close it when they like.
const IDLE: Duration = Duration::from_secs(5);

/// A cookie header; `None` for a value that no header can hold.
pub(crate) fn cookie_header(headers: &mut HeaderMap, pairs: impl Iterator<Item = String>) {
    let line = pairs.collect::<Vec<_>>().join("; ");
    if let Ok(mut value) = HeaderValue::from_str(&line) {
        value.set_sensitive(true);
        headers.insert(COOKIE, value);
    }
}

impl Lost {
    /// As the error of a call that only reads.
    pub(crate) fn into_error(self) -> PanelError {
        match self {
            Self::Unsent(layer, source) => PanelError::Unreachable { layer, source },
            Self::Sent(source) => PanelError::Unreachable { layer: Layer::Http, source },
            Self::TooLarge(bound) => {
                PanelError::unexpected(format!("the answer is larger than {} MiB", bound >> 20), b"")
            }
        }
    }
}

fn lost(error: &reqwest::Error, deadline: Duration) -> Lost {
    let cause = innermost(error);
    if error.is_connect() {
        return Lost::Unsent(layer(error), cause);
    }
    if error.is_timeout() {
        return Lost::Sent(Cause(format!("no answer within {} s", deadline.as_secs_f32())));
    }
    if error.is_builder() {
        return Lost::Unsent(Layer::Http, cause);
    }
    Lost::Sent(cause)
}

/// Every error in the chain, those inside an I/O error included (its `source` skips them).
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&e| {
        let inside = e.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        inside.map(|inner| inner as &(dyn Error + 'static)).or_else(|| e.source())
    })
}

fn layer(error: &reqwest::Error) -> Layer {
    for e in chain(error) {
        if e.is::<NoAddress>() {
            return Layer::Name;
        }
        if e.is::<rustls::Error>() {
            return Layer::Tls;
        }
    }
    Layer::Tcp
}

/// What TLS says if it is to blame, else the last error of the chain: the only one that says what happened, and one that
/// holds no address.
fn innermost(error: &(dyn Error + 'static)) -> Cause {
    let tls = chain(error).find_map(|e| e.downcast_ref::<rustls::Error>()).map(tls::words_of);
    let last = tls.unwrap_or_else(|| chain(error).last().map_or_else(String::new, ToString::to_string));
    Cause(if last.is_empty() { "the connection was closed".to_owned() } else { last })
}

/// The host name has no address.
#[derive(Debug, thiserror::Error)]
#[error("the host name cannot be resolved: {0}")]
pub(crate) struct NoAddress(pub(crate) String);

/// The system's resolver, with an error that can be told from a failed connection.
struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(found) => Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs),
                Err(error) => Err(Box::new(NoAddress(error.to_string())) as Box<dyn Error + Send + Sync>),
            }
        })
    }
}
