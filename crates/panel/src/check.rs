//! One look at a node for its health: each layer with its own result and time, and nothing concluded.
//!
//! A full check goes the whole way to the panel and to the public ports, side by side; a light one only connects.
//! What the results mean is `fleet`'s business ([`fleet::health`]).

use crate::{Panel, PanelError, Status, XrayState, tls};
use fleet::{
    health::reading::{Depth, LayerResult, PanelLayers, Port, Reading, Xray},
    id::InboundId,
};
use futures::future::join_all;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{error::Error as _, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

/// A public port that users reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicPort {
    /// The inbound behind it.
    pub inbound: InboundId,
    /// The address that users' links name.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The server name to say hello with, where the inbound speaks TLS or REALITY.
    pub hello: Option<String>,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// Every layer.
    pub reading: Reading,
    /// The panel's view of its machine, where it told.
    pub status: Option<Status>,
}

/// How long a check waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For connecting, each time.
    pub connect: Duration,
    /// For the whole check.
    pub whole: Duration,
}

impl Panel {
    /// Looks at every layer. Ends within `patience.whole`; never fails as a whole.
    pub async fn check(&self, ports: &[PublicPort], patience: Patience) -> Checked {
        let started_ms = self.session.now_ms();
        let until = Instant::now() + patience.whole;
        let way = self.way_to_panel(patience.connect, until);
        let doors = join_all(ports.iter().map(|port| self.door(port, patience.connect, until, true)));
        let ((panel, status), ports) = tokio::join!(way, doors);
        let ended_ms = self.session.now_ms();
        Checked { reading: Reading { started_ms, ended_ms, depth: Depth::Full, panel, ports }, status }
    }

    /// Connects to the panel and to the public ports, and lets go again. Ends within `deadline`.
    pub async fn check_lightly(&self, ports: &[PublicPort], deadline: Duration) -> Reading {
        let started_ms = self.session.now_ms();
        let until = Instant::now() + deadline;
        let knock = async {
            let mut layers = PanelLayers::not_reached(self.is_tls());
            let stream = connect(&self.address(), deadline, until, &mut layers.name, &mut layers.tcp).await;
            hang_up(stream);
            layers
        };
        let doors = join_all(ports.iter().map(|port| self.door(port, deadline, until, false)));
        let (panel, ports) = tokio::join!(knock, doors);
        Reading { started_ms, ended_ms: self.session.now_ms(), depth: Depth::Light, panel, ports }
    }

    async fn way_to_panel(&self, wait: Duration, until: Instant) -> (PanelLayers, Option<Status>) {
        let mut layers = PanelLayers::not_reached(self.is_tls());
        let host = self.address();
        let Some(stream) = connect(&host, wait, until, &mut layers.name, &mut layers.tcp).await else {
            return (layers, None);
        };
        if let Some(tls) = &mut layers.tls {
            *tls = hello(stream, self.http.tls.clone(), &host.0, wait, until).await;
            if !tls.is_good() {
                return (layers, None);
            }
        }
        let began = Instant::now();
        let left = until.saturating_duration_since(began);
        let answer = timeout(left, self.status()).await;
        let ms = ms(began);
        match answer {
            Ok(Ok(status)) => {
                for layer in [&mut layers.http, &mut layers.path, &mut layers.authorised] {
                    *layer = LayerResult::Good { ms };
                }
                layers.xray = match status.xray.state {
                    XrayState::Running => Xray::Running { ms },
                    XrayState::Stopped => Xray::Stopped { ms },
                    XrayState::Error => Xray::Error { why: status.xray.error.clone(), ms },
                    XrayState::NotYet => Xray::NotYet { ms },
                };
                (layers, Some(status))
            }
            Ok(Err(error)) => {
                write_down(&mut layers, &error, ms);
                (layers, None)
            }
            Err(_) => {
                layers.http = LayerResult::Bad { why: too_late(left), ms };
                (layers, None)
            }
        }
    }

    async fn door(&self, port: &PublicPort, wait: Duration, until: Instant, with_hello: bool) -> Port {
        let (mut name, mut tcp) = (LayerResult::NotReached, LayerResult::NotReached);
        let host = (port.host.clone(), port.port);
        let stream = connect(&host, wait, until, &mut name, &mut tcp).await;
        if let LayerResult::Bad { .. } = name {
            tcp = name;
        }
        let tls = match (&port.hello, stream) {
            (Some(server), Some(stream)) if with_hello => {
                Some(hello(stream, self.hello.clone(), server, wait, until).await)
            }
            (Some(_), stream) => {
                hang_up(stream);
                Some(LayerResult::NotReached)
            }
            (None, stream) => {
                hang_up(stream);
                None
            }
        };
        Port { inbound: port.inbound, port: port.port, tcp, tls }
    }

