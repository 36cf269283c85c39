//! `IOT.NRANGE` and `IOT.NREVRANGE`: ranges of several series side by side, one time a row.
//!
//! ```text
//! numkeys key [key ...] from|- to|+ [options of IOT.RANGE]
//! ```
//!
//! `AGGREGATION` takes a list of aggregators for each key, and then the width of a bucket.

use std::borrow::Cow;

use super::Command;
use super::args::Args;
use super::derived;
use super::error::{Error, Result};
use super::host::{Host, Query, Reply, Run};
use super::number;
use super::range::{self, Given};
use super::read::MAX_KEYS;
use super::rows;
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::aggregate::{Aggregator, MAX_AGGREGATORS};
use crate::engine::query::{Cost, Join, RangeQuery, check_filled};
use crate::engine::series::Order;
use crate::engine::{self, Series};

/// Most values of a reply, those that are missing included.
pub(super) const MAX_CELLS: u64 = 1 << 27;

/// A range query over several series, whose rows stand side by side.
struct Table<'s> {
    columns: Vec<Column<'s>>,
    order: Order,
    limit: u64,
}

/// The query over one of the series.
struct Column<'s> {
    query: RangeQuery,
    series: Cow<'s, Series>,
}

impl Query for Table<'_> {
    type Detached = Table<'static>;

    fn cost(&self, enough: u64) -> Cost {
        let mut cost = Cost::default();
        for column in &self.columns {
            if cost.total() > enough {
                break;
            }
            cost += column.query.cost(&column.series, enough);
        }
        cost
    }

    fn detach(self) -> Table<'static> {
        let detached = |column: Column<'_>| Column {
            query: column.query,
            series: Cow::Owned(column.series.into_owned()),
        };
        Table {
            columns: self.columns.into_iter().map(detached).collect(),
            order: self.order,
            limit: self.limit,
        }
    }

    fn answer(&self, run: &impl Run, reply: &impl Reply) -> Result<()> {
        let cost = self.cost(u64::MAX);
        run.admit(cost)?;
        let series = rows::of_each(&self.columns, cost, run, |column| {
            column.query.rows(&column.series, run)
        })?;
        let join = Join::new(&series, self.order);
        let len = join.len().min(self.limit);
        if len.saturating_mul(join.width() as u64) > MAX_CELLS {
            return Err(Error::Engine(engine::Error::Limit {
                what: "values in the reply",
                max: MAX_CELLS,
            }));
        }
        run.admit_reply(len.saturating_mul(1 + join.width() as u64))?;
        reply.array(usize::try_from(len).unwrap_or(usize::MAX));
        join.for_each(len, |time_ms, values| {
            if run.is_in_vain() {
                return;
            }
            reply.array(2);
            reply.integer(time_ms);
            reply.array(values.len());
            for &value in values {
                reply.number(value);
            }
        });
        Ok(())
    }
}

/// The lists of aggregators, of which there are as many as keys or none, and the other options.
struct Options<'a> {
    /// The arguments with one of the lists left, as options of a range are.
    words: Vec<&'a [u8]>,
    lists: Vec<Vec<Aggregator>>,
}

fn options<'a>(args: &Args<'a>, keys: usize) -> Result<Options<'a>> {
    let mut words = args.rest().to_vec();
    let is_keyword = |word: &&[u8]| word.eq_ignore_ascii_case(b"AGGREGATION");
    let Some(at) = words.iter().position(is_keyword) else {
        return Ok(Options {
            words,
            lists: Vec::new(),
        });
    };
    let specs = at + 1..at + 1 + keys;
    let Some(texts) = words.get(specs.clone()) else {
        return Err(Error::Conflict(
            "the number of AGGREGATION arguments must be equal to numkeys",
        ));
    };
    let mut lists = Vec::with_capacity(keys);
    for text in texts {
        let list = number::aggregators(text)?;
        if list.len() > MAX_AGGREGATORS {
            let max = MAX_AGGREGATORS as u64;
            return Err(engine::Error::Limit {
                what: "aggregators",
                max,
            }
            .into());
        }
        lists.push(list);
    }
    words.drain(specs.start + 1..specs.end);
    Ok(Options { words, lists })
}

fn execute<H: Host>(host: &H, mut args: Args<'_>, order: Order) -> Result<()> {
    let keys = args.counted_keys(MAX_KEYS)?;
    let bounds = range::bounds(&mut args)?;
    let Options { words, mut lists } = options(&args, keys.len())?;
    let (mut words, mut given) = (Args::behind_name(&words), Given::default());
    while given.take(&mut words)? {}
    words.finish()?;
    let is_latest = given.is_latest();
    let query = given.query(&bounds, order)?;
    let mut open = Vec::with_capacity(keys.len());
    for key in keys {
        open.push((key, host.read(key).required()?));
    }
    lists.reverse();
    let mut filled = 0_u64;
    let mut columns = Vec::with_capacity(open.len());
    for (key, series) in &open {
        let mut query = query.clone();
        let series = if is_latest {
            derived::with_open(host, key.name, series)
        } else {
            Cow::Borrowed(&**series)
        };
        if let (Some(aggregation), Some(list)) = (&mut query.aggregation, lists.pop()) {
            aggregation.aggregators = list;
        }
        filled = filled.saturating_add(query.filled_buckets(&series));
        check_filled(filled)?;
        columns.push(Column { query, series });
    }
    host.answer(Table {
        columns,
        order,
        limit: query.limit,
    })
}

const ARGS: &[Arg] = &[
    Arg::value("numkeys", ArgKind::Integer),
    Arg::key().repeated(),
    Arg::value("from-timestamp", ArgKind::String),
    Arg::value("to-timestamp", ArgKind::String),
    range::OPTIONS[0],
    range::OPTIONS[1],
    range::OPTIONS[2],
    range::OPTIONS[3],
    range::OPTIONS[4],
];

const COMPLEXITY: &str = "O(N log K) where N is the number of samples in the ranges and K that of \
                          the keys";

/// `IOT.NRANGE`: oldest first.
#[derive(Debug)]
pub struct NRange;

impl Command for NRange {
    const SPEC: Spec = Spec {
        name: "IOT.NRANGE",
        arity: -5,
        effect: Effect::Read,
        fast: false,
        keys: Keys::Counted,
        access: Access::Read,
        summary: "Queries a range of several series side by side, oldest first",
        since: "0.1.0",
        complexity: COMPLEXITY,
        args: ARGS,
    };

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        execute(host, args, Order::Ascending)
    }
}

/// `IOT.NREVRANGE`: newest first.
#[derive(Debug)]
pub struct NRevRange;

impl Command for NRevRange {
    const SPEC: Spec = Spec {
        name: "IOT.NREVRANGE",
        arity: -5,
        effect: Effect::Read,
        fast: false,
        keys: Keys::Counted,
        access: Access::Read,
        summary: "Queries a range of several series side by side, newest first",
        since: "0.1.0",
        complexity: COMPLEXITY,
        args: ARGS,
    };

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        execute(host, args, Order::Descending)
    }
}
