//! Policies: rules that series get because of their labels, now and later.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::{Client, Protocol};
use support::notation::render;
use support::server::Server;

const MADE: &str = "IOT.POLICY SET hourly FILTER kind=temp RULES avg 1h RETENTION 30d max 1d";

fn server_and_client() -> (Server, Client) {
    let server = Server::start();
    let client = server.connect(Protocol::Resp2);
    (server, client)
}

/// The rules of a series, as `destination aggregator`.
fn rules_of(client: &mut Client, key: &str) -> String {
    let info = render(&client.run(&format!("IOT.INFO {key}")));
    let rules = info.split("rules").nth(1).unwrap_or_default();
    rules.to_string()
}

/// The destination of a source holds what the aggregation gives for its closed buckets.
#[track_caller]
fn check_law(client: &mut Client, source: &str, destination: &str, aggregation: &str) {
    let wanted = render(&client.run(&format!("IOT.RANGE {source} - + AGGREGATION {aggregation}")));
    let have = render(&client.run(&format!("IOT.RANGE {destination} - + LATEST")));
    assert_eq!(have, wanted, "{destination}");
}

#[test]
fn series_that_match_get_rules_at_once() {
    let (_server, mut client) = server_and_client();
    client.run("IOT.CREATE t:1 LABELS kind temp room 7");
    client.run("IOT.ADDBULK t:2 LABELS kind temp SAMPLES 0 1 1800000 3 3600000 5 7300000 7");
    client.run("IOT.CREATE h:1 LABELS kind hum");
    client.expect(MADE, r#"["matched", 2, "created", 4, "skipped", 0]"#);
    client.expect("EXISTS t:1:avg:1h t:1:max:1d t:2:avg:1h t:2:max:1d", "4");
    client.expect("EXISTS h:1:avg:1h", "0");
    client.expect(
        "IOT.QUERYINDEX aggregation=avg bucket=1h kind=temp room=7",
        r#"["t:1:avg:1h"]"#,
    );
    let info = render(&client.run("IOT.INFO t:1:avg:1h"));
    assert!(
        info.contains("2592000000"),
        "the retention of the rule: {info}"
    );
    // Without BACKFILL the open bucket is the first.
    client.expect("IOT.RANGE t:2:avg:1h - +", "[]");
    client.run("IOT.ADD t:2 20000000 1");
    client.expect("IOT.RANGE t:2:avg:1h - +", "[[7200000, #7]]");
    // Again: everything is there already, and destinations are not matched.
    client.expect(MADE, r#"["matched", 2, "created", 0, "skipped", 0]"#);
}

#[test]
fn backfill_fills_in_what_there_was() {
    let (_server, mut client) = server_and_client();
    client.run("IOT.ADDBULK t LABELS kind temp SAMPLES 0 1 1800000 3 3600000 5 7300000 7");
    client.expect(
        &format!("{MADE} BACKFILL"),
        r#"["matched", 1, "created", 2, "skipped", 0]"#,
    );
    client.expect("IOT.RANGE t:avg:1h - +", "[[0, #2], [3600000, #5]]");
    check_law(&mut client, "t", "t:avg:1h", "avg 3600000");
    client.run("IOT.ADD t 1000 9");
    client.run("IOT.DEL t 3600000 3600000");
    client.run("IOT.ADD t 99000000 9");
    check_law(&mut client, "t", "t:avg:1h", "avg 3600000");
    check_law(&mut client, "t", "t:max:1d", "max 86400000");
}

#[test]
fn every_command_that_creates_a_series_gives_it_rules() {
    let (_server, mut client) = server_and_client();
    client.expect(MADE, r#"["matched", 0, "created", 0, "skipped", 0]"#);
    for (key, line) in [
        ("a", "IOT.CREATE a LABELS kind temp"),
        ("b", "IOT.ADD b 100 1 LABELS kind temp"),
        (
            "c",
            "IOT.INGEST LABELS kind temp ITEMS c 100 1 c 3700000 2 c 8000000 3",
        ),
        (
            "d",
            "IOT.ADDBULK d LABELS kind temp SAMPLES 0 1 3600000 2 7200000 3 7300000 4",
        ),
        ("e", "IOT.INCRBY e 1 TIMESTAMP 100 LABELS kind temp"),
        ("f", "IOT.DECRBY f 1 TIMESTAMP 100 LABELS kind temp"),
        (
            "g",
            "EVAL \"return redis.call('IOT.ADD', 'g', 5, 1, 'LABELS', 'kind', 'temp')\" 1 g",
        ),
    ] {
        client.run(line);
        let rules = rules_of(&mut client, key);
        assert!(rules.contains(&format!("{key}:avg:1h")), "{line}: {rules}");
        assert!(rules.contains(&format!("{key}:max:1d")), "{line}: {rules}");
        for time in [4_000_000_i64, 100_000_000, 50_000, 200_000_000] {
            client.run(&format!("IOT.ADD {key} {time} 5"));
        }
        check_law(&mut client, key, &format!("{key}:avg:1h"), "avg 3600000");
        check_law(&mut client, key, &format!("{key}:max:1d"), "max 86400000");
    }
    client.run("IOT.CREATE z LABELS kind hum");
    client.expect("EXISTS z:avg:1h", "0");
    client.expect(
        "IOT.CREATERULE d:max:1d month AGGREGATION max 1mo CREATE",
        "+OK",
    );
    client.expect("EXISTS d:max:1d:avg:1h month:avg:1h", "0");
}

#[test]
fn other_labels_bring_rules_and_take_none() {
    let (_server, mut client) = server_and_client();
    client.run(MADE);
    client.run("IOT.ADDBULK a LABELS kind hum SAMPLES 0 1 8000000 2");
    client.run("IOT.ADDBULK b LABELS kind hum SAMPLES 0 1 8000000 2");
    client.expect("IOT.ALTER a RETENTION 0", "+OK");
    client.expect("EXISTS a:avg:1h b:avg:1h", "0");
    client.expect("IOT.ALTER a LABELS kind temp", "+OK");
    client.expect("EXISTS a:avg:1h b:avg:1h", "1");
    client.expect("IOT.MALTER FILTER kind=hum SET LABELS kind temp", "1");
    client.expect("EXISTS a:avg:1h b:avg:1h", "2");
    client.run("IOT.ADD a 20000000 3");
    client.expect("IOT.RANGE a:avg:1h - +", "[[7200000, #2]]");
    client.expect("IOT.ALTER a LABELS", "+OK");
    client.run("IOT.ADD a 40000000 3");
    client.expect("IOT.RANGE a:avg:1h - +", "[[7200000, #2], [18000000, #3]]");
}

#[test]
fn what_is_in_the_way_is_counted_and_left() {
    let (server, mut client) = server_and_client();
    client.run("SET a:avg:1h text");
    client.run("IOT.CREATE other LABELS kind hum");
    client.run("IOT.CREATERULE other b:avg:1h AGGREGATION avg 1h CREATE");
    client.run("IOT.CREATE short RETENTION 60000 LABELS kind temp");
    for key in ["a", "b", "c"] {
        client.run(&format!("IOT.CREATE {key} LABELS kind temp"));
    }
    client.run("IOT.CREATERULE c c:max:1d AGGREGATION min 1d CREATE");
    client.expect(MADE, r#"["matched", 4, "created", 3, "skipped", 5]"#);
    client.expect("GET a:avg:1h", "\"text\"");
    // A series that is there already is written behind what it has.
    client.run("IOT.ADDBULK e:avg:1h SAMPLES 0 77 3600000 78");
    client.run("IOT.ADDBULK e SAMPLES 0 1 3600000 1 7200000 1 10800000 2");
    client.expect("IOT.ALTER e LABELS kind temp", "+OK");
    client.expect("EXISTS e:max:1d", "1");
    assert!(
        !rules_of(&mut client, "e").contains("e:avg:1h"),
        "nobody's series is taken"
    );
    client.expect(
        &format!("{MADE} BACKFILL"),
        r#"["matched", 5, "created", 1, "skipped", 5]"#,
    );
    client.expect(
        "IOT.RANGE e:avg:1h - +",
        "[[0, #77], [3600000, #78], [7200000, #1]]",
    );
    for key in 0..5 {
        client.run(&format!("SET x:{key}:avg:1h text"));
        client.run(&format!("IOT.CREATE x:{key} LABELS kind temp"));
    }
    let log = std::fs::read_to_string(server.folder().join("log")).unwrap();
    let lines = log.matches("policy 'hourly' could not give").count();
    assert_eq!(lines, 2, "one line each time that it is set: {log}");
}

#[test]
fn a_source_that_comes_back_goes_on_with_its_destination() {
    let (_server, mut client) = server_and_client();
    client.run(MADE);
    client.run("IOT.ADDBULK t LABELS kind temp SAMPLES 0 1 3600000 2 7200000 3");
    client.run("DEL t");
    client.run("IOT.ADDBULK t LABELS kind temp SAMPLES 0 9 7200000 8 20000000 7");
    client.expect(
        "IOT.RANGE t:avg:1h - +",
        "[[0, #1], [3600000, #2], [7200000, #8]]",
    );
}

#[test]
fn a_policy_is_replaced_and_ended_for_the_future() {
    let (_server, mut client) = server_and_client();
    client.run("IOT.CREATE a LABELS kind temp");
    client.run(MADE);
    client.expect(
        "IOT.POLICY SET hourly FILTER kind=temp RULES min 1m DESTINATION {agg}/{bucket}/{key}",
        r#"["matched", 1, "created", 1, "skipped", 0]"#,
    );
    client.expect("EXISTS a:avg:1h a:max:1d min/1m/a", "3");
    client.run("IOT.CREATE b LABELS kind temp");
    client.expect("EXISTS b:avg:1h b:max:1d min/1m/b", "1");
    client.expect("IOT.POLICY DEL hourly", "1");
    client.expect("IOT.POLICY DEL hourly", "0");
    client.run("IOT.CREATE c LABELS kind temp");
    client.expect("EXISTS min/1m/c", "0");
    client.run("IOT.ADD a 0 5");
    client.run("IOT.ADD a 60000 5");
    client.expect("IOT.RANGE min/1m/a - +", "[[0, #5]]");
}

/// Whether a new series gets rules in the database in use.
fn is_in_force(client: &mut Client, key: &str) -> bool {
    client.run(&format!("IOT.CREATE {key} LABELS kind temp"));
    client.integer(&format!("EXISTS {key}:avg:1h")) == 1
}

#[test]
fn a_policy_goes_where_its_key_goes() {
    let (_server, mut client) = server_and_client();
    client.run(MADE);
    client.expect("TYPE hourly", "+iotpolicy");
    client.expect("RENAME hourly other", "+OK");
    client.expect("IOT.POLICY LIST", r#"["other"]"#);
    assert!(is_in_force(&mut client, "a"));
    client.expect("COPY other copy", "1");
    client.expect("IOT.POLICY LIST", r#"["copy", "other"]"#);
    client.expect("DEL other", "1");
    assert!(is_in_force(&mut client, "b"));
    client.expect("SWAPDB 0 1", "+OK");
    client.expect("IOT.POLICY LIST", "[]");
    assert!(!is_in_force(&mut client, "c"));
    client.run("SELECT 1");
    client.expect("IOT.POLICY LIST", r#"["copy"]"#);
    assert!(is_in_force(&mut client, "d"));
    client.expect("MOVE copy 0", "1");
    assert!(!is_in_force(&mut client, "e"));
    client.run("SELECT 0");
    assert!(is_in_force(&mut client, "f"));
    let dump = match client.run("DUMP copy") {
        redis::Value::BulkString(bytes) => bytes,
        other => panic!("{}", render(&other)),
    };
    client.expect("SET copy text", "+OK");
    assert!(!is_in_force(&mut client, "g"));
    let restore: [&[u8]; 5] = [b"RESTORE", b"copy", b"0", &dump, b"REPLACE"];
    assert_eq!(client.call(&restore), redis::Value::Okay);
    assert!(is_in_force(&mut client, "h"));
    client.expect("PEXPIRE copy 1", "1");
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(!is_in_force(&mut client, "i"));
    client.run(MADE);
    client.expect("FLUSHDB", "+OK");
    assert!(!is_in_force(&mut client, "j"));
    client.expect("IOT.POLICY LIST", "[]");
}

#[test]
fn a_policy_is_stored() {
    for args in [
        &["--appendonly", "yes"][..],
        &["--appendonly", "yes", "--aof-use-rdb-preamble", "no"],
    ] {
        let mut server = Server::start_with(args);
        let mut client = server.connect(Protocol::Resp2);
        client.run(MADE);
        client.run(
            "IOT.POLICY SET odd FILTER kind=hum \"(a=1 OR b!=)\" RULES p99.5 1d TZ Europe/Berlin \
             timein(2) 90001 ALIGN 5 last 1mo RETENTION 365d first 1w DESTINATION \"{agg} {bucket}:{key}\"",
        );
        client.run("IOT.ADDBULK t LABELS kind temp SAMPLES 0 1 3600000 2 99000000 3");
        client.run("IOT.ADDBULK h LABELS kind hum b 1 SAMPLES 0 1 3600000 2 99000000 3");
        let (digest, got) = (client.digest(), render(&client.run("IOT.POLICY GET odd")));
        for rewrite in [false, true] {
            if rewrite {
                client.run("BGREWRITEAOF");
                server.await_info("persistence", "aof_rewrite_in_progress:0");
                server.await_info("persistence", "aof_last_bgrewrite_status:ok");
            }
            server.restart();
            client = server.connect(Protocol::Resp2);
            assert_eq!(client.digest(), digest, "{args:?} {rewrite}");
            client.expect("IOT.POLICY LIST", r#"["hourly", "odd"]"#);
            assert_eq!(render(&client.run("IOT.POLICY GET odd")), got);
        }
        client.expect("DEBUG RELOAD", "+OK");
        assert_eq!(client.digest(), digest);
        assert!(client.integer("MEMORY USAGE odd") > 200);
        assert!(is_in_force(&mut client, "new"));
    }
}

#[test]
fn a_replica_follows_and_goes_on_after_a_promotion() {
    let (master, replica) = (Server::start(), Server::start());
    let mut client = master.connect(Protocol::Resp2);
    client.run("IOT.ADDBULK old LABELS kind temp SAMPLES 0 1 3600000 2 99000000 3");
    replica.replica_of(&master);
    let mut other = replica.connect(Protocol::Resp2);
    client.run(&format!("{MADE} BACKFILL"));
    for line in [
        "IOT.ADDBULK a LABELS kind temp SAMPLES 0 1 3600000 2 99000000 3",
        "IOT.INGEST LABELS kind temp ITEMS b 100 1 b 3700000 2 b 8000000 3",
        "IOT.ADD c * 5 LABELS kind temp",
        "IOT.INCRBY d 5 LABELS kind temp",
        "IOT.CREATE e LABELS kind hum",
        "IOT.ALTER e LABELS kind temp",
        "IOT.ADD a 500 9",
        "IOT.DEL old 0 0",
        "IOT.POLICY SET more FILTER kind=temp RULES min 1m",
    ] {
        client.run(line);
    }
    client.expect("WAIT 1 30000", "1");
    assert_eq!(client.digest(), other.digest());
    let late = Server::start();
    late.replica_of(&master);
    let mut late = late.connect(Protocol::Resp2);
    assert_eq!(client.digest(), late.digest());
    late.expect("IOT.POLICY LIST", r#"["hourly", "more"]"#);
    late.expect("REPLICAOF NO ONE", "+OK");
    assert!(is_in_force(&mut late, "new"));
    other.expect("IOT.POLICY LIST", r#"["hourly", "more"]"#);
    other.expect(MADE, "-READONLY*");
    other.expect("REPLICAOF NO ONE", "+OK");
    assert!(is_in_force(&mut other, "new"));
    other.expect("EXISTS new:min:1m", "1");
}

#[test]
fn rights_are_those_of_keys() {
    let (server, mut admin) = server_and_client();
    admin.run("IOT.CREATE mine:1 LABELS kind temp");
    admin.run("ACL SETUSER someone reset on nopass +@all ~mine:*");
    let mut client = server.connect(Protocol::Resp2);
    client.expect("AUTH someone any", "+OK");
    client.expect(MADE, "-NOPERM*");
    client.expect(
        "IOT.POLICY SET mine:p FILTER kind=temp RULES avg 1h DESTINATION yours:{key}",
        "-NOPERM*",
    );
    client.expect(
        "IOT.POLICY SET mine:p FILTER kind=temp RULES avg 1h",
        r#"["matched", 1, "created", 1, "skipped", 0]"#,
    );
    admin.run("IOT.CREATE yours:1 LABELS kind temp");
    admin.run(MADE);
    client.expect(
        "IOT.POLICY SET mine:q FILTER kind=temp RULES sum 1h",
        "-NOPERM*",
    );
    admin.expect("EXISTS mine:1:sum:1h mine:q", "0");
    client.expect("IOT.POLICY LIST", r#"["mine:p"]"#);
    client.expect("IOT.POLICY GET hourly", "-NOPERM*");
    client.expect("IOT.POLICY DEL hourly", "-NOPERM*");
    client.expect("IOT.POLICY DEL mine:p", "1");
}

#[test]
fn limits_hold() {
    let (_server, mut client) = server_and_client();
    for number in 0..256 {
        client.run(&format!(
            "IOT.POLICY SET p{number} FILTER a={number} RULES avg 1h"
        ));
    }
    let over = "IOT.POLICY SET more FILTER a=1 RULES avg 1h";
    client.expect(
        over,
        "-ERR too many policies of a database: the limit is 256",
    );
    client.expect("IOT.POLICY SET p1 FILTER b=1 RULES avg 1h", "_");
    client.run("IOT.POLICY DEL p2");
    client.expect(over, "_");
    client.run("CONFIG SET redis-iot.max-series 1");
    client.run("IOT.CREATE x LABELS c 1");
    client.run("IOT.CREATE y LABELS c 1");
    client.expect(
        "IOT.POLICY SET p1 FILTER c=1 RULES avg 1h",
        "-ERR the filter matches 2*",
    );
}

#[test]
fn in_a_cluster_destinations_lie_beside_their_sources() {
    let bus = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = bus.local_addr().unwrap().port().to_string();
    drop(bus);
    let server = Server::start_with(&["--cluster-enabled", "yes", "--cluster-port", &port]);
    let mut client = server.connect(Protocol::Resp2);
    client.expect("CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    support::server::await_that("the cluster is up", || {
        client.text("CLUSTER INFO").contains("cluster_state:ok")
    });
    client.expect("IOT.CREATE plain LABELS kind temp", "+OK");
    client.expect("IOT.CREATE x{tag}1 LABELS kind temp", "+OK");
    client.expect("IOT.CREATE a}b LABELS kind temp", "+OK");
    client.expect(MADE, r#"["matched", 3, "created", 4, "skipped", 2]"#);
    client.expect("EXISTS {plain}:avg:1h", "1");
    client.expect("EXISTS x{tag}1:max:1d", "1");
    for (source, destination) in [("plain", "{plain}:avg:1h"), ("x{tag}1", "x{tag}1:avg:1h")] {
        assert_eq!(
            client.integer(&format!("CLUSTER KEYSLOT {source}")),
            client.integer(&format!("CLUSTER KEYSLOT {destination}"))
        );
        client.run(&format!("IOT.ADD {source} 0 5"));
        client.run(&format!("IOT.ADD {source} 3600000 5"));
        client.expect(&format!("IOT.RANGE {destination} - +"), "[[0, #5]]");
    }
    client.run("IOT.ADDBULK new LABELS kind temp SAMPLES 0 5 3600000 5");
    client.expect("IOT.RANGE {new}:avg:1h - +", "[[0, #5]]");
    client.expect(
        "IOT.DEBUG INDEX",
        r#"["series", 10, "indexed", 10, "bytes", int, "difference", nil]"#,
    );
    client.expect("IOT.POLICY LIST", r#"["hourly"]"#);
    client.expect("MULTI", "+OK");
    client.run("IOT.POLICY SET other FILTER kind=temp RULES min 1h");
    client.expect("EXEC", "[-\"ERR in a cluster, *\"]");
    let digest = client.digest();
    client.expect("DEBUG RELOAD", "+OK");
    assert_eq!(client.digest(), digest);
}

#[test]
fn a_transaction_and_a_chain_go_together() {
    let (_server, mut client) = server_and_client();
    client.run("IOT.CREATE t LABELS kind temp");
    client.expect("MULTI", "+OK");
    client.run(MADE);
    client.run("IOT.CREATERULE t:avg:1h t:day AGGREGATION max 1d CREATE");
    client.run("IOT.ADDBULK t SAMPLES 0 1 3600000 5 86400000 2 90000000 3 180000000 4");
    client.expect("EXEC", "[_, +OK, _]");
    check_law(&mut client, "t", "t:avg:1h", "avg 3600000");
    check_law(&mut client, "t:avg:1h", "t:day", "max 86400000");
    client.expect("IOT.RANGE t:day - +", "[[0, #5]]");
    client.run("IOT.ADD t 1000 21");
    client.expect("IOT.RANGE t:day - +", "[[0, #11]]");
}

#[test]
fn a_setting_gives_rules_to_every_new_series() {
    let text = "max:1M:1h;min:10s:5d:10d";
    for args in [
        ["COMPACTION_POLICY", text],
        ["--redis-iot.compaction-policy", text],
    ] {
        let server = Server::start_with(&args);
        let mut client = server.connect(Protocol::Resp2);
        client.expect(
            "CONFIG GET redis-iot.compaction-policy",
            &format!("[\"redis-iot.compaction-policy\", \"{text}\"]"),
        );
        client.expect("CONFIG SET redis-iot.compaction-policy max:1M:1h", "-ERR*");
        client.expect("IOT.ADD temp 0 5", "0");
        client.expect("EXISTS temp_MAX_60000 temp_MIN_10000", "2");
        client.run("IOT.ADD temp 60000 5");
        client.expect("IOT.RANGE temp_MAX_60000 - +", "[[0, #5]]");
        client.expect("IOT.POLICY LIST", "[]");
        client.expect("DBSIZE", "3");
    }
    let log = Server::refusal_of(&["COMPACTION_POLICY", "max:1m:1h"]);
    assert!(
        log.contains("COMPACTION_POLICY must be agg:bucket"),
        "{log}"
    );
}
