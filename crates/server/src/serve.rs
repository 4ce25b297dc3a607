//! `muster serve`: the HTTP faces and the loops, until somebody stops them.

use crate::{api, app::App, bot};
use axum::{Router, extract::DefaultBodyLimit};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower_http::{catch_panic::CatchPanicLayer, trace::TraceLayer};

/// The largest request body that is read, in bytes: the largest sensible one is a few hundred.
const BODY: usize = 64 * 1024;
/// How many callers may wait to be accepted.
const QUEUE: u32 = 4096;
/// How long requests under way may take once the program is told to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(3);
/// How long the loops may then take to finish what they are saying to a panel. What is cut off here is found out
/// by the next start, which assumes nothing.
const LAST_PASSES: Duration = Duration::from_millis(1500);

/// All that is answered over HTTP.
pub fn router(app: &App) -> Router {
    Router::new()
        .merge(bot::router(app))
        .merge(api::router(app))
        .fallback(api::unknown_path)
        .method_not_allowed_fallback(api::wrong_method)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| api::panicked()))
        // Failures are logged where they happen, with their cause.
        .layer(TraceLayer::new_for_http().on_failure(()))
        .with_state(app.clone())
}

/// A socket to answer on. Fails when the address is taken or not this machine's.
///
/// Many users press a button at the same moment, when the bot has written to all of them: the queue of those not
/// yet accepted is long, for whoever finds it full tries again only a second later.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A program that was restarted may listen where its predecessor's connections are not forgotten yet.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// Answers on `listener` and runs the loops until `stop`; then ends within 5 s.
pub async fn serve(app: App, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
    let loops = tokio::spawn(app.loops().run(stop.child_token()));
    let faces = router(&app).into_make_service_with_connect_info::<SocketAddr>();
    let asked_to_stop = stop.clone();
    let server = axum::serve(listener, faces).with_graceful_shutdown(async move { asked_to_stop.cancelled().await });
    let server = server.into_future();
    tokio::pin!(server);
    let outcome = tokio::select! {
        done = &mut server => done,
        () = stop.cancelled() => timeout(LAST_REQUESTS, &mut server).await.unwrap_or_else(|_| {
            tracing::warn!("requests were still under way and were cut off");
            Ok(())
        }),
    };
    stop.cancel();
    if timeout(LAST_PASSES, loops).await.is_err() {
        tracing::warn!("a panel was still being spoken to; the next start finds out what became of it");
    }
    outcome
}

/// Ends when the process is told to stop (SIGTERM, SIGINT).
pub async fn told_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}
