//! `IOT.CREATERULE` and `IOT.DELETERULE`: aggregates of one series, kept in another.
//!
//! ```text
//! IOT.CREATERULE source destination AGGREGATION agg bucket [alignTimestamp] [TZ zone]
//!                [DELAY duration] [BACKFILL [FROM time]] [CREATE [creation options]]
//! IOT.DELETERULE source destination
//! ```
//!
//! Replicas and the append-only file get the rule with `SINCE`, the time with which its first bucket
//! begins, and what was filled in behind it.

use super::Command;
use super::args::Args;
use super::creation::{
    CHUNK_SIZE, Creation, DUPLICATE_POLICY, ENCODING, IDLE_TTL, IGNORE, LABELS, RETENTION, set,
};
use super::derived::{self, MAX_CHAIN};
use super::duration;
use super::effect;
use super::error::{Error, Result, Token};
use super::host::{Host, Key, Later, Reply, Slot, Writer};
use super::number;
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::aggregate::Aggregator;
use crate::engine::query::Zone;
use crate::engine::rule::{Changes, Cut, MAX_KEY_BYTES, MAX_RULES, Refresh, Rule};
use crate::engine::{self, Series, TimeRange, Timestamp};

/// From where a rule is filled in when it is made.
#[derive(Clone, Copy)]
enum Begin {
    /// The bucket that is open.
    Open,
    /// The bucket that holds a time, and all after it.
    Backfill(Timestamp),
    /// As a master has decided, which sends what was filled in.
    Decided(Timestamp),
}

/// A rule as a client gave it.
struct Given {
    aggregator: Aggregator,
    cut: Cut,
    delay_ms: i64,
    begin: Begin,
    creation: Option<Creation>,
}

fn parse(args: &mut Args<'_>) -> Result<Given> {
    if !args.keyword("AGGREGATION") {
        return Err(Error::MissingValue("AGGREGATION"));
    }
    let [aggregator] = number::aggregators(args.take("aggregator")?)?[..] else {
        return Err(Error::Conflict(
            "CREATERULE requires exactly one aggregation type",
        ));
    };
    let text = args.take("bucketDuration")?;
    let span = duration::span(text)
        .ok_or_else(|| Error::Invalid("Couldn't parse bucketDuration", Token::from(text)))?;
    if span.is_zero() {
        return Err(Error::Conflict("bucketDuration must be greater than zero"));
    }
    let align_ms = args.peek().and_then(number::whole);
    if align_ms.is_some() {
        args.take("alignTimestamp")?;
    }
    let (mut zone, mut delay_ms, mut begin, mut creation) = (None, None, None, None);
    while !args.is_empty() {
        if args.keyword("TZ") {
            set(&mut zone, "TZ", time_zone(args)?)?;
        } else if args.keyword("DELAY") {
            set(&mut delay_ms, "DELAY", delay(args)?)?;
        } else if args.keyword("BACKFILL") {
            let from_ms = if args.keyword("FROM") {
                number::timestamp(args.take("FROM")?)?
            } else {
                0
            };
            set(&mut begin, "BACKFILL", Begin::Backfill(from_ms))?;
        } else if args.keyword("SINCE") {
            let since_ms = number::timestamp(args.take("SINCE")?)?;
            set(&mut begin, "SINCE", Begin::Decided(since_ms))?;
        } else if args.keyword("CREATE") {
            let mut options = Creation::default();
            while options.take(args)? {}
            set(&mut creation, "CREATE", options)?;
        } else {
            args.finish()?;
        }
    }
    if align_ms.is_some() && (zone.is_some() || span.milliseconds().is_none()) {
        return Err(Error::Conflict(
            "alignTimestamp cannot be used with buckets by the calendar, which are where it says",
        ));
    }
    Ok(Given {
        aggregator,
        cut: Cut::new(span, zone, align_ms.unwrap_or(0))?,
        delay_ms: delay_ms.unwrap_or(0),
        begin: begin.unwrap_or(Begin::Open),
        creation,
    })
}

fn time_zone(args: &mut Args<'_>) -> Result<Zone> {
    let text = args.take("TZ")?;
    Zone::by_name(text).ok_or_else(|| Error::Invalid("unknown time zone", Token::from(text)))
}

fn delay(args: &mut Args<'_>) -> Result<i64> {
    let text = args.take("DELAY")?;
    duration::milliseconds(text)
        .ok_or_else(|| Error::Invalid("Couldn't parse DELAY", Token::from(text)))
}

