//! The tool that copies series between two servers. The source is this module under the names of
//! RedisTimeSeries.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use support::client::{Client, Protocol};
use support::example;
use support::notation::{packed, words};
use support::seeds::{PERSISTENCE_SEED, Random};
use support::server::{Server, await_that};

/// Two servers, and a client of each.
struct Pair {
    source: Server,
    target: Server,
    from: Client,
    to: Client,
}

impl Pair {
    fn start() -> Self {
        let source = Server::start_with(&["TS-ALIASES", "yes"]);
        let target = Server::start();
        let (from, to) = (
            source.connect(Protocol::Resp2),
            target.connect(Protocol::Resp2),
        );
        Self {
            source,
            target,
            from,
            to,
        }
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(program());
        for (option, server) in [("--from", &self.source), ("--to", &self.target)] {
            let url = format!("redis://127.0.0.1:{}", server.port());
            command.args([option, &url]);
        }
        command.args(more).stdin(Stdio::null());
        command
    }

    /// Runs the tool; its last line, and what it complains of.
    fn migrate(&self, more: &[&str]) -> (bool, String, String) {
        let output = self.command(more).output().unwrap();
        let [said, complained] = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8(bytes).unwrap().trim_end().to_owned());
        (output.status.success(), said, complained)
    }

    #[track_caller]
    fn expect(&self, more: &[&str], said: &str) {
        let (success, have, complained) = self.migrate(more);
        assert_eq!((have.as_str(), complained.as_str()), (said, ""), "{more:?}");
        assert!(success, "{more:?}");
    }

    #[track_caller]
    fn expect_failure(&self, more: &[&str], complaint: &str) {
        let (success, said, complained) = self.migrate(more);
        assert!(complained.contains(complaint), "{complained}\n{said}");
        assert!(!success, "{more:?}");
    }

    #[track_caller]
    fn expect_same(&mut self, key: &str) {
        assert_eq!(self.from.digest_of(key), self.to.digest_of(key), "{key}");
    }
}

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| example::program("migrate"))
}

/// Series with every option, and more samples than a page has.
const SERIES: [(&str, &str); 8] = [
    ("plain", ""),
    ("labels", "LABELS room \"a b\" floor 2 raw \"\\x00\\xff\""),
    ("window", "RETENTION 500000"),
    ("policy", "DUPLICATE_POLICY SUM"),
    ("same", "DUPLICATE_POLICY LAST IGNORE 5000 1000"),
    ("small", "CHUNK_SIZE 64 ENCODING GORILLA"),
    ("raw", "ENCODING UNCOMPRESSED LABELS kind x"),
    ("\"\\xff key\"", "IDLE_TTL 1h"),
];

fn fill(client: &mut Client) {
    let mut random = Random::new(PERSISTENCE_SEED);
    for (key, options) in SERIES {
        let mut line = words(&format!(
            "IOT.ADDBULK {key} {options} ON_DUPLICATE FIRST PACKED"
        ));
        let samples = (0..1_500).map(|index| (index * 1_000, random.reading()));
        line.push(packed(samples));
        client.call(&line);
    }
    client.expect("TS.CREATE empty LABELS kind x", "+OK");
    client.expect(
        "IOT.ADDBULK odd PACKED packed:1=inf,2=nan,3=-0.0,4=1e-320",
        "_",
    );
    client.expect("TS.ADD short 5 1 LABELS kind x", "5");
    client.expect("PEXPIRE short 10000000", "1");
    client.expect("SET text hello", "+OK");
}

