//! A real server with the module loaded, alone in a folder of its own, gone when the test ends.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::client::{Client, Protocol};

/// How long anything that is awaited may take. Generous: it only bounds a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often a port that somebody else was faster to take is replaced by another.
const PORT_ATTEMPTS: usize = 5;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
    args: Vec<String>,
    /// What starts it, where that is another program.
    launcher: Vec<String>,
}

impl Server {
    /// A server with nothing but the module.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server with more arguments on its command line, `--name value ...`.
    pub(crate) fn start_with(args: &[&str]) -> Self {
        Self::start_under(&[], args)
    }

    /// A server that another program starts and becomes, such as `env`.
    pub(crate) fn start_under(launcher: &[&str], args: &[&str]) -> Self {
        let launcher: Vec<String> = launcher.iter().map(ToString::to_string).collect();
        let folder = tempfile::Builder::new()
            .prefix("redis-iot-test-")
            .tempdir()
            .unwrap();
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let (process, port) = spawn(folder.path(), &launcher, &args);
        Self {
            process,
            port,
            folder,
            args,
            launcher,
        }
    }

    /// The log of a server that ends at its start with these arguments.
    #[track_caller]
    pub(crate) fn refusal_of(args: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        match try_spawn(folder.path(), &[], &args) {
            Err(log) => log,
            Ok((mut process, _)) => {
                process.kill().unwrap();
                process.wait().unwrap();
                panic!("the server started with {args:?}");
            }
        }
    }

    /// Makes this server a replica of `master` and waits until it has the master's data.
    pub(crate) fn replica_of(&self, master: &Self) {
        let mut client = self.connect(Protocol::Resp2);
        client.expect(&format!("REPLICAOF 127.0.0.1 {}", master.port), "+OK");
        self.await_info("replication", "master_link_status:up");
    }

    /// A new connection.
    pub(crate) fn connect(&self, protocol: Protocol) -> Client {
        Client::connect(self.port, protocol).unwrap()
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Kills the server as a power failure would, and waits for its end.
    pub(crate) fn kill9(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts the server again in the same folder with the same arguments.
    pub(crate) fn restart(&mut self) {
        if self.is_running() {
            self.kill9();
        }
        (self.process, self.port) = spawn(self.folder.path(), &self.launcher, &self.args);
    }

    /// Starts the server again in the same folder with other arguments.
    pub(crate) fn restart_with(&mut self, args: &[&str]) {
        self.args = args.iter().map(ToString::to_string).collect();
        self.restart();
    }

    /// Ends the server as `SHUTDOWN` with these words would, and waits for its end.
    pub(crate) fn shut_down(&mut self, how: &str) {
        self.connect(Protocol::Resp2).shut_down(how);
        self.end();
    }

    /// Whether the process is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Waits until a section of INFO has this line.
    #[track_caller]
    pub(crate) fn await_info(&self, section: &str, line: &str) {
        let mut client = self.connect(Protocol::Resp2);
        await_that(line, || {
            client
                .text(&format!("INFO {section}"))
                .lines()
                .any(|have| have == line)
        });
    }

    /// Fails with the server's last words if it does not answer any more.
    #[track_caller]
    pub(crate) fn assert_alive(&mut self, after: &dyn Fn() -> String) {
        let answer = Client::connect(self.port, Protocol::Resp2)
            .and_then(|mut client| client.try_call(&[b"PING"]));
        assert_eq!(
            answer,
            Ok(redis::Value::SimpleString("PONG".into())),
            "after {}\n{}",
            after(),
            self.last_words()
        );
    }

    /// Fails if anything has panicked: the server goes on, and only its log tells.
    #[track_caller]
    pub(crate) fn assert_no_panic(&self) {
        assert_eq!(self.complaint(), None);
    }

    /// A line of the log that says that something has panicked, or that the server has crashed.
    pub(crate) fn complaint(&self) -> Option<String> {
        let log = self.log();
        let signs = ["panicked at", "BUG REPORT", "ASSERTION FAILED"];
        let complains = |line: &&str| signs.iter().any(|sign| line.contains(sign));
        log.lines().find(complains).map(ToOwned::to_owned)
    }

    /// What it has written to its log.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Has the server write its append-only file anew, and waits until it has.
    #[track_caller]
    pub(crate) fn rewrite(&self) {
        self.connect(Protocol::Resp2).run("BGREWRITEAOF");
        for line in [
            "aof_rewrite_scheduled:0",
            "aof_rewrite_in_progress:0",
            "aof_last_bgrewrite_status:ok",
        ] {
            self.await_info("persistence", line);
        }
    }

    /// Sends its process a signal, such as `TERM` or `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        // Every shell has it, and not every system a program of that name.
        let script = ["-c", "kill -s \"$1\" \"$2\"", "kill", name, &pid];
        let sent = Command::new("sh").args(script).status();
        assert!(sent.unwrap().success(), "kill -s {name} {pid}");
    }

    /// Waits until the process has ended by itself.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        await_that("the server ends", || !self.is_running());
        self.process.wait().unwrap()
    }