/// Why a source cannot have a rule to a destination, or nothing.
fn check<H: Host>(host: &H, source: Key<'_>, destination: Key<'_>, given: &Given) -> Result<()> {
    if source.name == destination.name {
        return Err(Error::Conflict(
            "the source key and destination key should be different",
        ));
    }
    if source.name.len().max(destination.name.len()) > MAX_KEY_BYTES {
        return Err(Error::limit("bytes in a key of a rule", MAX_KEY_BYTES));
    }
    match host.read(source) {
        Slot::Missing => return Err(Error::NoSuchKey),
        Slot::Foreign => return Err(Error::WrongType),
        Slot::Open(series) => check_source(&series, given)?,
    }
    match host.read(destination) {
        Slot::Foreign => Err(Error::WrongType),
        Slot::Missing if given.creation.is_none() => Err(Error::NoSuchKey),
        Slot::Missing => check_circle(host, source.name, destination.name),
        Slot::Open(series) => {
            let other = series.links().source.as_deref();
            if other.is_some_and(|other| derived::is_tied(host, other, destination.name)) {
                return Err(Error::Conflict(
                    "the destination key already has a src rule",
                ));
            }
            drop(series);
            check_circle(host, source.name, destination.name)
        }
    }
}

fn check_source(series: &Series, given: &Given) -> Result<()> {
    if series.links().rules().len() == MAX_RULES {
        return Err(Error::limit("rules of a series", MAX_RULES));
    }
    check_retention(
        series.options().retention_ms,
        given.cut.longest_ms().saturating_add(given.delay_ms),
    )
}

/// Whether every bucket is whole when it is closed.
pub(super) fn check_retention(retention_ms: i64, shortest_ms: i64) -> Result<()> {
    if retention_ms != 0 && retention_ms < shortest_ms {
        return Err(Error::Conflict(
            "the retention of the source is shorter than a bucket of its rule and its delay",
        ));
    }
    Ok(())
}

/// Whether a source may have another retention.
///
/// # Errors
/// `Conflict` where a rule needs a longer one.
pub(super) fn check_new_retention(series: &Series, retention_ms: i64) -> Result<()> {
    let rules = series.links().rules().iter();
    let shortest_ms = rules.map(Rule::shortest_retention_ms).max().unwrap_or(0);
    check_retention(retention_ms, shortest_ms)
}

/// Whether rules lead from the destination back to the source, or would be too many in a chain.
pub(super) fn check_circle<H: Host>(host: &H, source: &[u8], destination: &[u8]) -> Result<()> {
    let above = rules_above(host, source);
    let mut paths = vec![vec![destination.to_vec()]];
    while let Some(path) = paths.pop() {
        let Some(last) = path.last() else { continue };
        if above + path.len() > MAX_CHAIN {
            return Err(Error::limit("rules in a chain", MAX_CHAIN));
        }
        let Slot::Open(series) = host.read_found(&host.found(last)) else {
            continue;
        };
        for rule in series.links().rules() {
            if !derived::is_live(host, last, &rule.destination) {
                continue;
            }
            let mut longer = path.clone();
            longer.push(rule.destination.to_vec());
            if *rule.destination == *source {
                let path: Vec<String> = std::iter::once(source.to_vec())
                    .chain(longer)
                    .map(|key| Token::from(&key[..]).to_string())
                    .collect();
                return Err(Error::Circle(path.join(" -> ")));
            }
            paths.push(longer);
        }
    }
    Ok(())
}

/// How many rules lead to a series, counted to one more than there may be.
fn rules_above<H: Host>(host: &H, key: &[u8]) -> usize {
    let mut key = key.to_vec();
    for count in 0..=MAX_CHAIN {
        let source = match host.read_found(&host.found(&key)) {
            Slot::Open(series) => series.links().source.clone(),
            Slot::Missing | Slot::Foreign => None,
        };
        match source {
            Some(source) if derived::is_tied(host, &source, &key) => key = source.into(),
            _ => return count,
        }
    }
    MAX_CHAIN + 1
}

/// `IOT.CREATERULE`.
#[derive(Debug)]
pub struct CreateRule;

