//! The program itself, in a process of its own, as somebody at a shell runs it.

use crate::world::{client, reality};
use panel_sim::{Generation, Setup, Sim};
use reqwest::{Client, Method};
use serde_json::Value;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use store::testing::TestDatabase;
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
    time::{Instant, sleep},
};

/// Longer than anything here takes on a busy machine; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Of panels, unless a story says otherwise.
pub(crate) const PASSWORD: &str = "pw-hunter2-long";

/// Somebody at a shell, in a folder of his own. Nothing that is told to him may hold a secret.
pub(crate) struct Operator {
    folder: TempDir,
    /// Kept for what happens when it is dropped.
    db: Option<TestDatabase>,
    /// Passwords, tokens and the like.
    secrets: Vec<String>,
    environment: Vec<(String, String)>,
    http: Client,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A running `muster serve`; killed when dropped.
pub(crate) struct Served {
    child: Child,
    pub(crate) url: String,
    folder: PathBuf,
}

impl Ran {
    /// Exit code 0.
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// Exit code 1: understood, but not done.
    pub(crate) fn refused(self) -> Self {
        assert_eq!(self.code, Some(1), "{self:?}");
        self
    }

    /// Exit code 2: wrong usage or settings.
    pub(crate) fn misused(self) -> Self {
        assert_eq!(self.code, Some(2), "{self:?}");
        self
    }

    /// Standard output, which must be exactly one JSON document.
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }

    /// Both outputs hold all of these words.
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.out.contains(word) || self.err.contains(word), "{word:?} is missing: {self:?}");
        }
        self
    }
}

impl Operator {
    /// With nothing but the program: SQLite in `muster-data`.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, db: None, secrets: Vec::new(), environment: Vec::new(), http: client() }
    }

    /// With a PostgreSQL server that settings name, and nothing in it; `None` where there is no server.
    pub(crate) async fn with_postgres() -> Option<Self> {
        let db = TestDatabase::postgres().await?;
        let mut operator = Self::new();
        operator.set("MUSTER_DATABASE__URL", &db.url);
        operator.db = Some(db);
        Some(operator)
    }

    /// One on every database, ready for use.
    pub(crate) async fn all() -> Vec<Self> {
        let mut all = vec![Self::new()];
        if let Some(operator) = Self::with_postgres().await {
            operator.run("migrate up").await.done();
            all.push(operator);
        }
        all
    }

    /// Sets an environment variable for all that follows.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// From now on no output may hold this.
    pub(crate) fn keep_secret(&mut self, secret: &str) {
        self.secrets.push(secret.to_owned());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A panel with one usable inbound and a password of its own.
    pub(crate) async fn panel(&mut self, generation: Generation) -> Sim {
        self.panel_with(generation, Setup { password: PASSWORD.to_owned(), ..Setup::default() }).await
    }

    pub(crate) async fn panel_with(&mut self, generation: Generation, setup: Setup) -> Sim {
        self.keep_secret(&setup.password);
        setup.totp_secret.iter().for_each(|secret| self.secrets.push(secret.clone()));
        let sim = Sim::start(generation, setup).await.unwrap();
        sim.add_inbound(&reality(sim.open_port().await.unwrap()));
        sim
    }

    /// A token of that panel.
    pub(crate) fn panel_token(&mut self, sim: &Sim) -> String {
        let token = sim.create_token("muster").unwrap();
        self.keep_secret(&token);
        token
    }

    /// Adds a panel as a node that keys go to.
    pub(crate) async fn join(&mut self, name: &str, sim: &Sim, flags: &str) {
        let add = format!(
            "nodes add --name {name} --url {} --allow-http --username {} {flags}",
            sim.url(),
            sim.setup().username
        );
        self.fed(&add, &sim.setup().password).await.done();
    }

    /// Runs a command, words separated by spaces, with nothing on standard input.
    pub(crate) async fn run(&self, words: &str) -> Ran {
        self.fed(words, "").await
    }

    /// Runs a command with this on standard input.
    pub(crate) async fn fed(&self, words: &str, input: &str) -> Ran {
        self.args(&words.split_whitespace().collect::<Vec<_>>(), input).await
    }

    pub(crate) async fn args(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may be gone by now.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran = Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        self.check_secrecy(&ran.out);
        self.check_secrecy(&ran.err);
        ran
    }

    /// Starts the server on a free port and waits until it listens.
    pub(crate) async fn serve(&self, words: &str) -> Served {
        let mut arguments = vec!["serve", "--listen", "127.0.0.1:0"];
        arguments.extend(words.split_whitespace());
        let file = |name| File::create(self.path(name)).unwrap();
        let child = self.command(&arguments).stdout(file("out")).stderr(file("err")).spawn().unwrap();
        let mut served = Served { child, url: String::new(), folder: self.folder.path().to_owned() };
        until("the server listens", async || served.address().is_some()).await;
        served.url.extend(served.address());
        served
    }

    /// Stops the server and looks through all it said.
    pub(crate) async fn stop(&self, mut served: Served) {
        served.child.kill().await.unwrap();
        self.check_secrecy(&served.said());
        self.check_secrecy(&served.logged());
    }

    /// A call of the running server's API with this token.
    pub(crate) async fn api(&self, served: &Served, token: &str, method: Method, path: &str) -> (u16, Value) {
        let call = self.http.request(method, format!("{}/api/v1/{path}", served.url)).bearer_auth(token);
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.folder.path()).args(arguments).kill_on_drop(true);
        command
    }

    fn check_secrecy(&self, text: &str) {
        let told = self.secrets.iter().find(|secret| text.contains(secret.as_str()));
        assert!(told.is_none(), "{told:?} is a secret and was told: {text}");
    }

    /// No file below this folder holds a secret in the clear.
    pub(crate) fn check_files(&self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let holds = |secret: &&String| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            let found = self.secrets.iter().find(holds);
            assert!(found.is_none(), "{found:?} is in the clear in {}", path.display());
        }
    }
}

impl Served {
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder.join("out")).unwrap()
    }

    pub(crate) fn logged(&self) -> String {
        fs::read_to_string(self.folder.join("err")).unwrap()
    }

    fn address(&self) -> Option<String> {
        let said = self.said();
        let line = said.lines().find(|line| line.contains("http://127.0.0.1:"))?;
        Some(line[line.find("http://")?..].trim_matches('"').to_owned())
    }
}

/// Waits for something to become true.
pub(crate) async fn until(what: &str, is: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is().await {
        assert!(Instant::now() < deadline, "it never came true: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
