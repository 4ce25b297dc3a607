//! A port of the machine: open, refusing, or swallowing what is sent to it, as somebody switches it.

use std::{future::Future, io, net::SocketAddr, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    time::{sleep, timeout},
};

/// What a port does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Up,
    /// Refuses, and has cut what there was.
    Dead,
    /// Accepts and says nothing.
    BlackHole,
    /// Swallows every packet: not even a connection comes about.
    Cut,
    /// Stopped for good.
    Stopped,
}

/// How many connections wait to be accepted.
const QUEUE: u32 = 1024;

/// Listens at `address` as `line` says, and hands over connections, until it is stopped.
pub(crate) async fn keep<F>(
    first: TcpListener,
    address: SocketAddr,
    mut line: watch::Receiver<Line>,
    converse: impl Fn(TcpStream, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut listener = Some(first);
    // Bound and never listening, it keeps the port ours while nobody listens.
    let _reserved = reserve(address);
    let mut swallowing = None;
    loop {
        let now = *line.borrow_and_update();
        if now != Line::Cut {
            swallowing = None;
        }
        match now {
            Line::Stopped => return,
            Line::Dead => listener = None,
            Line::Cut if swallowing.is_none() => {
                listener = None;
                swallowing = swallow(address).await.ok();
            }
            Line::Up | Line::BlackHole if listener.is_none() => match reserve(address).and_then(|s| s.listen(QUEUE)) {
                Ok(again) => listener = Some(again),
                Err(_) => sleep(Duration::from_millis(5)).await,
            },
            Line::Up | Line::BlackHole | Line::Cut => {}
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await.ok(),
                None if matches!(now, Line::Up | Line::BlackHole) => None,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = line.changed() => if changed.is_err() { return },
            connection = accepted => if let Some((stream, peer)) = connection {
                tokio::spawn(converse(stream, peer));
            },
        }
    }
}

fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// A listener whose queue is full and never emptied: the kernel drops every further packet that asks for a
/// connection, as a link that is down does.
async fn swallow(address: SocketAddr) -> io::Result<(TcpListener, Vec<TcpStream>)> {
    let listener = reserve(address)?.listen(1)?;
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
        waiting.push(stream);
    }
    Ok((listener, waiting))
}