impl Command for CreateRule {
    const SPEC: Spec = Spec {
        name: "IOT.CREATERULE",
        arity: -6,
        effect: Effect::Write,
        fast: false,
        keys: Keys::FirstTwo,
        access: Access::UpdateAndRead,
        summary: "Keeps aggregates of one series in another",
        since: "0.1.0",
        complexity: "O(1); O(N) with BACKFILL, where N is the number of samples of the source",
        args: &[
            Arg::named_key("source-key"),
            Arg::named_key("destination-key"),
            Arg::value("aggregator", ArgKind::String).after("AGGREGATION"),
            Arg::value("bucket-duration", ArgKind::String),
            Arg::value("align-timestamp", ArgKind::Integer).or_none(),
            Arg::option("TZ", "time-zone", ArgKind::String),
            Arg::option("DELAY", "delay", ArgKind::String),
            Arg::block("backfill", &[Arg::option("FROM", "from", ArgKind::Integer)])
                .after("BACKFILL")
                .or_none(),
            Arg::block(
                "create",
                &[
                    RETENTION,
                    IDLE_TTL,
                    ENCODING,
                    CHUNK_SIZE,
                    DUPLICATE_POLICY,
                    IGNORE,
                    LABELS,
                ],
            )
            .after("CREATE")
            .or_none(),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let (source, destination) = (args.key()?, args.key()?);
        let command = args;
        let given = parse(&mut args)?;
        if host.is_replay() {
            return make(host, source, destination, &given, Vec::new());
        }
        check(host, source, destination, &given)?;
        let Begin::Backfill(from_ms) = given.begin else {
            return make(host, source, destination, &given, Vec::new());
        };
        let rule = given.rule(destination.name, from_ms);
        let Slot::Open(series) = host.read(source) else {
            return Err(Error::NoSuchKey);
        };
        let mut backfill = Backfill {
            source: source.index,
            destination: destination.index,
            options: command.index(),
            snapshot: series.clone(),
            rule,
            refresh: None,
        };
        if series.len() <= AT_ONCE_SAMPLES {
            drop(series);
            backfill.work();
            return backfill.finish(host, command);
        }
        drop(series);
        host.later(backfill)
    }
}

/// Samples of a source up to which a destination is filled in at once.
const AT_ONCE_SAMPLES: u64 = 50_000;

/// A destination that is being filled in.
struct Backfill {
    /// Where the keys and the options stand among the arguments.
    source: usize,
    destination: usize,
    options: usize,
    /// The source as it was when the work began.
    snapshot: Series,
    rule: Rule,
    refresh: Option<Refresh>,
}

impl Later for Backfill {
    fn work(&mut self) {
        self.refresh = Some(self.rule.backfill(&self.snapshot));
    }

