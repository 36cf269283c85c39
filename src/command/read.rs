//! `IOT.READ` and `IOT.MREAD`: the samples from a time on, waiting for them if there are too few.
//!
//! ```text
//! IOT.READ  key time|-|+|$                            [BLOCK ms min_count] [MAX_COUNT n]
//! IOT.MREAD numkeys key [key ...] time|-|+|$ [...]    [BLOCK ms min_count] [MAX_COUNT n]
//! ```
//!
//! `+` is the time of the newest sample, `$` the one after it; both are resolved once.

use std::borrow::Cow;

use super::Command;
use super::args::Args;
use super::creation::set;
use super::duration;
use super::error::{Error, Result, Token};
use super::host::{Host, Key, Reply, Slot};
use super::number;
use super::rows::{self, RangeQuestion};
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::query::{Filter, RangeQuery, Selection, Unwatched};
use crate::engine::series::Order;
use crate::engine::{self, Series, TimeRange, Timestamp};

/// Most samples that a client may wait for.
pub const MAX_MIN_COUNT: u64 = 1_000_000;
/// Most keys of one command.
pub const MAX_KEYS: usize = 1024;

/// A read that waits.
#[derive(Debug)]
pub struct Reading {
    sources: Vec<Source>,
    min_count: u64,
    max_count: u64,
    /// Whether the reply is one series' samples, without its name.
    is_single: bool,
}

/// One of the series.
#[derive(Debug)]
struct Source {
    key: Box<[u8]>,
    /// Where its name stands among the arguments.
    index: usize,
    from_ms: Timestamp,
    /// Samples there, as far as they matter.
    count: u64,
}

impl Reading {
    /// The keys that it waits for.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.sources.iter().map(|source| &*source.key)
    }

    /// Counts the samples of a series anew.
    pub fn recount(&mut self, key: &[u8], series: &Series) {
        for source in &mut self.sources {
            if *source.key == *key {
                source.count = series.count_up_to(source.from_ms, self.min_count);
            }
        }
    }

    /// Whether there are as many samples as it waits for.
    pub fn is_enough(&self) -> bool {
        let count: u64 = self.sources.iter().map(|source| source.count).sum();
        count >= self.min_count
    }

    /// Replies with what is there; a key that is gone has nothing. `args` are those of the command.
    ///
    /// # Errors
    /// None at present; the limits of a query.
    pub fn answer<H: Host>(&self, host: &H, args: Args<'_>) -> Result<()> {
        let reply = host.reply();
        let rows_of = |source: &Source| {
            let key = args.key_at(source.index)?;
            match host.read(key) {
                Slot::Series(series) => {
                    let query = self.query(source.from_ms);
                    query.rows(&series, &Unwatched).ok()
                }
                Slot::Missing | Slot::Foreign => None,
            }
        };
        let mut all: Vec<_> = self
            .sources
            .iter()
            .map(|source| (source, rows_of(source).filter(|rows| !rows.is_empty())))
            .collect();
        if self.is_single {
            match all.pop().and_then(|(_, rows)| rows) {
                Some(rows) => rows::send_at_once(rows, reply),
                None => reply.array(0),
            }
            return Ok(());
        }
        all.retain(|(_, rows)| rows.is_some());
        reply.map(all.len());
        for (source, rows) in all {
            reply.bulk(&source.key);
            match rows {
                Some(rows) => rows::send_at_once(rows, reply),
                None => reply.array(0),
            }
        }
        Ok(())
    }

    fn query(&self, from_ms: Timestamp) -> RangeQuery {
        RangeQuery {
            selection: Selection {
                range: TimeRange::new(from_ms, Timestamp::MAX),
                order: Order::Ascending,
                filter: Filter::default(),
            },
            aggregation: None,
            limit: self.max_count,
        }
    }
}

/// The options of both commands.
#[derive(Default)]
struct Given {
    block: Option<(i64, u64)>,
    max_count: Option<u64>,
}

impl Given {
    fn parse(args: &mut Args<'_>) -> Result<Self> {
        let mut given = Self::default();
        while !args.is_empty() {
            if args.keyword("BLOCK") {
                set(&mut given.block, "BLOCK", block(args)?)?;
            } else if args.keyword("MAX_COUNT") {
                let what = "MAX_COUNT must be a positive integer";
                set(&mut given.max_count, "MAX_COUNT", positive(args, what)?)?;
            } else {
                args.finish()?;
            }
        }
        if let (Some((_, min_count)), Some(max_count)) = (given.block, given.max_count)
            && min_count > max_count
        {
            return Err(Error::Conflict("BLOCK min_count must be <= MAX_COUNT"));
        }
        Ok(given)
    }
}

