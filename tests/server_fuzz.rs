//! Hostile bytes: mutated payloads with a correct checksum, and arguments of every kind in every
//! place. The server refuses them or takes them, and goes on.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::crc64::{crc64, seal};
use support::notation::{error_text, packed, quoted, render, words};
use support::seeds::{FUZZ_SEED, Random};
use support::server::Server;

/// The words of a command.
type Line = Vec<Vec<u8>>;

/// Mutants of each payload.
const MUTANTS: usize = 1_500;
/// Mutants that are accepted before all of them are stored and loaded.
const ACCEPTED_BEFORE_RELOAD: usize = 50;
/// Bytes at the start of a payload that say which module wrote it.
const MODULE_HEADER_BYTES: usize = 10;
/// Bytes at its end: the version of the server's format, and the checksum.
const FOOTER_BYTES: usize = 10;
/// Lines of several random tokens for each command.
const RANDOM_LINES: usize = 400;

/// Series of all encodings, with blocks of all kinds.
fn fill(client: &mut Client) -> Vec<String> {
    let mut random = Random::new(FUZZ_SEED);
    let mut keys = vec!["empty".to_string()];
    client.expect("IOT.CREATE empty", "+OK");
    for encoding in ["COMPRESSED", "GORILLA", "UNCOMPRESSED"] {
        for len in [3_i64, 200] {
            let key = format!("{encoding}:{len}");
            let samples = (0..len).map(|index| {
                let value = if index % 3 == 0 {
                    random.any_value()
                } else {
                    random.reading()
                };
                (index * 1_000, value)
            });
            let mut bulk = words(&format!(
                "IOT.ADDBULK {key} ENCODING {encoding} CHUNK_SIZE 128 RETENTION 10000000 \
                 DUPLICATE_POLICY SUM IGNORE 1 1 LABELS room 12 kind temperature PACKED"
            ));
            bulk.push(packed(samples));
            client.call(&bulk);
            keys.push(key);
        }
    }
    client.run("IOT.ADDBULK ruled SAMPLES 0 1 100 2 200 3");
    for (rule, destination) in [
        ("ruled plain AGGREGATION sum 10", "plain"),
        (
            "ruled days AGGREGATION p99 1d TZ Europe/Berlin DELAY 1h",
            "days",
        ),
        ("plain months AGGREGATION timein(2) 1mo", "months"),
    ] {
        client.expect(&format!("IOT.CREATERULE {rule} BACKFILL CREATE"), "+OK");
        keys.push(destination.into());
    }
    keys.push("ruled".into());
    keys
}

/// The payload with some of its bytes between `head` and `tail` changed.
fn mutate(payload: &[u8], head: usize, tail: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    for _ in 0..=random.index(3) {
        let body = head..bytes.len() - tail;
        if body.is_empty() {
            break;
        }
        let at = body.start + random.index(body.len());
        match random.index(6) {
            0 | 1 => bytes[at] ^= 1 << random.index(8),
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][random.index(6)],
            3 => {
                bytes.remove(at);
            }
            4 => {
                let end = body.end.min(at + 1 + random.index(16));
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let end = body.end.min(at + 8);
                bytes[at..end].fill([0, 0xff, 0x7f][random.index(3)]);
            }
        }
    }
    bytes
}

/// Reads everything of a key that took a mutated payload.
fn read_fully(client: &mut Client, key: &str) {
    for line in [
        "IOT.INFO KEY DEBUG",
        "IOT.GET KEY",
        "MEMORY USAGE KEY",
        "DUMP KEY",
    ] {
        let reply = client.run(&line.replace("KEY", key));
        assert!(
            !matches!(reply, Value::ServerError(_)),
            "{line}: {}",
            render(&reply)
        );
    }
    let Value::Array(rows) = client.run(&format!("IOT.RANGE {key} - +")) else {
        panic!("an accepted series has a range");
    };
    let times: Vec<&Value> = rows
        .iter()
        .map(|row| match row {
            Value::Array(row) => &row[0],
            other => panic!("no row: {}", render(other)),
        })
        .collect();
    let in_order = times.windows(2).all(|pair| match (pair[0], pair[1]) {
        (Value::Int(a), Value::Int(b)) => a < b,
        _ => false,
    });
    assert!(in_order, "times rise: {times:?}");
    // A span of absurd times may be too much for the query, but not for the server.
    client.run(&format!(
        "IOT.RANGE {key} - + AGGREGATION avg,twa,std.s 1000 EMPTY"
    ));
    let Value::Array(reverse) = client.run(&format!("IOT.REVRANGE {key} - +")) else {
        panic!("an accepted series has a range backwards");
    };
    assert_eq!(reverse.len(), rows.len());
    // A mutant may be one that goes away by itself.
    client.expect(&format!("IOT.ALTER {key} IDLE_TTL 0"), "+OK");
    client.run(&format!("IOT.ADD {key} 150500 1 ON_DUPLICATE LAST"));
}

