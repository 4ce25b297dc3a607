//! A web server that can misbehave on the wire in ways that no decent one does: cut answers, endless ones, silence.

#![expect(dead_code, reason = "each test program uses its own part")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use panel::{Access, Clock, Deadlines, Panel, Tls};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use tokio_rustls::{TlsAcceptor, rustls};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// What the server does about it.
pub(crate) enum Reply {
    /// Status, further header lines, body.
    Answer(u16, Vec<String>, Vec<u8>),
    /// The head of an answer and half of its body, then the end of the connection.
    CutOff(Vec<u8>),
    /// The end of the connection.
    Nothing,
    /// Neither an answer nor an end.
    Silence,
    /// Zeros for ever.
    Endless,
}

/// An answer as panels give it.
pub(crate) fn yes(obj: &serde_json::Value) -> Reply {
    let body = serde_json::json!({"success": true, "msg": "", "obj": obj});
    Reply::Answer(200, vec![], body.to_string().into_bytes())
}

/// Answers a client's questions about what it is as a 3.6 panel does; `None` for any other question.
pub(crate) fn like_a_panel(seen: &Seen) -> Option<Reply> {
    match seen.path.split('?').next()? {
        "/panel/api/clients/list/paged" => Some(yes(&serde_json::json!({"items": [], "total": 0}))),
        "/panel/api/server/status" => {
            Some(yes(&serde_json::json!({"xray": {"state": "running"}, "panelVersion": "3.6.0"})))
        }
        _ => None,
    }
}

/// A running server.
pub(crate) struct Raw {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Raw {
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(None, answer).await
    }

    pub(crate) async fn start_tls(
        config: rustls::ServerConfig,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Some(TlsAcceptor::from(Arc::new(config))), answer).await
    }

    async fn listen(tls: Option<TlsAcceptor>, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://localhost:{port}/");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, log, answer) = (tls.clone(), log.clone(), answer.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &log, answer.as_ref()).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &log, answer.as_ref()).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, seen }
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// A client of this server with a token.
    pub(crate) fn panel(&self) -> Panel {
        panel(&self.url, Tls::Verify, short())
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, log: &Mutex<Vec<Seen>>, answer: &impl Fn(&Seen) -> Reply) {
    let mut stream = BufReader::new(stream);
    while let Some(seen) = request(&mut stream).await {
        log.lock().unwrap().push(seen.clone());
        let written = match answer(&seen) {
            Reply::Answer(status, headers, body) => {
                let head = headers.iter().fold(String::new(), |all, line| all + line + "\r\n");
                let head = format!("HTTP/1.1 {status} X\r\n{head}Content-Length: {}\r\n\r\n", body.len());
                stream.write_all(&[head.as_bytes(), &body].concat()).await
            }
            Reply::CutOff(body) => {
                let head = format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(&[head.as_bytes(), &body[..body.len() / 2]].concat()).await;
                let _ = stream.flush().await;
                return;
            }
            Reply::Nothing => return,
            Reply::Silence => std::future::pending().await,
            Reply::Endless => {
                let _ = stream.write_all(b"HTTP/1.1 200 X\r\n\r\n").await;
                let zeros = vec![b'0'; 1 << 16];
                while stream.write_all(&zeros).await.is_ok() {}
                return;
            }
        };
        if written.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

async fn request<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>) -> Option<Seen> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut words = lines.first()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, n)| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { method, path, headers, body: String::from_utf8(body).unwrap() })
}

/// Deadlines for servers that are meant not to answer.
pub(crate) fn short() -> Deadlines {
    let soon = Duration::from_millis(400);
    Deadlines { connect: soon, read: soon, write: soon }
}

/// A client of this address with a token.
pub(crate) fn panel(url: &str, tls: Tls, deadlines: Deadlines) -> Panel {
    let access = Access {
        url: url.parse().unwrap(),
        token: Some("t0ken".into()),
        login: None,
        tls,
        allow_http: true,
        deadlines,
    };
    Panel::new(access, clock()).unwrap()
}

/// A clock that stands still.
pub(crate) fn clock() -> Clock {
    Arc::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000))
}