fn block(args: &mut Args<'_>) -> Result<(i64, u64)> {
    let text = args.take("BLOCK")?;
    let what = "BLOCK milliseconds must be a non-negative integer";
    let timeout_ms =
        duration::milliseconds(text).ok_or_else(|| Error::Invalid(what, Token::from(text)))?;
    let min_count = positive(args, "BLOCK min_count must be a positive integer")?;
    if min_count > MAX_MIN_COUNT {
        return Err(Error::Engine(engine::Error::Limit {
            what: "samples to wait for",
            max: MAX_MIN_COUNT,
        }));
    }
    Ok((timeout_ms, min_count))
}

fn positive(args: &mut Args<'_>, what: &'static str) -> Result<u64> {
    let text = args.take("count")?;
    match number::whole(text).map(i64::unsigned_abs) {
        Some(count) if count > 0 => Ok(count),
        _ => Err(Error::Invalid(what, Token::from(text))),
    }
}

/// Where a read of a series begins.
fn cursor(text: &[u8], series: &Series) -> Result<Timestamp> {
    let newest_ms = series.newest().map(|newest| newest.time_ms);
    match text {
        b"-" => Ok(0),
        b"+" => Ok(newest_ms.unwrap_or(0)),
        b"$" => Ok(newest_ms.map_or(0, |newest_ms| newest_ms.saturating_add(1))),
        _ => number::timestamp(text),
    }
}

/// Opens a series for reading.
fn open<'h, H: Host>(host: &'h H, key: Key<'_>) -> Result<H::Read<'h>> {
    match host.read(key) {
        Slot::Series(series) => Ok(series),
        Slot::Foreign => Err(Error::WrongType),
        Slot::Missing => Err(Error::NoSuchKey),
    }
}

/// Replies, now or when there are enough samples.
fn execute<H: Host>(
    host: &H,
    mut args: Args<'_>,
    pairs: &[(Key<'_>, &[u8])],
    is_single: bool,
) -> Result<()> {
    let command = args;
    let given = Given::parse(&mut args)?;
    let min_count = given.block.map_or(0, |(_, min_count)| min_count);
    let mut sources = Vec::with_capacity(pairs.len());
    for &(key, from) in pairs {
        let series = open(host, key)?;
        let from_ms = cursor(from, &series)?;
        sources.push(Source {
            key: key.name.into(),
            index: key.index,
            from_ms,
            count: series.count_up_to(from_ms, min_count),
        });
    }
    let reading = Reading {
        sources,
        min_count,
        max_count: given.max_count.unwrap_or(u64::MAX),
        is_single,
    };
    if let Some((timeout_ms, _)) = given.block
        && !reading.is_enough()
    {
        return host.wait(reading, timeout_ms);
    }
    if let ([(key, _)], true) = (pairs, is_single) {
        let series = open(host, *key)?;
        let query = reading.query(reading.sources[0].from_ms);
        let series = Cow::Borrowed(&*series);
        return host.answer(RangeQuestion { query, series });
    }
    reading.answer(host, command)
}

const OPTIONS: [Arg; 2] = [
    Arg::block(
        "block",
        &[
            Arg::value("milliseconds", ArgKind::Integer),
            Arg::value("min-count", ArgKind::Integer),
        ],
    )
    .after("BLOCK")
    .or_none(),
    Arg::option("MAX_COUNT", "max-count", ArgKind::Integer),
];

/// `IOT.READ`.
#[derive(Debug)]
pub struct Read;

impl Command for Read {
    const SPEC: Spec = Spec {
        name: "IOT.READ",
        arity: -3,
        effect: Effect::Read,
        fast: false,
        keys: Keys::First,
        access: Access::Read,
        summary: "Reads the samples of a series from a time on, and waits for them",
        since: "0.1.0",
        complexity: "O(log B + N) where B is the number of blocks of the series and N that of the \
                     samples returned",
        args: &[
            Arg::key(),
            Arg::value("timestamp", ArgKind::String),
            OPTIONS[0],
            OPTIONS[1],
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = args.key()?;
        let from = args.take("timestamp")?;
        execute(host, args, &[(key, from)], true)
    }
}

/// `IOT.MREAD`.
#[derive(Debug)]
pub struct MRead;

impl Command for MRead {
    const SPEC: Spec = Spec {
        name: "IOT.MREAD",
        arity: -4,
        effect: Effect::Read,
        fast: false,
        keys: Keys::Counted,
        access: Access::Read,
        summary: "Reads the samples of several series from a time on, and waits for them",
        since: "0.1.0",
        complexity: "O(K + N) where K is the number of keys and N that of the samples returned",
        args: &[
            Arg::value("numkeys", ArgKind::Integer),
            Arg::key().repeated(),
            Arg::value("timestamp", ArgKind::String).repeated(),
            OPTIONS[0],
            OPTIONS[1],
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let keys = args.counted_keys(MAX_KEYS)?;
        let mut pairs = Vec::with_capacity(keys.len());
        for key in keys {
            pairs.push((key, args.take("timestamp")?));
        }
        execute(host, args, &pairs, false)
    }
}
