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
use super::host::{Host, Key, Query, Reply, Run, Slot};
use super::number;
use super::rows;
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::query::{Cost, Filter, RangeQuery, Rows, Selection};
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
    /// Those of a query.
    pub fn answer<H: Host>(&self, host: &H, args: Args<'_>) -> Result<()> {
        let opened =
            self.sources
                .iter()
                .filter_map(|source| match host.read(args.key_at(source.index)?) {
                    Slot::Open(series) => Some((source, series)),
                    Slot::Missing | Slot::Foreign => None,
                });
        let opened: Vec<_> = opened.collect();
        let parts = opened
            .iter()
            .map(|(source, series)| self.part(source, series));
        host.answer_at_once(&ReadQuestion {
            parts: parts.collect(),
            is_single: self.is_single,
        })
    }

    /// What is asked of one of the series.
    fn part<'s>(&self, source: &Source, series: &'s Series) -> Part<'s> {
        Part {
            key: source.key.clone(),
            query: RangeQuery {
                selection: Selection {
                    range: TimeRange::new(source.from_ms, Timestamp::MAX),
                    order: Order::Ascending,
                    filter: Filter::default(),
                },
                aggregation: None,
                limit: self.max_count,
            },
            series: Cow::Borrowed(series),
        }
    }
}

/// The samples of several series, each from a time on.
struct ReadQuestion<'s> {
    parts: Vec<Part<'s>>,
    is_single: bool,
}

/// What is asked of one series.
struct Part<'s> {
    key: Box<[u8]>,
    query: RangeQuery,
    series: Cow<'s, Series>,
}

impl Query for ReadQuestion<'_> {
    type Detached = ReadQuestion<'static>;

    fn cost(&self, enough: u64) -> Cost {
        let mut cost = Cost::default();
        for part in &self.parts {
            if cost.total() > enough {
                break;
            }
            cost += part.query.cost(&part.series, enough);
        }
        cost
    }

    fn detach(self) -> ReadQuestion<'static> {
        let detached = |part: Part<'_>| Part {
            key: part.key,
            query: part.query,
            series: Cow::Owned(part.series.into_owned()),
        };
        ReadQuestion {
            parts: self.parts.into_iter().map(detached).collect(),
            is_single: self.is_single,
        }
    }

    fn answer(&self, run: &impl Run, reply: &impl Reply) -> Result<()> {
        let cost = self.cost(u64::MAX);
        run.admit(cost)?;
        let mut all = rows::of_each(&self.parts, cost, run, |part| {
            part.query.rows(&part.series, run)
        })?;
        run.admit_reply(all.iter().map(rows::values).sum())?;
        if self.is_single {
            let rows = all.pop().unwrap_or_else(|| Rows::new(1, 0));
            rows::send(rows, run, reply);
            return Ok(());
        }
        let some = all.iter().filter(|rows| !rows.is_empty()).count();
        reply.map(some);
        for (part, rows) in self.parts.iter().zip(all) {
            if !rows.is_empty() {
                reply.bulk(&part.key);
                rows::send(rows, run, reply);
            }
        }
        Ok(())
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

/// Replies, now or when there are enough samples.
fn execute<H: Host>(
    host: &H,
    mut args: Args<'_>,
    pairs: &[(Key<'_>, &[u8])],
    is_single: bool,
) -> Result<()> {
    let given = Given::parse(&mut args)?;
    let min_count = given.block.map_or(0, |(_, min_count)| min_count);
    let mut opened = Vec::with_capacity(pairs.len());
    let mut sources = Vec::with_capacity(pairs.len());
    for &(key, from) in pairs {
        let series = host.read(key).required()?;
        let from_ms = cursor(from, &series)?;
        sources.push(Source {
            key: key.name.into(),
            index: key.index,
            from_ms,
            count: series.count_up_to(from_ms, min_count),
        });
        opened.push(series);
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
        drop(opened);
        return host.wait(reading, timeout_ms);
    }
    let parts = reading.sources.iter().zip(&opened);
    host.answer(ReadQuestion {
        parts: parts
            .map(|(source, series)| reading.part(source, series))
            .collect(),
        is_single,
    })
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
