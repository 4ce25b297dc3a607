//! A load generator that costs little beside what it measures: raw HTTP/1.1 over kept connections.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What a run showed.
pub(crate) struct Figures {
    pub(crate) calls: usize,
    pub(crate) failures: u64,
    pub(crate) took: Duration,
    latencies: Vec<Duration>,
}

impl Figures {
    pub(crate) fn per_second(&self) -> f64 {
        self.calls as f64 / self.took.as_secs_f64()
    }

    /// The latency that this share of the calls stays below.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let at = (self.latencies.len() as f64 * share) as usize;
        self.latencies[at.min(self.latencies.len() - 1)]
    }
}

/// The call of user `id` to get his key.
pub(crate) fn full_cycle(id: u64) -> Vec<u8> {
    let body = format!(r#"{{"telegram_id": {id}, "user_data": {{"first_name": "Ann", "language_code": "en"}}}}"#);
    let head = "POST /api/v1/integration/full-cycle HTTP/1.1\r\nHost: muster\r\nContent-Type: application/json";
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Sends the calls of users `1..=calls` (again from the first after `users`) over so many connections.
pub(crate) async fn run(address: SocketAddr, connections: usize, calls: u64, users: u64) -> Figures {
    let next = Arc::new(AtomicU64::new(0));
    let failures = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let callers = (0..connections).map(|_| {
        let (next, failures) = (next.clone(), failures.clone());
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            let mut latencies = Vec::new();
            loop {
                let call = next.fetch_add(1, Relaxed);
                if call >= calls {
                    return latencies;
                }
                let sent = Instant::now();
                stream.write_all(&full_cycle(call % users + 1)).await.expect("written");
                if !answer(&mut stream).await {
                    failures.fetch_add(1, Relaxed);
                }
                latencies.push(sent.elapsed());
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    let mut latencies = Vec::new();
    for caller in callers {
        latencies.extend(caller.await.expect("a caller"));
    }
    let took = began.elapsed();
    latencies.sort_unstable();
    Figures { calls: latencies.len(), failures: failures.load(Relaxed), took, latencies }
}

/// Reads one answer; true for a 200 with a link in it.
async fn answer(stream: &mut TcpStream) -> bool {
    let mut bytes = Vec::with_capacity(4096);
    loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            let length: usize = length.and_then(|n| n.trim().parse().ok()).expect("a length");
            while bytes.len() < end + 4 + length {
                assert!(stream.read_buf(&mut bytes).await.expect("an answer") > 0, "cut off");
            }
            return head.starts_with("http/1.1 200") && find(&bytes, b"vless://").is_some();
        }
        assert!(stream.read_buf(&mut bytes).await.expect("an answer") > 0, "cut off");
    }
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}