#[test]
fn every_series_arrives_as_it_was() {
    let mut pair = Pair::start();
    fill(&mut pair.from);
    let samples = 7 * 1_500 + 501 + 4 + 1;
    pair.expect(
        &["--dry-run", "--quiet", "--filter", "kind=x"],
        "empty: create, 0 samples\nraw: create, 1500 samples\nshort: create, 1 samples\n\
         3 series with 1501 samples would be copied, 0 were complete, 0 rules would be made, 0 failed",
    );
    pair.to.expect("DBSIZE", "0");
    let said =
        format!("11 series with {samples} samples copied, 0 were complete, 0 rules made, 0 failed");
    pair.expect(&["--page", "100"], &said);
    for key in SERIES
        .map(|(key, _)| key)
        .iter()
        .chain(&["empty", "odd", "short"])
    {
        pair.expect_same(key);
    }
    pair.to.expect("DBSIZE", "11");
    assert!(pair.to.integer("PTTL short") > 9_000_000);
    assert!(pair.to.integer("PTTL \"\\xff key\"") > 3_000_000);
    pair.expect(
        &["--quiet"],
        "0 series with 0 samples copied, 11 were complete, 0 rules made, 0 failed",
    );
}

#[test]
fn what_is_filtered_out_stays() {
    let mut pair = Pair::start();
    fill(&mut pair.from);
    let said = "3 series with 1501 samples copied, 0 were complete, 0 rules made, 0 failed";
    pair.expect(&["--filter", "kind=x", "--filter", "room="], said);
    pair.to
        .expect("IOT.QUERYINDEX kind!=", "[\"empty\", \"raw\", \"short\"]");
    pair.to.expect("DBSIZE", "3");
}

