//! The server that holds everything: a running one, or one of our own that ends with the demo.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::Connection;

use crate::Failure;

/// How long a new server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server, and the process if it is ours.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// The server that runs already at a port.
    pub(crate) fn running(port: u16) -> Self {
        Self {
            port,
            process: None,
        }
    }

    /// Starts a server with the module on a free port of this machine. It writes no files.
    pub(crate) fn start() -> Result<Self, Failure> {
        let program = std::env::var_os("IOT_SERVER").unwrap_or_else(|| "redis-server".into());
        let module = module_file()?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let process = Command::new(&program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--logfile", ""])
            .arg("--dir")
            .arg(std::env::temp_dir())
            // Nobody's file is read: another server may have left one there.
            .args(["--dbfilename", &format!("redis-iot-demo-{port}.rdb")])
            .arg("--loadmodule")
            .arg(&module)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // Ctrl-C is for the demo, which ends its server when it needs it no more.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let mut server = Self {
            port,
            process: Some(process),
        };
        server.await_answer()?;
        Ok(server)
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> redis::RedisResult<Connection> {
        redis::Client::open(("127.0.0.1", self.port))?.get_connection_with_timeout(PATIENCE)
    }

    fn await_answer(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self
                .connect()
                .and_then(|mut server| redis::cmd("PING").query::<String>(&mut server));
            let ended = match &mut self.process {
                Some(process) => process.try_wait()?,
                None => None,
            };
            match answer {
                Ok(_) => return Ok(()),
                Err(_) if ended.is_some() => {
                    return Err("the server ended at its start; does the module fit it?".into());
                }
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // Both fail only where the process has ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The module that Cargo has built beside this program.
fn module_file() -> Result<PathBuf, Failure> {
    if let Some(file) = std::env::var_os("IOT_MODULE") {
        return Ok(file.into());
    }
    let program = std::env::current_exe()?;
    let examples = program.parent().ok_or("this program is in no folder")?;
    let file = examples.with_file_name("libredis_iot.so");
    if file.is_file() {
        return Ok(file);
    }
    Err(format!("there is no {}; `make demo` builds it", file.display()).into())
}
