//! What the server tells of the module's commands: clients route, document and authorize by it.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::docs::{map_of, text_of, texts_of};
use support::notation::render;
use support::server::Server;

/// Commands that only read; every other one writes.
const READERS: [&str; 32] = [
    "IOT.STATS",
    "IOT.POLICY|GET",
    "IOT.POLICY|LIST",
    "IOT.GET",
    "IOT.RANGE",
    "IOT.REVRANGE",
    "IOT.NRANGE",
    "IOT.NREVRANGE",
    "IOT.READ",
    "IOT.MREAD",
    "IOT.MGET",
    "IOT.MRANGE",
    "IOT.MREVRANGE",
    "IOT.QUERYINDEX",
    "IOT.QUERYLABELS",
    "IOT.CARD",
    "IOT.INFO",
    "IOT.DEBUG",
    "IOT.POSITION",
    "IOT.NEARBY",
    "IOT.WITHIN",
    "IOT.INTERSECTS",
    "IOT.TRAIL",
    "IOT.FLEET|INFO",
    "IOT.FLEET|LIST",
    "IOT.FENCE|GET",
    "IOT.FENCE|LIST",
    "IOT.FENCE|COUNT",
    "IOT.FENCE|AT",
    "IOT.FENCE|NEAR",
    "IOT.FENCE|INFO",
    "IOT.FENCE|BINDINGS",
];
/// Commands that free memory, and are allowed when there is none left.
const FREERS: [&str; 8] = [
    "IOT.DEL",
    "IOT.DELETERULE",
    "IOT.MDEL",
    "IOT.POLICY|DEL",
    "IOT.UNTRACK",
    "IOT.FENCE|DEL",
    "IOT.FENCE|UNBIND",
    "IOT.ROAM|UNBIND",
];
/// Commands that find their keys themselves.
const KEYLESS: [&str; 15] = [
    "IOT.STATS",
    "IOT.FLEET",
    "IOT.FENCE",
    "IOT.ROAM",
    "IOT.POLICY",
    "IOT.POLICY|LIST",
    "IOT.MGET",
    "IOT.MRANGE",
    "IOT.MREVRANGE",
    "IOT.QUERYINDEX",
    "IOT.QUERYLABELS",
    "IOT.CARD",
    "IOT.MDEL",
    "IOT.MALTER",
    "IOT.DEBUG",
];
/// Commands that take nothing but a subcommand.
const BARE: [&str; 6] = [
    "IOT.STATS",
    "IOT.POLICY",
    "IOT.POLICY|LIST",
    "IOT.FLEET",
    "IOT.FENCE",
    "IOT.ROAM",
];
/// Commands with keys of several kinds, and what is done with each, in their order.
const SEVERAL: [(&str, &[&str]); 5] = [
    ("IOT.WITHIN", &["RO ACCESS", "RO ACCESS"]),
    ("IOT.FENCE|BIND", &["RW UPDATE", "RO ACCESS", "RW INSERT"]),
    ("IOT.FENCE|UNBIND", &["RW UPDATE", "RO ACCESS"]),
    ("IOT.ROAM|BIND", &["RW UPDATE", "RO ACCESS", "RW INSERT"]),
    ("IOT.ROAM|UNBIND", &["RW UPDATE", "RO ACCESS"]),
];
/// A line of each command, and its keys.
const KEYS: [(&str, &str); 53] = [
    (
        "IOT.POLICY SET a FILTER b=1 RULES avg 1h BACKFILL",
        r#"["a"]"#,
    ),
    ("IOT.POLICY GET a", r#"["a"]"#),
    ("IOT.POLICY DEL a", r#"["a"]"#),
    ("IOT.CREATE a RETENTION 5 LABELS b c", r#"["a"]"#),
    ("IOT.ALTER a LABELS b c", r#"["a"]"#),
    ("IOT.ADD a 1 2 LABELS b c", r#"["a"]"#),
    ("IOT.MADD a 1 2 b 3 4 a 5 6", r#"["a", "b", "a"]"#),
    ("IOT.INCRBY a 1 TIMESTAMP 5", r#"["a"]"#),
    ("IOT.DECRBY a 1", r#"["a"]"#),
    ("IOT.DEL a 1 2", r#"["a"]"#),
    ("IOT.GET a LATEST", r#"["a"]"#),
    ("IOT.RANGE a - + COUNT 1", r#"["a"]"#),
    ("IOT.REVRANGE a - +", r#"["a"]"#),
    ("IOT.INFO a DEBUG", r#"["a"]"#),
    ("IOT.READ a $ BLOCK 1 1", r#"["a"]"#),
    ("IOT.CREATERULE a b AGGREGATION avg 5", r#"["a", "b"]"#),
    ("IOT.DELETERULE a b", r#"["a", "b"]"#),
    ("IOT.MREAD 2 a b $ $ BLOCK 1 1", r#"["a", "b"]"#),
    ("IOT.NRANGE 2 a b - + COUNT 1", r#"["a", "b"]"#),
    ("IOT.NREVRANGE 3 a b a - +", r#"["a", "b", "a"]"#),
    ("IOT.ADDBULK a RETENTION 5 SAMPLES 1 2 3 4", r#"["a"]"#),
    (
        "IOT.INGEST RETENTION 5 LABELS x y ITEMS a 1 2 b 3 4",
        r#"["a", "b"]"#,
    ),
    ("IOT.INGEST ITEMS ITEMS 1 2", r#"["ITEMS"]"#),
    ("IOT.TRACK f d 1 2 TS 5 FIELDS 1 a b", r#"["f"]"#),
    ("IOT.MTRACK f d 1 2 3 e 1 2 3", r#"["f"]"#),
    ("IOT.UNTRACK f d e", r#"["f"]"#),
    ("IOT.POSITION f d e", r#"["f"]"#),
    ("IOT.FLEET CREATE f TRAIL 5", r#"["f"]"#),
    ("IOT.FLEET ALTER f TRAIL 5", r#"["f"]"#),
    ("IOT.FLEET INFO f", r#"["f"]"#),
    ("IOT.FLEET LIST f MATCH a", r#"["f"]"#),
    ("IOT.FLEET VISITS f d x", r#"["f"]"#),
    ("IOT.FLEET RESTORE f x", r#"["f"]"#),
    ("IOT.FENCE ADD z a CIRCLE 1 2 3", r#"["z"]"#),
    ("IOT.FENCE DEL z a b", r#"["z"]"#),
    ("IOT.FENCE GET z a", r#"["z"]"#),
    ("IOT.FENCE LIST z COUNT 5", r#"["z"]"#),
    ("IOT.FENCE COUNT z GROUP g", r#"["z"]"#),
    ("IOT.FENCE AT z 1 2", r#"["z"]"#),
    ("IOT.FENCE NEAR z 1 2 COUNT 5", r#"["z"]"#),
    ("IOT.FENCE INFO z", r#"["z"]"#),
    ("IOT.FENCE RESTORE z x", r#"["z"]"#),
    ("IOT.FENCE BIND f z PUBLISH c", r#"["f", "z"]"#),
    (
        "IOT.FENCE BIND f z DETECT enter STREAM s MAXLEN 5",
        r#"["f", "z", "s"]"#,
    ),
    ("IOT.FENCE UNBIND f z", r#"["f", "z"]"#),
    ("IOT.FENCE BINDINGS f", r#"["f"]"#),
    (
        "IOT.ROAM BIND f g RADIUS 5 PUBLISH c STREAM s",
        r#"["f", "g", "s"]"#,
    ),
    ("IOT.ROAM UNBIND f g", r#"["f", "g"]"#),
    ("IOT.NEARBY f 1 2 WITHDIST", r#"["f"]"#),
    ("IOT.WITHIN f BBOX 1 2 3 4", r#"["f"]"#),
    ("IOT.WITHIN f FENCE z a LIMIT 5", r#"["f", "z"]"#),
    ("IOT.INTERSECTS z CIRCLE 1 2 3", r#"["z"]"#),
    ("IOT.TRAIL f d - + GEOJSON", r#"["f"]"#),
];

/// The fields of `COMMAND INFO`: name, arity, flags, first key, last key, step, categories, tips,
/// key specs, subcommands.
fn fields_of(client: &mut Client, name: &str) -> Vec<Value> {
    match client.run(&format!("COMMAND INFO {name}")) {
        Value::Array(commands) => match &commands[0] {
            Value::Array(fields) => fields.clone(),
            other => panic!("no {name}: {}", render(other)),
        },
        other => panic!("{}", render(&other)),
    }
}

#[test]
fn every_command_says_whether_it_reads_or_writes() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for name in client.module_commands() {
        let fields = fields_of(&mut client, &name);
        let flags = texts_of(&fields[2]);
        let has = |flag: &str| flags.iter().any(|have| have == flag);
        let reads = READERS.contains(&name.as_str());
        assert_eq!(has("readonly"), reads, "{name}: {flags:?}");
        assert_eq!(has("write"), !reads, "{name}: {flags:?}");
        let frees = FREERS.contains(&name.as_str());
        assert_eq!(has("denyoom"), !reads && !frees, "{name}: {flags:?}");
        assert!(has("module"), "{name}: {flags:?}");
    }
}

#[test]
fn every_command_is_documented() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let names = client.module_commands();
    for name in &names {
        let is_shown = KEYS.iter().any(|(line, _)| {
            let line = format!("{line} ").replacen(' ', "|", usize::from(name.contains('|')));
            line.starts_with(&format!("{name} ")) || line.starts_with(&format!("{name}|"))
        });
        let is_keyless = KEYLESS.contains(&name.as_str());
        assert!(is_shown || is_keyless || name == "IOT.RESTORE", "{name}");
    }
    for (line, _) in KEYS {
        let name = line.split(' ').next().unwrap();
        assert!(names.iter().any(|have| have == name), "{name} exists");
    }
    for name in names {
        let docs = map_of(&client.run(&format!("COMMAND DOCS {name}")));
        let docs = map_of(docs.values().next().unwrap());
        for field in ["summary", "since", "complexity"] {
            let text = docs.get(field).map(text_of).unwrap_or_default();
            assert!(!text.is_empty(), "{name} has no {field}: {docs:?}");
            assert!(!text.ends_with('.'), "{name}: {text}");
        }
        if BARE.contains(&name.as_str()) {
            continue;
        }
        let Some(Value::Array(arguments)) = docs.get("arguments") else {
            panic!("{name} has no arguments: {docs:?}");
        };
        assert!(!arguments.is_empty(), "{name}");
        let has_key = arguments.iter().any(|argument| {
            render(argument).contains("\"key\"") || render(argument).contains("+key")
        });
        let wanted = !KEYLESS.contains(&name.as_str());
        assert_eq!(has_key, wanted, "{name} has a key: {arguments:?}");
    }
}

#[test]
fn every_key_of_a_command_is_found() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for (line, keys) in KEYS {
        client.expect(&format!("COMMAND GETKEYS {line}"), keys);
    }
}

/// The flags of a key spec, in upper case.
fn flags_of(spec: &Value) -> Vec<String> {
    let flags = texts_of(&map_of(spec)["flags"]);
    flags.iter().map(|flag| flag.to_uppercase()).collect()
}

#[test]
fn key_specs_tell_how_a_key_is_used() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for name in client.module_commands() {
        let fields = fields_of(&mut client, &name);
        let Value::Array(specs) = &fields[8] else {
            panic!("{name} has no key specs");
        };
        if KEYLESS.contains(&name.as_str()) {
            assert!(specs.is_empty(), "{name}: {specs:?}");
            continue;
        }
        if let Some((_, several)) = SEVERAL.iter().find(|(one, _)| *one == name) {
            let flags: Vec<String> = specs.iter().map(|spec| flags_of(spec).join(" ")).collect();
            assert_eq!(flags, *several, "{name}");
            continue;
        }
        assert_eq!(specs.len(), 1, "{name}: {specs:?}");
        let flags = flags_of(&specs[0]);
        let has = |flag: &str| flags.iter().any(|have| have == flag);
        let reads = READERS.contains(&name.as_str());
        assert_eq!(has("RO"), reads, "{name}: {flags:?}");
        assert_eq!(has("RW") || has("OW"), !reads, "{name}: {flags:?}");
        assert!(reads <= has("ACCESS"), "{name}: {flags:?}");
        if matches!(
            name.as_str(),
            "IOT.ADD" | "IOT.MADD" | "IOT.INGEST" | "IOT.ADDBULK" | "IOT.TRACK" | "IOT.MTRACK"
        ) {
            assert!(has("INSERT"), "{name}: {flags:?}");
            assert!(!has("ACCESS"), "{name}: {flags:?}");
        }
    }
}

/// A connection of a user who has all commands, and the keys that `rules` allow.
fn user(server: &Server, rules: &str) -> Client {
    let mut admin = server.connect(Protocol::Resp2);
    admin.expect(
        &format!("ACL SETUSER someone reset on nopass +@all {rules}"),
        "+OK",
    );
    let mut client = server.connect(Protocol::Resp2);
    client.expect("AUTH someone any", "+OK");
    client
}

/// Commands for which one needs both to read and to write some of their keys.
const BOTH: [&str; 5] = [
    "IOT.CREATERULE",
    "IOT.FENCE|BIND",
    "IOT.FENCE|UNBIND",
    "IOT.ROAM|BIND",
    "IOT.ROAM|UNBIND",
];

/// Whether the server would let a user do this.
fn may(client: &mut Client, user: &str, line: &str) -> bool {
    client.run(&format!("ACL DRYRUN {user} {line}")) == Value::Okay
}

#[test]
fn each_command_takes_the_rights_that_it_needs_and_no_more() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for (user, keys) in [
        ("reads", "%R~*"),
        ("writes", "%W~*"),
        ("both", "~*"),
        ("none", "~other"),
    ] {
        client.expect(
            &format!("ACL SETUSER {user} on nopass +@all &* {keys}"),
            "+OK",
        );
    }
    client.expect("ACL SETUSER idle on nopass ~* &* -@all", "+OK");
    for (line, _) in KEYS {
        let mut words = line.split(' ');
        let name = words.next().unwrap().to_owned();
        let with_sub = format!("{name}|{}", words.next().unwrap_or_default());
        let is_in = |names: &[&str]| names.contains(&&*name) || names.contains(&&*with_sub);
        let [reads, writes, both, none, idle] =
            ["reads", "writes", "both", "none", "idle"].map(|user| may(&mut client, user, line));
        assert!(both && !none && !idle, "{line}");
        assert_eq!(reads, is_in(&READERS), "{line}");
        assert_eq!(writes, !reads && !is_in(&BOTH), "{line}");
    }
}

#[test]
fn who_may_only_write_can_add_and_not_read() {
    let server = Server::start();
    let mut client = user(&server, "%W~*");
    for (line, reply) in [
        ("IOT.CREATE c", "+OK"),
        ("IOT.ADD t 100 1", "100"),
        ("IOT.MADD t 200 1 c 1 1", "[200, 1]"),
        ("IOT.INGEST ITEMS t 300 1 u 5 1", "[300, 5]"),
        ("IOT.ADDBULK t SAMPLES 400 1", "_"),
        ("IOT.ALTER t RETENTION 5000", "+OK"),
        ("IOT.RANGE t - +", "-NOPERM*"),
        ("IOT.REVRANGE t - +", "-NOPERM*"),
        ("IOT.GET t", "-NOPERM*"),
        ("IOT.INFO t", "-NOPERM*"),
    ] {
        client.expect(line, reply);
    }
}

#[test]
fn who_may_only_read_can_change_nothing() {
    let server = Server::start();
    server
        .connect(Protocol::Resp2)
        .expect("IOT.ADD t 100 1", "100");
    let mut client = user(&server, "%R~*");
    for (line, reply) in [
        ("IOT.RANGE t - +", "[[100, #1]]"),
        ("IOT.REVRANGE t - +", "[[100, #1]]"),
        ("IOT.GET t", "[100, #1]"),
        ("IOT.INFO t", "_"),
        ("IOT.CREATE c", "-NOPERM*"),
        ("IOT.ALTER t RETENTION 5", "-NOPERM*"),
        ("IOT.ADD t 200 1", "-NOPERM*"),
        ("IOT.MADD t 200 1", "-NOPERM*"),
        ("IOT.INGEST ITEMS t 200 1", "-NOPERM*"),
        ("IOT.ADDBULK t SAMPLES 200 1", "-NOPERM*"),
        ("IOT.INCRBY t 1", "-NOPERM*"),
        ("IOT.DECRBY t 1", "-NOPERM*"),
        ("IOT.DEL t - +", "-NOPERM*"),
        ("IOT.RESTORE t x", "-NOPERM*"),
        ("IOT.RANGE t - +", "[[100, #1]]"),
    ] {
        client.expect(line, reply);
    }
}

#[test]
fn a_list_with_one_forbidden_key_is_forbidden() {
    let server = Server::start();
    server
        .connect(Protocol::Resp2)
        .expect("IOT.CREATE mine:1", "+OK");
    let mut client = user(&server, "~mine:*");
    for (line, reply) in [
        ("IOT.MADD mine:1 1 1", "[1]"),
        ("IOT.MADD mine:1 2 1 yours:1 1 1", "-NOPERM*"),
        ("IOT.INGEST ITEMS mine:1 3 1 mine:2 1 1", "[3, 1]"),
        ("IOT.INGEST ITEMS mine:1 4 1 yours:1 1 1", "-NOPERM*"),
        ("IOT.GET yours:1", "-NOPERM*"),
        ("IOT.GET mine:1", "_"),
    ] {
        client.expect(line, reply);
    }
    server
        .connect(Protocol::Resp2)
        .expect("EXISTS yours:1", "0");
}

#[test]
fn a_label_like_a_keyword_does_not_hide_the_keys_of_an_ingest() {
    let server = Server::start();
    let lines = [
        "IOT.INGEST LABELS a ITEMS ITEMS yours:1 5 1",
        "IOT.INGEST LABELS ITEMS ITEMS ITEMS yours:1 5 1",
        "IOT.INGEST LABELS b 1 a items ITEMS yours:1 5 1",
    ];
    // The keys that are found when the first word ITEMS is taken for the one before the keys.
    let mut client = user(&server, "~ITEMS ~items ~1 ~5");
    for line in lines {
        client.run(line);
    }
    server
        .connect(Protocol::Resp2)
        .expect("EXISTS yours:1", "0");
}
