//! A disk that is full, without one: the system refuses what would make a file of the server larger than
//! a limit, as it would refuse it on a full disk. That needs no rights and no other file system, and the
//! limit can be lifted while the server runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::client::Protocol;
use crate::support::server::Server;

/// What starts a server that outlives the limit: the signal of it would end the process.
const LAUNCHER: [&str; 2] = ["env", "--ignore-signal=XFSZ"];
/// Bytes that each file with all the data has at least. The log stays below that and always has room.
const FILLER: usize = 16 << 20;
/// Room for what is written in a while, and not for a file with all the data.
pub(crate) const NARROW: u64 = 8 << 20;

/// A server whose disk can be filled; `None` where that is not possible here.
pub(crate) fn start(args: &[&str]) -> Option<Server> {
    let is_there = |program: &str, args: &[&str]| {
        let ran = Command::new(program).args(args).arg("true").status();
        ran.is_ok_and(|status| status.success())
    };
    if !is_there(LAUNCHER[0], &LAUNCHER[1..]) || !is_there("prlimit", &["--fsize=unlimited"]) {
        println!("LEFT OUT: no full disk, which needs env of coreutils and prlimit of util-linux");
        return None;
    }
    let server = Server::start_under(&LAUNCHER, args);
    let filler = vec![b'.'; FILLER];
    let mut client = server.connect(Protocol::Resp2);
    client.call(&[b"SET", &b"filler"[..], &filler]);
    Some(server)
}

/// Leaves room for files of so many bytes.
pub(crate) fn limit(server: &Server, bytes: u64) {
    set(server, &format!("--fsize={bytes}:unlimited"));
}

/// Leaves room for so many bytes more in the append-only file.
pub(crate) fn fill(server: &Server, bytes: u64) {
    limit(
        server,
        newest_file(server).metadata().unwrap().len() + bytes,
    );
}

/// There is room again.
pub(crate) fn free(server: &Server) {
    set(server, "--fsize=unlimited");
}

fn set(server: &Server, limit: &str) {
    let pid = format!("--pid={}", server.pid());
    let set = Command::new("prlimit").args([&pid, limit]).status();
    assert!(set.unwrap().success(), "prlimit {limit}");
}

/// The append-only file that the server writes to.
pub(crate) fn newest_file(server: &Server) -> PathBuf {
    let files = std::fs::read_dir(server.folder().join("appendonlydir")).unwrap();
    let written = |path: &Path| path.metadata().unwrap().modified().unwrap();
    files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".incr."))
        .max_by_key(|path| written(path))
        .unwrap()
}