/// Gives mutants of `payload` to `command` and lets the server prove what it accepted.
fn check_mutants(
    server: &mut Server,
    mutant_of: &mut dyn FnMut() -> Vec<u8>,
    command: &dyn Fn(&str, Vec<u8>) -> Line,
) {
    let mut client = server.connect(Protocol::Resp2);
    client.expect("FLUSHALL", "+OK");
    let mut accepted = 0;
    for mutant in 0..MUTANTS {
        let key = format!("mutant:{mutant}");
        let line = command(&key, mutant_of());
        let text = || quoted(line.last().unwrap());
        let reply = client
            .try_call(&line)
            .unwrap_or_else(|lost| panic!("{}: {}\n{}", text(), lost.0, server.last_words()));
        match reply {
            Value::Okay => {
                accepted += 1;
                read_fully(&mut client, &key);
            }
            Value::ServerError(_) => {}
            other => panic!("{} replied {}", text(), render(&other)),
        }
        if accepted % ACCEPTED_BEFORE_RELOAD == 1 || mutant == MUTANTS - 1 {
            let before = client.digest();
            client.expect("DEBUG RELOAD", "+OK");
            assert_eq!(client.digest(), before, "what was accepted can be stored");
        }
    }
    server.assert_alive(&|| "the mutants".into());
}

#[test]
fn the_checksum_of_the_check_string_is_the_published_one() {
    assert_eq!(crc64(b"123456789"), 0xE9C6_D914_C4B8_D9CA);
}

#[test]
fn mutated_dumps_are_refused_or_whole() {
    let mut server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let keys = fill(&mut client);
    let payloads: Vec<Vec<u8>> = keys
        .iter()
        .map(|key| match client.run(&format!("DUMP {key}")) {
            Value::BulkString(payload) => payload,
            other => panic!("no payload: {}", render(&other)),
        })
        .collect();
    let restore = |key: &str, payload: Vec<u8>| {
        let mut line = words(&format!("RESTORE {key} 0"));
        line.push(payload);
        line
    };
    // The checksum is ours, so what is refused is refused by the module.
    assert_eq!(
        client.call(&restore("intact", seal(payloads[1].clone()))),
        Value::Okay
    );
    let mut random = Random::new(FUZZ_SEED + 1);
    for payload in payloads {
        let mut mutant = || {
            seal(mutate(
                &payload,
                MODULE_HEADER_BYTES,
                FOOTER_BYTES,
                &mut random,
            ))
        };
        check_mutants(&mut server, &mut mutant, &restore);
    }
}

#[test]
fn mutated_dumps_of_policies_are_refused_or_whole() {
    let mut server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.run(
        "IOT.POLICY SET p FILTER kind=temp \"(a=(1,2) OR b~=\\\"x|y\\\")\" c!= RULES avg 1h RETENTION 30d \
         p99.9 1500 ALIGN 5 max 1d TZ Europe/Berlin timein(2.5) 1mo DESTINATION {key}/{agg}/{bucket}",
    );
    let Value::BulkString(payload) = client.run("DUMP p") else {
        panic!("no payload");
    };
    let mut random = Random::new(FUZZ_SEED + 5);
    let mut accepted = 0;
    for index in 0..MUTANTS {
        let mutant = seal(mutate(
            &payload,
            MODULE_HEADER_BYTES,
            FOOTER_BYTES,
            &mut random,
        ));
        let mut line = words("RESTORE mutant 0");
        line.push(mutant.clone());
        line.push(b"REPLACE".to_vec());
        let reply = client
            .try_call(&line)
            .unwrap_or_else(|lost| panic!("{}: {}", quoted(&mutant), lost.0));
        if reply != Value::Okay {
            continue;
        }
        accepted += 1;
        // What was accepted says something, makes something, and can be stored.
        let said = render(&client.run("IOT.POLICY GET mutant"));
        client.run("IOT.CREATE t LABELS kind temp a 1 c 1");
        client.run("IOT.ADD t 1000 1");
        client.run("IOT.ADD t 99000000000 1");
        client.run("DEL t");
        if index % 8 == 0 {
            client.expect("DEBUG RELOAD", "+OK");
            assert_eq!(render(&client.run("IOT.POLICY GET mutant")), said);
        }
    }
    assert!(accepted > 0, "some mutants differ in what may differ");
    server.assert_alive(&|| "the mutants".into());
}