    fn finish<H: Host>(self, host: &H, args: Args<'_>) -> Result<()> {
        let (source, destination) = (args.key_at(self.source), args.key_at(self.destination));
        let (Some(source), Some(destination)) = (source, destination) else {
            return Err(Error::MissingValue("key"));
        };
        let given = parse(&mut args.at(self.options))?;
        check(host, source, destination, &given)?;
        let mut refreshes: Vec<Refresh> = self.refresh.into_iter().collect();
        if let Slot::Open(series) = host.read(source) {
            // What has come since, and what has changed.
            let changes = Changes::since(&self.snapshot, &series);
            let newest_ms = series.newest().map(|newest| newest.time_ms);
            refreshes.extend(changes.refreshes_of(&self.rule, &series, newest_ms));
        }
        make(host, source, destination, &given, refreshes)
    }
}

/// Makes a rule whose destination is to be brought to something at once.
fn make<H: Host>(
    host: &H,
    source: Key<'_>,
    destination: Key<'_>,
    given: &Given,
    refreshes: Vec<Refresh>,
) -> Result<()> {
    let created = create_destination(host, destination, given)?;
    let rule = tie(host, source, destination, given)?;
    if host.is_replay() {
        host.replicate_verbatim();
    } else {
        if let Some(options) = created {
            effect::send_creation(host, destination.name, &options);
        }
        send(host, source.name, &rule);
        host.notify(c"iot.createrule:src", source);
        host.notify(c"iot.createrule:dest", destination);
    }
    derived::apply(host, source.name, refreshes);
    host.reply().ok();
    Ok(())
}

impl Given {
    /// The rule to a destination, from the bucket on that holds a time.
    fn rule(&self, destination: &[u8], since_ms: Timestamp) -> Rule {
        Rule::new(
            destination.into(),
            self.aggregator,
            self.cut.clone(),
            self.delay_ms,
            since_ms,
        )
    }
}

/// Makes the destination, if that is wanted and there is none, and checks that the rule finds no
/// samples where it would put its own.
fn create_destination<H: Host>(
    host: &H,
    destination: Key<'_>,
    given: &Given,
) -> Result<Option<engine::options::Options>> {
    match (host.read(destination), &given.creation) {
        (Slot::Missing, Some(creation)) => {
            let options = creation.options(&host.settings());
            let mut series = host.create(destination, Series::new(options.clone()));
            series.written();
            Ok(Some(options))
        }
        (Slot::Missing, None) => Err(Error::NoSuchKey),
        (Slot::Foreign, _) => Err(Error::WrongType),
        (Slot::Open(_), _) => Ok(None),
    }
}

/// Ties both ends.
fn tie<H: Host>(host: &H, source: Key<'_>, destination: Key<'_>, given: &Given) -> Result<Rule> {
    let Slot::Open(mut series) = host.write(source) else {
        return Err(Error::NoSuchKey);
    };
    let newest_ms = series.newest().map(|newest| newest.time_ms);
    let from_start = given.rule(destination.name, 0);
    let rule = match given.begin {
        Begin::Backfill(from_ms) | Begin::Decided(from_ms) => given.rule(destination.name, from_ms),
        Begin::Open => {
            let open_ms = from_start.closed_until_ms(newest_ms).max(0);
            given.rule(destination.name, open_ms)
        }
    };
    let Slot::Open(mut other) = host.write(destination) else {
        return Err(Error::NoSuchKey);
    };
    let governed = TimeRange::new(rule.since_ms.max(0), Timestamp::MAX);
    if matches!(given.begin, Begin::Open) && !host.is_replay() && other.count_in(governed) > 0 {
        return Err(Error::Conflict(
            "the destination has samples where the rule would put its own: delete them, or use BACKFILL",
        ));
    }
    other.relink(|from, _| *from = Some(source.name.into()));
    other.written();
    series.relink(|_, rules| {
        rules.retain(|old| *old.destination != *destination.name);
        rules.push(rule.clone());
    });
    series.written();
    Ok(rule)
}

/// Sends a rule with the time that it begins with.
pub(super) fn send<H: Host>(host: &H, source: &[u8], rule: &Rule) {
    let aggregator = rule.aggregator.to_string();
    let cut = rule.cut();
    let span = cut.span().to_string();
    let align = cut.align_ms().to_string();
    let delay = rule.delay_ms.to_string();
    let since = rule.since_ms.max(0).to_string();
    let mut args: Vec<&[u8]> = vec![
        source,
        &rule.destination,
        b"AGGREGATION",
        aggregator.as_bytes(),
        span.as_bytes(),
    ];
    if cut.align_ms() != 0 {
        args.push(align.as_bytes());
    }
    if let Some(zone) = cut.zone() {
        args.extend([&b"TZ"[..], zone.name().as_bytes()]);
    }
    args.extend([
        &b"DELAY"[..],
        delay.as_bytes(),
        &b"SINCE"[..],
        since.as_bytes(),
    ]);
    host.replicate(c"IOT.CREATERULE", &args);
}

/// `IOT.DELETERULE`.
#[derive(Debug)]
pub struct DeleteRule;

impl Command for DeleteRule {
    const SPEC: Spec = Spec {
        name: "IOT.DELETERULE",
        arity: 3,
        effect: Effect::Free,
        fast: true,
        keys: Keys::FirstTwo,
        access: Access::Update,
        summary: "Ends a downsampling rule; the destination keeps its samples",
        since: "0.1.0",
        complexity: "O(R) where R is the number of rules of the source",
        args: &[
            Arg::named_key("source-key"),
            Arg::named_key("destination-key"),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let (source, destination) = (args.key()?, args.key()?);
        args.finish()?;
        match host.write(source) {
            Slot::Open(mut series) if series.links().rule_to(destination.name).is_some() => {
                series.relink(|_, rules| {
                    rules.retain(|rule| *rule.destination != *destination.name);
                });
                series.written();
            }
            _ if host.is_replay() => {}
            Slot::Missing => return Err(Error::NoSuchKey),
            Slot::Foreign => return Err(Error::WrongType),
            Slot::Open(_) => {
                return Err(Error::Conflict("compaction rule does not exist"));
            }
        }
        if let Slot::Open(mut series) = host.write(destination)
            && series.links().source.as_deref() == Some(source.name)
        {
            series.relink(|from, _| *from = None);
            series.written();
        }
        host.replicate_verbatim();
        host.notify(c"iot.deleterule:src", source);
        host.notify(c"iot.deleterule:dest", destination);
        host.reply().ok();
        Ok(())
    }
}
