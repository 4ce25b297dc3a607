//! The wire: connections, bytes, deadlines, and the faults that strike between a caller and the panel.

use crate::{
    call::{Call, Reply},
    door::{Line, keep},
    engine::Engine,
    fault::{Fault, Pace},
    sim::Shared,
};
use axum::{
    body::{Body, to_bytes},
    http::{Request, Response, StatusCode},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// Larger bodies are not read to their end; 3.x refuses those over 10 MiB itself.
const LARGEST_BODY: usize = 64 << 20;

/// Answers until the panel is stopped.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener, address: SocketAddr) {
    let line = shared.line.subscribe();
    keep(listener, address, line, |stream, peer| converse(shared.clone(), stream, peer)).await;
}

/// One connection, until either side or the line ends it.
async fn converse(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let mut line = shared.line.subscribe();
    let _ = stream.set_nodelay(true);
    if is_mute(*line.borrow()) {
        // Held open and never read.
        let _ = line.wait_for(|line| !is_mute(*line)).await;
        return;
    }
    let service = service_fn(|request| {
        let shared = shared.clone();
        async move { handle(&shared, request, peer).await }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = connection => {}
        _ = line.wait_for(|line| matches!(line, Line::Dead | Line::Stopped)) => {}
    }
}

/// Whether nothing is heard of the machine although connections stand.
fn is_mute(line: Line) -> bool {
    matches!(line, Line::BlackHole | Line::Cut)
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct NoAnswer;

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no answer")
    }
}

impl std::error::Error for NoAnswer {}

async fn handle(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response<Body>, NoAnswer> {
    let mut line = shared.line.subscribe();
    let (head, body) = request.into_parts();
    let body = to_bytes(Body::new(body), LARGEST_BODY).await.map_err(|_| NoAnswer)?;
    if is_mute(*line.borrow_and_update()) {
        let _ = line.wait_for(|line| !is_mute(*line)).await;
        return Err(NoAnswer);
    }
    let Some(path) = head.uri.path().strip_prefix(shared.setup.base_path.as_str()) else {
        return Ok(response(Reply::empty(404)));
    };
    let segments = path.split('/').map(decoded).collect();
    let query = serde_urlencoded::from_str(head.uri.query().unwrap_or_default()).unwrap_or_default();
    let raw_path = path.to_owned();
    let call = Call { method: head.method, segments, raw_path, query, headers: head.headers, body, peer: peer.ip() };
    // The panel goes on with what it began when its caller hangs up.
    let shared = shared.clone();
    let reply = tokio::spawn(async move { with_faults(&shared, call).await }).await;
    reply.map_err(|_| NoAnswer)?.map(response)
}

fn decoded(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

fn response(reply: Reply) -> Response<Body> {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.body)).unwrap_or_else(|_| {
        let mut broken = Response::new(Body::empty());
        *broken.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        broken
    })
}

async fn with_faults(shared: &Shared, call: Call) -> Result<Reply, NoAnswer> {
    let api = call.segments.first().is_some_and(|s| s == "panel" || s == "login" || s == "csrf-token");
    let write = is_client_write(&call);
    shared.calls.fetch_add(1, Ordering::Relaxed);
    if write {
        *shared.writes.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }
    if is_listing(&call) {
        *shared.listings.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }
    let slow = shared.faults().strike(|fault| api && matches!(fault, Fault::Slow(_)));
    if let Some(Fault::Slow(by)) = slow {
        sleep(by).await;
    }
    let fault = shared.faults().strike(|fault| concerns(fault, api, write, &call));
    let turn = if write { Some(shared.writing.lock().await) } else { None };
    sleep_at_pace(shared, &call, write).await;
    match fault {
        Some(Fault::BadGateway) => Ok(Reply::empty(502)),
        Some(Fault::ErrorBefore) => Ok(Reply::empty(500)),
        Some(Fault::ErrorAfter) => {
            answer(shared, &call);
            Ok(Reply::empty(500))
        }
        Some(Fault::AnswerLost) => {
            answer(shared, &call);
            Err(NoAnswer)
        }
        Some(Fault::Truncated) => {
            let mut reply = answer(shared, &call);
            reply.body.truncate(reply.body.len() / 2);
            Ok(reply)
        }
        Some(Fault::Locked) => {
            let mut engine = shared.engine();
            engine.set_locked(true);
            let reply = engine.answer(&call, shared.clock.now_ms());
            engine.set_locked(false);
            Ok(reply)
        }
        Some(Fault::LostUpdate(after)) => {
            drop(turn);
            Ok(on_an_old_array(shared, &call, after).await)
        }
        Some(Fault::EmptyLists) => Ok(shared.engine().clone().emptied().answer(&call, shared.clock.now_ms())),
        Some(Fault::Dead | Fault::BlackHole | Fault::Cut | Fault::PanelDead | Fault::PortClosed | Fault::Slow(_))
        | None => Ok(answer(shared, &call)),
    }
}

