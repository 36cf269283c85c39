//! What a rewritten append-only file has in it.

use super::client::Client;
use super::server::Server;

/// The words of every command of this name with which a rewrite brings values back. The server writes an
/// append-only file, without a preamble.
pub(crate) fn rewritten(server: &Server, client: &mut Client, name: &str) -> Vec<Vec<Vec<u8>>> {
    client.run("BGREWRITEAOF");
    server.await_info("persistence", "aof_rewrite_scheduled:0");
    server.await_info("persistence", "aof_rewrite_in_progress:0");
    let base = server.append_only_files(".base.").remove(0);
    let mut commands = commands_in(&base);
    commands.retain(|words| words[0].eq_ignore_ascii_case(name.as_bytes()));
    commands
}

/// The words of every command in an append-only file.
fn commands_in(file: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut rest = file;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let len = length(&mut rest, b'*');
        let words = (0..len).map(|_| {
            let len = length(&mut rest, b'$');
            let (word, after) = rest.split_at(len);
            rest = &after[2..];
            word.to_vec()
        });
        found.push(words.collect());
    }
    found
}

/// Reads `*12\r\n`.
fn length(rest: &mut &[u8], sign: u8) -> usize {
    // Lines of annotation may stand between commands.
    while rest[0] == b'#' {
        let end = rest.iter().position(|&byte| byte == b'\n').unwrap();
        *rest = &rest[end + 1..];
    }
    assert_eq!(rest[0], sign);
    let end = rest.iter().position(|&byte| byte == b'\r').unwrap();
    let len = std::str::from_utf8(&rest[1..end]).unwrap().parse().unwrap();
    *rest = &rest[end + 2..];
    len
}
