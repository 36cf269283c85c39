//! Arguments of every kind in every place: the server refuses them or takes them, and goes on.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::notation::{error_text, quoted, render, words};
use support::seeds::{FUZZ_SEED, Random};
use support::server::Server;

/// Lines of several random tokens for each command.
const RANDOM_LINES: usize = 400;

/// The words of a command.
type Line = Vec<Vec<u8>>;

/// Commands whose first word is a subcommand.
const CONTAINERS: [&[u8]; 4] = [b"IOT.POLICY", b"IOT.FLEET", b"IOT.FENCE", b"IOT.ROAM"];

/// A line of each command that is right, so that a token in its place meets right neighbours.
const RIGHT_LINES: [&str; 59] = [
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
    "IOT.TRACK f d 1 2 TS 100 ALT 1 SPEED 2 HEADING 3 ACC 4 FIELDS 2 a 1 b c EXPIRE 100000 IFNEWER",
    "IOT.TRACK f d 1 2 EXPIREAT 9000000000000",
    "IOT.MTRACK f d 1 2 100 e 0 0 *",
    "IOT.UNTRACK f d e",
    "IOT.POSITION f d e",
    "IOT.FLEET CREATE new TRAIL 10 RETENTION 1d MINDIST 1 MINTIME 1s MAXSPEED 100 MAXACC 50 JITTER yes LATE DROP EXPIRE 1h",
    "IOT.FLEET ALTER f TRAIL 10 RETENTION 1d MINDIST 0 LATE TRAIL",
    "IOT.FLEET INFO f",
    "IOT.FLEET LIST f MATCH d* COUNT 5 CURSOR 0",
    "IOT.FLEET VISITS f d \"\\x00\\x00\"",
    "IOT.FLEET RESTORE new \"\\x01\\x00\\x00\\x00\\x00\"",
    "IOT.FENCE RESTORE new \"\\x01\\x00\\x00\\x00\\x00\"",
    "IOT.FENCE ADD z a CIRCLE 1 2 1000 META 1 k v GROUPS 2 g h DEVICES 1 d DETECT enter exit DWELL 5m BUFFER 10 MINFIXES 2 SPEEDLIMIT 5 SCHEDULE \"mon-fri 08:00-18:00\" TZ Europe/Berlin EXPIRE 1h",
    "IOT.FENCE ADD z b BBOX 0 0 1 1 EXPIREAT 9000000000000",
    "IOT.FENCE ADD z c POLYGON 4 0 0 9 0 9 9 0 9 HOLE 3 1 1 2 1 2 2 POLYGON 3 20 20 21 20 21 21",
    "IOT.FENCE ADD z e CORRIDOR 100 3 0 0 1 1 2 1",
    "IOT.FENCE ADD z g GEOJSON \"{\\\"type\\\":\\\"Polygon\\\",\\\"coordinates\\\":[[[0,0],[1,0],[1,1],[0,0]]]}\"",
    "IOT.FENCE DEL z a b",
    "IOT.FENCE GET z a",
    "IOT.FENCE LIST z GROUP g MATCH a* COUNT 5 CURSOR 0",
    "IOT.FENCE COUNT z GROUP g",
    "IOT.FENCE AT z 1 2 GROUP g",
    "IOT.FENCE NEAR z 1 2 RADIUS 1000 COUNT 5 WITHDIST",
    "IOT.FENCE INFO z",
    "IOT.FENCE BIND f z DETECT enter exit outside GROUP g OUTSIDE 10 PUBLISH c STREAM x MAXLEN 100",
    "IOT.FENCE UNBIND f z",
    "IOT.FENCE BINDINGS f",
    "IOT.ROAM BIND f f RADIUS 100 PUBLISH c STREAM x MAXLEN 100",
    "IOT.ROAM UNBIND f f",
    "IOT.NEARBY f 1 2 RADIUS 1000000 COUNT 5 WHERE speed > 1 WITHDIST WITHCOORD WITHFIELDS WITHTS DESC",
    "IOT.NEARBY f FROM d COUNT 5",
    "IOT.WITHIN f CIRCLE 1 2 100000 WHERE a = 1 WITHCOORD WITHFIELDS WITHTS LIMIT 5 CURSOR 0",
    "IOT.WITHIN f FENCE z a",
    "IOT.INTERSECTS z CORRIDOR 100 2 0 0 1 1 LIMIT 5 CURSOR 0",
    "IOT.TRAIL f d - + SIMPLIFY 10 COUNT 5 GEOJSON",
];

/// Words that mean something, and text that means nothing.
const WORDS: [&str; 96] = [
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
    "f",
    "z",
    "180",
    "-180",
    "90",
    "-90",
    "1e7",
    "TS",
    "EXPIRE",
    "FIELDS",
    "FROM",
    "FENCE",
    "WHERE",
    "CIRCLE",
    "BBOX",
    "POLYGON",
    "HOLE",
    "CORRIDOR",
    "GEOJSON",
    "DETECT",
    "DWELL",
    "OUTSIDE",
    "GROUP",
    "GROUPS",
    "DEVICES",
    "META",
    "SCHEDULE",
    "PUBLISH",
    "STREAM",
    "CURSOR",
    "{\"type\":\"Point\",\"coordinates\":[0,1e999]}",
    "daily 00:00-24:00",
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
    client.run("IOT.FLEET CREATE f TRAIL 100");
    client.run("IOT.FENCE ADD z a CIRCLE 1 2 1000 GROUPS 1 g");
    client.run("IOT.FENCE BIND f z STREAM x MAXLEN 100");
    client.run("IOT.ROAM BIND f f RADIUS 1000 STREAM x MAXLEN 100");
    client.run("IOT.MTRACK f d 1 2 1 e 1 2 2 d 0 0 2");
}

/// Sends lines, each followed by a `PING` that must be answered.
fn check_lines(server: &mut Server, lines: impl Iterator<Item = Line>) {
    let mut clients = Protocol::BOTH.map(|protocol| server.connect(protocol));
    prepare(&mut clients[0]);
    // The server repeats a subcommand that it does not know as it is, which the client cannot read.
    let lines = lines.filter(|line| {
        !CONTAINERS.contains(&&*line[0]) || line.get(1).is_none_or(|sub| sub.is_ascii())
    });
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
    server.assert_no_panic();
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
        let is_alone = name == "IOT.STATS";
        assert!(
            least >= 2 || is_alone,
            "{name} needs a key at least, not {arity}"
        );
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