    fn is_tls(&self) -> bool {
        self.http.base.scheme() != "http"
    }

    fn address(&self) -> (String, u16) {
        let host = self.http.base.host_str().unwrap_or_default().trim_matches(['[', ']']);
        (host.to_owned(), self.http.base.port_or_known_default().unwrap_or_default())
    }
}

/// How far the panel's answer shows that we came.
fn write_down(layers: &mut PanelLayers, error: &PanelError, ms: u32) {
    let good = LayerResult::Good { ms };
    let bad = LayerResult::Bad { why: in_words(error), ms };
    match error {
        PanelError::Unauthorised { .. } => {
            (layers.http, layers.path, layers.authorised) = (good.clone(), good, bad);
        }
        PanelError::Unsuitable { .. } => (layers.http, layers.path) = (good, bad),
        PanelError::Unreachable { .. }
        | PanelError::Unclear { .. }
        | PanelError::Refused { .. }
        | PanelError::Unexpected { .. } => layers.http = bad,
    }
}

fn in_words(error: &PanelError) -> String {
    match (error, error.source()) {
        (PanelError::Unreachable { source, .. }, _) => source.to_string(),
        (_, Some(source)) => format!("{error}: {source}"),
        (_, None) => error.to_string(),
    }
}

/// A connection to the first address that accepts.
async fn connect(
    (host, port): &(String, u16),
    wait: Duration,
    until: Instant,
    name: &mut LayerResult,
    tcp: &mut LayerResult,
) -> Option<TcpStream> {
    let began = Instant::now();
    let left = wait.min(until.saturating_duration_since(began));
    let found: Result<Vec<SocketAddr>, String> = match timeout(left, lookup_host((host.as_str(), *port))).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(too_late(left)),
    };
    let found = match found {
        Ok(found) if !found.is_empty() => found,
        Ok(_) => {
            *name = LayerResult::Bad { why: "it has no address".into(), ms: ms(began) };
            return None;
        }
        Err(why) => {
            *name = LayerResult::Bad { why, ms: ms(began) };
            return None;
        }
    };
    *name = LayerResult::Good { ms: ms(began) };
    let began = Instant::now();
    let mut why = String::new();
    for address in found {
        let left = wait.min(until.saturating_duration_since(Instant::now()));
        why = match timeout(left, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                *tcp = LayerResult::Good { ms: ms(began) };
                return Some(stream);
            }
            Ok(Err(error)) => words_of(&error),
            Err(_) => too_late(left),
        };
    }
    *tcp = LayerResult::Bad { why, ms: ms(began) };
    None
}

/// Lets go of a connection that nothing was said on, without the farewell that keeps both sides waiting: a thousand
/// nodes are knocked at hundreds of times a second.
fn hang_up(stream: Option<TcpStream>) {
    // Where the system will not, it takes the long way.
    let _ = stream.map(|stream| stream.set_zero_linger());
}

async fn hello(
    stream: TcpStream,
    config: Arc<ClientConfig>,
    server: &str,
    wait: Duration,
    until: Instant,
) -> LayerResult {
    let began = Instant::now();
    let left = wait.min(until.saturating_duration_since(began));
    let name = match ServerName::try_from(server.to_owned()) {
        Ok(name) => name,
        Err(error) => return LayerResult::Bad { why: error.to_string(), ms: ms(began) },
    };
    match timeout(left, TlsConnector::from(config).connect(name, stream)).await {
        Ok(Ok(_)) => LayerResult::Good { ms: ms(began) },
        Ok(Err(error)) => LayerResult::Bad { why: words_of(&error), ms: ms(began) },
        Err(_) => LayerResult::Bad { why: too_late(left), ms: ms(began) },
    }
}

fn words_of(error: &io::Error) -> String {
    if let Some(words) = tls::words_in(error) {
        return words;
    }
    let known = [
        (io::ErrorKind::ConnectionRefused, "refused"),
        (io::ErrorKind::ConnectionReset, "cut off"),
        (io::ErrorKind::UnexpectedEof, "cut off"),
        (io::ErrorKind::HostUnreachable, "no route to it"),
        (io::ErrorKind::NetworkUnreachable, "no route to it"),
    ];
    let words = known.iter().find(|(kind, _)| *kind == error.kind());
    words.map_or_else(|| error.to_string(), |(_, words)| (*words).to_owned())
}

fn too_late(wait: Duration) -> String {
    format!("no answer within {:.0} s", wait.as_secs_f32().max(1.0))
}

fn ms(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_millis()).unwrap_or(u32::MAX)
}