/// The arguments of every command of this name in an append-only file.
fn commands_in(file: &[u8], name: &[u8]) -> Vec<Line> {
    let mut rest = file;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let len = length(&mut rest, b'*');
        let args: Vec<Vec<u8>> = (0..len)
            .map(|_| {
                let len = length(&mut rest, b'$');
                let (arg, after) = rest.split_at(len);
                rest = &after[2..];
                arg.to_vec()
            })
            .collect();
        if args[0].eq_ignore_ascii_case(name) {
            found.push(args);
        }
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

/// What a rewritten append-only file brings each series back with.
fn restores(server: &Server, client: &mut Client) -> Vec<Line> {
    client.run("BGREWRITEAOF");
    server.await_info("persistence", "aof_rewrite_scheduled:0");
    server.await_info("persistence", "aof_rewrite_in_progress:0");
    let base = server.append_only_files(".base.").remove(0);
    commands_in(&base, b"IOT.RESTORE")
}

#[test]
fn a_circle_of_rules_that_forged_bytes_tie_comes_to_an_end() {
    let mut server = Server::start_with(&["--appendonly", "yes", "--aof-use-rdb-preamble", "no"]);
    let mut client = server.connect(Protocol::Resp2);
    let mut forged = Vec::new();
    for (key, other, rule) in [("a", "b", "sum 10"), ("b", "a", "sum 10 5")] {
        client.expect("FLUSHALL", "+OK");
        client.expect("IOT.CREATE x", "+OK");
        client.expect(
            &format!("IOT.CREATERULE x {key} AGGREGATION last 1 CREATE"),
            "+OK",
        );
        client.expect(
            &format!("IOT.CREATERULE {key} {other} AGGREGATION {rule} CREATE"),
            "+OK",
        );
        let all = restores(&server, &mut client);
        let mut line = all
            .into_iter()
            .find(|line| line[1] == key.as_bytes())
            .unwrap();
        let at = line[2]
            .windows(3)
            .position(|part| part == b"\x01\x00x")
            .unwrap();
        line[2][at + 2] = other.as_bytes()[0];
        forged.push(line);
    }
    client.expect("FLUSHALL", "+OK");
    for line in &forged {
        assert_eq!(client.call(line), Value::Okay);
    }
    for time in [1, 12, 33, 100, 27, 5_000] {
        for key in ["a", "b"] {
            client.run(&format!("IOT.ADD {key} {time} 1"));
        }
    }
    client.expect("DEL x", "0");
    client.expect("IOT.CREATERULE a c AGGREGATION sum 1 CREATE", "-ERR *");
    client.expect("IOT.CREATE y", "+OK");
    client.run("IOT.CREATERULE y a AGGREGATION sum 1 BACKFILL");
    server.assert_alive(&|| "a circle".into());
}

#[test]
fn mutated_payloads_of_restore_are_refused_or_whole() {
    let mut server = Server::start_with(&["--appendonly", "yes", "--aof-use-rdb-preamble", "no"]);
    let mut client = server.connect(Protocol::Resp2);
    let keys = fill(&mut client);
    let commands = restores(&server, &mut client);
    assert_eq!(commands.len(), keys.len());
    client.expect("CONFIG SET appendonly no", "+OK");

    let digest = client.digest_of("GORILLA:200");
    let restore = commands
        .iter()
        .find(|args| args[1] == b"GORILLA:200")
        .unwrap();
    client.expect("DEL GORILLA:200", "1");
    assert_eq!(client.call(restore), Value::Okay);
    assert_eq!(client.digest_of("GORILLA:200"), digest);

    let mut random = Random::new(FUZZ_SEED + 2);
    for args in &commands {
        for cut in 0..args[2].len().min(300) {
            let mut line = words("IOT.RESTORE cut");
            line.push(args[2][..cut].to_vec());
            let reply = client.call(&line);
            assert!(
                matches!(reply, Value::ServerError(_)),
                "cut at {cut}: {}",
                render(&reply)
            );
        }
        let mut mutant = || mutate(&args[2], 0, 0, &mut random);
        check_mutants(&mut server, &mut mutant, &|key, payload| {
            let mut line = words(&format!("IOT.RESTORE {key}"));
            line.push(payload);
            line
        });
    }
}

/// A line of each command that is right, so that a token in its place meets right neighbours.
const RIGHT_LINES: [&str; 24] = [
    "IOT.POLICY SET p FILTER a=b RULES avg 1h RETENTION 30d ALIGN 5 max 1d TZ UTC DESTINATION {key}:{agg}:{bucket} BACKFILL",
    "IOT.POLICY GET p",
    "IOT.POLICY DEL p",
    "IOT.CREATE new RETENTION 1000 IDLE_TTL 100000 ENCODING GORILLA CHUNK_SIZE 128 DUPLICATE_POLICY LAST IGNORE 1 1 LABELS a b",
    "IOT.ALTER t RETENTION 1000 CHUNK_SIZE 128 DUPLICATE_POLICY LAST IGNORE 1 1 LABELS a b",
    "IOT.ADD t 100 1 RETENTION 1000 ON_DUPLICATE LAST LABELS a b",
    "IOT.ADD new 100 1 ENCODING UNCOMPRESSED CHUNK_SIZE 128 IGNORE 1 1",
    "IOT.MADD t 100 1 u 200 2",
    "IOT.INCRBY t 1 TIMESTAMP 5000 RETENTION 1000 LABELS a b",
    "IOT.DECRBY t 1 TIMESTAMP 5000",
    "IOT.DEL t 100 200",
    "IOT.GET t LATEST",
    "IOT.RANGE t - + LATEST FILTER_BY_TS 100 200 FILTER_BY_VALUE 0 9 COUNT 5 ALIGN 3 AGGREGATION avg,twa 100 BUCKETTIMESTAMP mid EMPTY",
    "IOT.REVRANGE t 0 1000 FILTER_BY_VALUE 0 9 COUNT 5 ALIGN end AGGREGATION last 100 EMPTY",
    "IOT.INFO t DEBUG",
    "IOT.ADDBULK t RETENTION 1000 ON_DUPLICATE SUM SAMPLES 100 1 200 2",
    "IOT.ADDBULK t CHUNK_SIZE 128 PACKED packed:100=1,200=2",
    "IOT.INGEST RETENTION 1000 LABELS a b ITEMS t 100 1 new 200 2",
    "IOT.RESTORE new \"\\x01\\x00\\x00\\x00\\x00\"",
    "IOT.RANGE t - + AGGREGATION std.s 1000",
    "IOT.RANGE t - + AGGREGATION median,p99.9,timein(1),mode 1d TZ Europe/Berlin FILL LINEAR MAXGAP 1h",
    "IOT.CREATERULE t u AGGREGATION avg 1h 7 DELAY 5m BACKFILL FROM 100 CREATE RETENTION 1d LABELS a b",
    "IOT.DELETERULE t u",
    "IOT.REVRANGE t - + AGGREGATION rate,distinct 1mo FILL VALUE 1",
];

/// Words that mean something, and text that means nothing.
const WORDS: [&str; 64] = [
    "",
    " ",
    "*",
    "-",
    "+",
    "~",
    "$",
    "0",
    "1",
    "-1",
    "-0",
    "1.5",
    "1e308",
    "1e-400",
    "inf",
    "-inf",
    "nan",
    "0x10",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999",
    "1000000007",
    "t",
    "s",
    "nothing",
    "RETENTION",
    "IDLE_TTL",
    "ENCODING",
    "CHUNK_SIZE",
    "DUPLICATE_POLICY",
    "ON_DUPLICATE",
    "IGNORE",
    "LABELS",
    "TIMESTAMP",
    "SAMPLES",
    "PACKED",
    "ITEMS",
    "LATEST",
    "FILTER_BY_TS",
    "FILTER_BY_VALUE",
    "COUNT",
    "ALIGN",
    "AGGREGATION",
    "BUCKETTIMESTAMP",
    "EMPTY",
    "TZ",
    "Pacific/Apia",
    "FILL",
    "MAXGAP",
    "1mo",
    "9999999999y",
    "1h30m",
    "timein(",
    "p1e9",
    "DEBUG",
    "BLOCK",
    "avg,",
    "avg,avg",
    "\u{100}",
    "%s%n",
    "\r\n",
    "(a,b)",
];

/// Tokens that are right somewhere or nowhere.
fn tokens() -> Vec<Vec<u8>> {
    let mut tokens: Vec<Vec<u8>> = WORDS
        .into_iter()
        .map(|text| text.as_bytes().to_vec())
        .collect();
    tokens.push(b"a\0b".to_vec());
    tokens.push(b"\0".to_vec());
    tokens.push(vec![0xff, 0xfe, 0x80]);
    tokens.push(vec![b'9'; 400]);
    tokens.push(vec![0; 16 * 64]);
    tokens.push(vec![b'x'; 1 << 20]);
    tokens.push(vec![0xff; 1 << 20]);
    tokens
}

fn prepare(client: &mut Client) {
    client.expect("FLUSHALL", "+OK");
    client.run("SET s text");
    client.run("IOT.ADDBULK t CHUNK_SIZE 48 SAMPLES 0 1 100 2 200 nan 300 4 9000000000000000000 5");
    client.run("IOT.ADD u 100 1");
}

/// Sends lines, each followed by a `PING` that must be answered.
fn check_lines(server: &mut Server, lines: impl Iterator<Item = Line>) {
    let mut clients = Protocol::BOTH.map(|protocol| server.connect(protocol));
    prepare(&mut clients[0]);
    // The server repeats a subcommand that it does not know as it is, which the client cannot read.
    let lines = lines
        .filter(|line| line[0] != b"IOT.POLICY" || line.get(1).is_none_or(|sub| sub.is_ascii()));
    for (index, line) in lines.enumerate() {
        let client = &mut clients[index % 2];
        let batch = [line, words("PING")];
        let replies = client.pipeline(&batch).unwrap_or_else(|lost| {
            panic!(
                "{} to {}\n{}",
                lost.0,
                shown(&batch[0]),
                server.last_words()
            )
        });
        assert_eq!(
            replies[1],
            Value::SimpleString("PONG".into()),
            "one reply only to {}",
            shown(&batch[0])
        );
        if index % 200 == 199 {
            prepare(client);
        }
    }
    server.assert_alive(&|| "hostile arguments".into());
}

fn shown(line: &[Vec<u8>]) -> String {
    let words: Vec<String> = line
        .iter()
        .map(|arg| quoted(&arg[..arg.len().min(100)]))
        .collect();
    words.join(" ")
}

#[test]
fn no_token_in_any_place_of_any_command_harms_the_server() {
    let mut server = Server::start();
    let tokens = tokens();
    let mut lines = Vec::new();
    for right in RIGHT_LINES.map(words) {
        for at in 1..=right.len() {
            for (index, token) in tokens.iter().enumerate() {
                // A megabyte in every place; the rest in the place of a word or before it.
                let mut line = right.clone();
                if at < right.len() && index % 2 == at % 2 {
                    line[at].clone_from(token);
                } else {
                    line.insert(at, token.clone());
                }
                lines.push(line);
            }
            lines.push(right[..at].to_vec());
        }
    }
    check_lines(&mut server, lines.into_iter());
}

#[test]
fn no_line_of_random_tokens_harms_the_server() {
    let mut server = Server::start();
    let names = server.connect(Protocol::Resp2).module_commands();
    let tokens: Vec<Vec<u8>> = tokens()
        .into_iter()
        .filter(|token| token.len() < 5_000)
        .collect();
    let mut random = Random::new(FUZZ_SEED + 3);
    let lines: Vec<Line> = names
        .iter()
        .flat_map(|name| std::iter::repeat_n(name, RANDOM_LINES))
        .map(|name| {
            let len = random.index(12);
            let args = (0..len).map(|_| tokens[random.index(tokens.len())].clone());
            let words = name.split('|').map(|word| word.as_bytes().to_vec());
            words.chain(args).collect()
        })
        .collect();
    check_lines(&mut server, lines.into_iter());
}

#[test]
fn every_command_refuses_a_wrong_number_of_arguments() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for name in client.module_commands() {
        let info = client.run(&format!("COMMAND INFO {name}"));
        let arity = match &info {
            Value::Array(commands) => match &commands[0] {
                Value::Array(fields) => match fields[1] {
                    Value::Int(arity) => arity,
                    _ => panic!("no arity of {name}"),
                },
                _ => panic!("no {name}"),
            },
            _ => panic!("no reply"),
        };
        let least = usize::try_from(arity.abs()).unwrap();
        assert!(least >= 2, "{name} needs a key at least, not {arity}");
        let mut wrong: Vec<usize> = (1..least).collect();
        if arity > 0 {
            wrong.extend([least + 1, least + 5]);
        }
        for len in wrong {
            let mut line: Vec<String> = name.split('|').map(Into::into).collect();
            if line.len() > len {
                continue;
            }
            line.resize(len, "1".into());
            let reply = client.call(&line);
            let wanted = format!("ERR wrong number of arguments for '{name}' command");
            assert!(
                matches!(reply, Value::ServerError(_)),
                "{line:?}: {}",
                render(&reply)
            );
            assert_eq!(
                error_text(&reply).to_lowercase(),
                wanted.to_lowercase(),
                "{line:?}"
            );
        }
    }
}