#[test]
fn a_copy_goes_on_where_it_stopped() {
    let mut pair = Pair::start();
    let mut random = Random::new(PERSISTENCE_SEED);
    let samples: Vec<_> = (0..200_000).map(|time| (time, random.reading())).collect();
    let mut line = words("IOT.ADDBULK long PACKED");
    line.push(packed(samples));
    pair.from.call(&line);
    let mut tool = pair
        .command(&["--page", "500", "--quiet"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    await_that("a part is there", || {
        pair.to.integer("IOT.CARD FILTER none=") == 1
    });
    tool.kill().unwrap();
    tool.wait().unwrap();
    let (success, said, complained) = pair.migrate(&["--quiet"]);
    assert!(success, "{said}\n{complained}");
    pair.expect_same("long");
}

#[test]
fn what_comes_later_is_fetched_and_what_is_there_stays() {
    let mut pair = Pair::start();
    pair.from.expect("TS.ADD a 1000 1", "1000");
    pair.from.expect("TS.ADD a 2000 2", "2000");
    pair.expect(
        &[],
        "1 series with 2 samples copied, 0 were complete, 0 rules made, 0 failed",
    );
    pair.from.expect("TS.ADD a 3000 3", "3000");
    pair.expect(
        &[],
        "1 series with 1 samples copied, 0 were complete, 0 rules made, 0 failed",
    );
    // Writers go to both: the target's newest sample says nothing of what is before it.
    pair.from.expect("TS.ADD a 3500 3", "3500");
    for client in [&mut pair.from, &mut pair.to] {
        client.expect("IOT.ADD a 4000 4", "4000");
    }
    pair.expect_failure(
        &[],
        "migrate: a: the copy differs in its number of samples: 5 at the source, 4 at",
    );
    pair.expect(
        &["--all"],
        "1 series with 1 samples copied, 0 were complete, 0 rules made, 0 failed",
    );
    pair.expect_same("a");
    // A value that differs is not overwritten, but told.
    pair.to.expect("IOT.ADD a 2000 7 ON_DUPLICATE LAST", "2000");
    pair.expect_failure(
        &["--all"],
        "the copy differs in its greatest value: 4 at the source, 7 at the target",
    );
    pair.expect(
        &["--no-verify"],
        "0 series with 0 samples copied, 1 were complete, 0 rules made, 0 failed",
    );
}

#[test]
fn rules_go_on_at_the_target() {
    let mut pair = Pair::start();
    for line in [
        "TS.ADD a 1 1 LABELS kind x",
        "TS.CREATE a:max LABELS agg max",
        "TS.CREATE a:avg",
        "TS.CREATERULE a a:max AGGREGATION max 1000",
        "TS.CREATERULE a a:avg AGGREGATION avg 10000 500",
    ] {
        pair.from.expect(line, "_");
    }
    for time in 1..100 {
        pair.from
            .expect(&format!("TS.ADD a {} {time}", time * 300), "int");
    }
    pair.expect(
        &[],
        "3 series with 132 samples copied, 0 were complete, 2 rules made, 0 failed",
    );
    for time in 100..150 {
        for client in [&mut pair.from, &mut pair.to] {
            client.expect(&format!("IOT.ADD a {} {time}", time * 300), "int");
        }
    }
    for client in [&mut pair.from, &mut pair.to] {
        client.expect("IOT.ADD a 700 1000", "700");
    }
    // What a series remembers of where its rules begin is not the same; what is read is.
    for key in ["a", "a:max", "a:avg"] {
        let line = format!("IOT.RANGE {key} - +");
        assert_eq!(pair.from.run(&line), pair.to.run(&line), "{key}");
    }
    // Destinations are their rules' from now on.
    pair.expect(
        &[],
        "0 series with 0 samples copied, 3 were complete, 0 rules made, 0 failed",
    );
}

#[test]
fn what_has_left_the_source_stays_in_the_destination() {
    let mut pair = Pair::start();
    for line in [
        "TS.CREATE a RETENTION 20000",
        "TS.CREATE a:sum",
        "TS.CREATERULE a a:sum AGGREGATION sum 1000",
    ] {
        pair.from.expect(line, "_");
    }
    for time in 0..400 {
        pair.from
            .expect(&format!("TS.ADD a {} {time}", time * 300), "int");
    }
    pair.expect(
        &[],
        "2 series with 186 samples copied, 0 were complete, 1 rules made, 0 failed",
    );
    for client in [&mut pair.from, &mut pair.to] {
        client.expect("IOT.ADD a 110150 7", "110150");
        client.expect("IOT.ADD a 121000 7", "121000");
    }
    for line in ["IOT.RANGE a - +", "IOT.RANGE a:sum - +"] {
        assert_eq!(pair.from.run(line), pair.to.run(line), "{line}");
    }
}

#[test]
fn a_rule_whose_end_is_missing_is_told() {
    let mut pair = Pair::start();
    for line in [
        "TS.ADD a 1 1 LABELS kind x",
        "TS.CREATE b",
        "TS.CREATERULE a b AGGREGATION max 1000",
    ] {
        pair.from.expect(line, "_");
    }
    pair.expect_failure(
        &["--filter", "kind=x"],
        "migrate: a: the rule to b: the destination was not copied",
    );
    pair.expect(
        &["--filter", "kind=x", "--no-rules"],
        "0 series with 0 samples copied, 1 were complete, 0 rules made, 0 failed",
    );
}

#[test]
fn what_goes_wrong_is_named_and_the_rest_goes_on() {
    let mut pair = Pair::start();
    fill(&mut pair.from);
    pair.to.expect("SET plain text", "+OK");
    let (success, said, complained) = pair.migrate(&[]);
    assert_eq!(
        complained,
        "migrate: plain: at the target: the key holds a string there"
    );
    assert!(said.starts_with("10 series"), "{said}");
    assert!(said.ends_with("1 failed"), "{said}");
    assert!(!success);
    let swapped = Command::new(program())
        .arg("--from")
        .arg(format!("redis://127.0.0.1:{}", pair.target.port()))
        .arg("--to")
        .arg(format!("redis://127.0.0.1:{}", pair.source.port()))
        .output()
        .unwrap();
    assert!(!swapped.status.success());
    assert_eq!(
        String::from_utf8(swapped.stderr).unwrap(),
        "migrate: the source does not know TS.RANGE: is RedisTimeSeries, or redis-iot with \
         TS-ALIASES yes, loaded there?\n"
    );
    for (words, complaint) in [
        (
            &["--to", "redis://x"][..],
            "migrate: --from is missing; --help lists the options\n",
        ),
        (
            &["--page", "0"],
            "migrate: --page takes 1 to 1000000, not '0'\n",
        ),
        (
            &["--form"],
            "migrate: unknown option --form; --help lists them\n",
        ),
    ] {
        let output = Command::new(program()).args(words).output().unwrap();
        assert!(!output.status.success());
        assert_eq!(String::from_utf8(output.stderr).unwrap(), complaint);
    }
}