fn answer(shared: &Shared, call: &Call) -> Reply {
    shared.engine().answer(call, shared.clock.now_ms())
}

/// Reads the client array of the inbound that the call is about, and works on it `after` a while as if nobody had
/// written to it meanwhile.
async fn on_an_old_array(shared: &Shared, call: &Call, after: Duration) -> Reply {
    let old = match (&*shared.engine(), written_inbound(call)) {
        (Engine::Two(panel), Some(id)) => Some((id, panel.array(id))),
        (Engine::Two(_) | Engine::Three(_), _) => None,
    };
    sleep(after).await;
    let mut engine = shared.engine();
    if let (Engine::Two(panel), Some((id, array))) = (&mut *engine, old) {
        panel.set_array(id, array);
    }
    engine.answer(call, shared.clock.now_ms())
}

/// The inbound that a client write of 2.x is about: in its path or in its body.
fn written_inbound(call: &Call) -> Option<i64> {
    let in_path = call.route().get(3).and_then(|id| id.parse().ok());
    in_path.or_else(|| call.bind().ok()?.get("id")?.as_i64())
}

fn concerns(fault: Fault, api: bool, write: bool, call: &Call) -> bool {
    match fault {
        Fault::AnswerLost | Fault::ErrorBefore | Fault::ErrorAfter | Fault::Locked | Fault::LostUpdate(_) => write,
        Fault::Truncated | Fault::BadGateway => api,
        Fault::EmptyLists => is_listing(call),
        Fault::Dead | Fault::BlackHole | Fault::Cut | Fault::PanelDead | Fault::PortClosed | Fault::Slow(_) => false,
    }
}

fn is_listing(call: &Call) -> bool {
    matches!(
        call.route().as_slice(),
        ["panel", "api", "inbounds", "list" | "get", ..] | ["panel", "api", "clients", "list" | "export" | "get", ..]
    )
}

/// Whether a call changes clients.
fn is_client_write(call: &Call) -> bool {
    let route = call.route();
    let word = match route.as_slice() {
        ["panel", "api", "inbounds", _, word @ ("delClient" | "delClientByEmail" | "copyClients"), ..]
        | ["panel", "api", "inbounds", word @ ("addClient" | "updateClient"), ..]
        | ["panel", "api", "clients", word @ ("add" | "update" | "del" | "import"), ..]
        | ["panel", "api", "clients", _, word @ ("attach" | "detach")] => word,
        ["panel", "api", "clients", word] if word.starts_with("bulk") => word,
        _ => return false,
    };
    !word.is_empty() && call.method == axum::http::Method::POST
}

async fn sleep_at_pace(shared: &Shared, call: &Call, write: bool) {
    let pace = *shared.pace.lock().unwrap_or_else(PoisonError::into_inner);
    if pace == Pace::default() {
        return;
    }
    let mut time = pace.call;
    if write {
        // Every client of a body has a name, whatever the shape of the body.
        let named = count(&call.body, b"email");
        let listed = if named == 0 { count(&call.body, b"\"m") } else { named };
        time += pace.client * u32::try_from(listed).unwrap_or(u32::MAX);
        let held: usize = {
            let engine = shared.engine();
            engine.inbound_ids().into_iter().map(|id| engine.count(id)).sum()
        };
        time += pace.held * u32::try_from(held).unwrap_or(u32::MAX);
    }
    sleep(time).await;
}

fn count(body: &[u8], word: &[u8]) -> usize {
    body.windows(word.len()).filter(|window| *window == word).count()
}