    /// The folder of its files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The contents of the append-only files whose name has `part`.
    pub(crate) fn append_only_files(&self, part: &str) -> Vec<Vec<u8>> {
        fs::read_dir(self.folder.path().join("appendonlydir"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().contains(part))
            .map(|path| fs::read(path).unwrap())
            .collect()
    }

    /// The end of the server's log.
    pub(crate) fn last_words(&self) -> String {
        last_words(self.folder.path())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Memcheck counts what is lost when the server ends by itself.
        let is_watched = std::env::var_os("IOT_MEMCHECK").is_some();
        if is_watched && self.is_running() && !std::thread::panicking() {
            self.signal("TERM");
            self.signal("CONT");
            self.end();
        }
        // Both fail only where the process has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until `condition` holds. The event itself cannot be subscribed to, so it is polled.
#[track_caller]
pub(crate) fn await_that(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn spawn(folder: &Path, launcher: &[String], args: &[String]) -> (Child, u16) {
    try_spawn(folder, launcher, args)
        .unwrap_or_else(|log| panic!("the server ended at its start:\n{log}"))
}

/// A server that answers, or the log of one that ended at its start.
fn try_spawn(folder: &Path, launcher: &[String], args: &[String]) -> Result<(Child, u16), String> {
    for _ in 0..PORT_ATTEMPTS {
        let port = free_port();
        let mut process = command(folder, port, launcher, args)
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "cannot start {}: {error}; `make setup` installs a server",
                    server_binary().display()
                )
            });
        match await_answer(&mut process, port) {
            Answer::Own => return Ok((process, port)),
            Answer::Others => {
                process.kill().unwrap();
                process.wait().unwrap();
            }
            Answer::None => {
                let log = last_words(folder);
                if !log.contains("ddress already in use") {
                    return Err(log);
                }
            }
        }
    }
    panic!("no free port in {PORT_ATTEMPTS} attempts");
}

fn command(folder: &Path, port: u16, launcher: &[String], args: &[String]) -> Command {
    let mut command = match launcher {
        [] => Command::new(server_binary()),
        [program, rest @ ..] => {
            let mut command = Command::new(program);
            command.args(rest).arg(server_binary());
            command
        }
    };
    command
        .current_dir(folder)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .arg("--dir")
        .arg(folder)
        .arg("--logfile")
        .arg(folder.join("log"))
        .args(["--save", "", "--enable-debug-command", "yes"])
        .args(["--enable-module-command", "yes"])
        .args(["--repl-diskless-sync-delay", "0"])
        .arg("--loadmodule")
        .arg(module_file())
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Who answers at the port of a server that was started.
enum Answer {
    /// The server.
    Own,
    /// Another one, which somebody started at the same time, and which was faster to take the port.
    Others,
    /// Nobody: the server has ended.
    None,
}

fn await_answer(process: &mut Child, port: u16) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if process.try_wait().unwrap().is_some() {
            return Answer::None;
        }
        let reply = Client::connect(port, Protocol::Resp2)
            .and_then(|mut client| client.try_call(&["INFO", "server", "persistence"]));
        if let Ok(redis::Value::BulkString(info)) = &reply {
            let info = String::from_utf8_lossy(info);
            let has = |line: &str| info.lines().any(|have| have == line);
            if !has(&format!("process_id:{}", process.id())) {
                return Answer::Others;
            }
            if has("loading:0") {
                return Answer::Own;
            }
        }
        assert!(
            Instant::now() < deadline,
            "the server never answered: {reply:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn server_binary() -> PathBuf {
    std::env::var_os("IOT_SERVER").map_or_else(|| "redis-server".into(), PathBuf::from)
}

/// The module that the running build made: `cargo test` leaves it beside the test executables,
/// `cargo build` one folder above them; the newer of the two is the right one.
pub(crate) fn module_file() -> PathBuf {
    if let Some(file) = std::env::var_os("IOT_MODULE") {
        return file.into();
    }
    let executable = std::env::current_exe().unwrap();
    let deps = executable.parent().unwrap();
    [deps, deps.parent().unwrap()]
        .map(|folder| folder.join("libredis_iot.so"))
        .into_iter()
        .filter(|file| file.is_file())
        .max_by_key(|file| fs::metadata(file).unwrap().modified().unwrap())
        .expect("libredis_iot.so stands beside the tests")
}

fn last_words(folder: &Path) -> String {
    let log = fs::read(folder.join("log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log).into_owned();
    let skipped = log.lines().count().saturating_sub(80);
    log.lines().skip(skipped).collect::<Vec<_>>().join("\n")
}
