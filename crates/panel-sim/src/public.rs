//! The public ports: what answers there is not the panel but its xray, as far as somebody who knocks can tell.

use crate::door::{Line, keep};
use rcgen::generate_simple_self_signed;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer},
};

/// How long a caller may take for his hello.
const HELLO: Duration = Duration::from_secs(5);

/// Opens a free port beside `address` that completes TLS hellos, until `line` is stopped; gives its number.
pub(crate) async fn open(mut address: SocketAddr, line: &watch::Sender<Line>) -> io::Result<u16> {
    address.set_port(0);
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let (acceptor, subscribed) = (acceptor()?, line.subscribe());
    let lines = line.clone();
    tokio::spawn(keep(listener, address, subscribed, move |stream, _| {
        let (acceptor, mut line) = (acceptor.clone(), lines.subscribe());
        async move {
            if *line.borrow() == Line::BlackHole {
                let _ = line.wait_for(|line| *line != Line::BlackHole).await;
                return;
            }
            tokio::select! {
                () = greet(stream, acceptor) => {}
                _ = line.wait_for(|line| *line != Line::Up) => {}
            }
        }
    }));
    Ok(address.port())
}

async fn greet(stream: TcpStream, acceptor: TlsAcceptor) {
    if let Ok(Ok(mut session)) = timeout(HELLO, acceptor.accept(stream)).await {
        let mut byte = [0];
        let _ = timeout(HELLO, session.read(&mut byte)).await;
    }
}

/// Shows a certificate for whatever name is asked for, as REALITY does with that of its target.
fn acceptor() -> io::Result<TlsAcceptor> {
    let made = generate_simple_self_signed(["example.com".to_owned()]).map_err(io::Error::other)?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
