//! How orders reach a running demo: it listens on a loopback port, and a file that only its owner can read says which
//! and holds a token that every order has to show.

use super::{fleet::Action, folder::Folder};
use crate::chance;
use rand::RngCore;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    time::timeout,
};

/// The file in the demo's folder.
const FILE: &str = "control.json";
/// The longest line that is read, in bytes.
const LINE: u64 = 4096;
/// How long either side waits for the other's line.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many orders may wait.
const WAITING: usize = 16;

/// An order that showed the right token.
#[derive(Debug)]
pub struct Order {
    /// What to do.
    pub action: Action,
    /// To which node.
    pub node: String,
    /// Where to say what became of it.
    pub answer: oneshot::Sender<Result<String, String>>,
}

/// What the file holds.
#[derive(Serialize, Deserialize)]
struct Door {
    address: SocketAddr,
    token: String,
}

/// What is sent.
#[derive(Serialize, Deserialize)]
struct Call {
    token: String,
    action: Action,
    node: String,
}

/// What is answered.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Done(String),
    Refused(String),
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody is there to take it.
    #[error("no demo is running; start one with: muster demo")]
    NoDemo,
    /// The demo did not want to.
    #[error("{0}")]
    Refused(String),
}

/// The running demo's side.
#[derive(Debug)]
pub struct Control {
    orders: mpsc::Receiver<Order>,
    /// So that waiting for an order never ends for want of senders.
    _keep: mpsc::Sender<Order>,
}

impl Control {
    /// Listens, and writes into `folder` where.
    pub async fn open(folder: &Path, chance: &mut (dyn RngCore + Send)) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let token = hex::encode(chance::sealing_key(chance));
        let door = Door { address: listener.local_addr()?, token: token.clone() };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(FILE))?;
        file.write_all(&serde_json::to_vec(&door)?)?;
        let (send, orders) = mpsc::channel(WAITING);
        let keep = send.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, token.clone(), send.clone()));
            }
        });
        Ok(Self { orders, _keep: keep })
    }

    /// The next order.
    pub async fn next(&mut self) -> Order {
        match self.orders.recv().await {
            Some(order) => order,
            None => std::future::pending().await,
        }
    }
}

/// One caller: a line that holds an order, and a line back.
async fn answer(mut stream: TcpStream, token: String, orders: mpsc::Sender<Order>) {
    let Some(call) = line::<Call>(&mut stream).await else { return };
    if !is_same(&call.token, &token) {
        return;
    }
    let (tell, told) = oneshot::channel();
    let order = Order { action: call.action, node: call.node, answer: tell };
    let ended = || Err("the demo is ending".to_owned());
    let done = if orders.send(order).await.is_ok() { told.await.unwrap_or_else(|_| ended()) } else { ended() };
    let answer = done.map_or_else(Answer::Refused, Answer::Done);
    // Whoever hung up does not want it.
    let _ = say(&mut stream, &answer).await;
}

/// Sends an order to the demo that was begun last. Gives what it did, in words.
pub async fn send(action: Action, node: &str) -> Result<String, ControlError> {
    for folder in Folder::all() {
        let Some(door) = find_door(&folder.join(FILE)) else { continue };
        // A demo that was killed leaves its file behind.
        let Ok(Ok(mut stream)) = timeout(PATIENCE, TcpStream::connect(door.address)).await else { continue };
        let call = Call { token: door.token, action, node: node.to_owned() };
        if say(&mut stream, &call).await.is_err() {
            continue;
        }
        match line::<Answer>(&mut stream).await {
            Some(Answer::Done(words)) => return Ok(printable(&words)),
            Some(Answer::Refused(words)) => return Err(ControlError::Refused(printable(&words))),
            None => {}
        }
    }
    Err(ControlError::NoDemo)
}

/// What a file says, if nobody else can have seen it.
fn find_door(file: &Path) -> Option<Door> {
    let is_private = fs::symlink_metadata(file).ok()?.permissions().mode() & 0o777 == 0o600;
    let door: Door = serde_json::from_slice(&fs::read(file).ok().filter(|_| is_private)?).ok()?;
    Some(door).filter(|door| door.address.ip().is_loopback())
}

async fn say(stream: &mut TcpStream, what: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(what)?;
    text.push(b'\n');
    stream.write_all(&text).await
}

async fn line<T: for<'de> Deserialize<'de>>(stream: &mut TcpStream) -> Option<T> {
    let mut text = String::new();
    let mut limited = BufReader::new(stream.take(LINE));
    timeout(PATIENCE, limited.read_line(&mut text)).await.ok()?.ok()?;
    serde_json::from_str(&text).ok()
}

/// Compared in the same time wherever they differ.
fn is_same(one: &str, other: &str) -> bool {
    let differences = one.bytes().zip(other.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && differences == 0
}

/// Without anything that a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
