//! `IOT.MRANGE` and `IOT.MREVRANGE`: a range of every series that a filter finds.
//!
//! ```text
//! from|- to|+ [options of IOT.RANGE] [WITHLABELS | SELECTED_LABELS label ...] [EXCLUDEEMPTY]
//! [LIMIT offset n] [TOP n BY agg]
//! FILTER filter ... [GROUPBY label ... REDUCE agg]
//! ```
//!
//! The options may stand before or behind the filters, which end where a word has no operator.

use std::borrow::Cow;

use super::Command;
use super::args::Args;
use super::creation::set;
use super::derived;
use super::error::{Error, Result, Token};
use super::found;
use super::host::Host;
use super::many::{Grouping, Member, SeriesQuestion, Top};
use super::number;
use super::range::{self, Given};
use super::shown::Shown;
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine;
use crate::engine::aggregate::Aggregator;
use crate::engine::index::Selector;
use crate::engine::query::RangeQuery;
use crate::engine::series::Order;

/// Most labels of `GROUPBY`.
pub(super) const MAX_GROUP_LABELS: usize = 16;

/// Everything a client asked for.
struct Request {
    selector: Selector,
    query: RangeQuery,
    /// Whether open buckets of a rule are shown.
    is_latest: bool,
    shown: Shown,
    exclude_empty: bool,
    grouping: Option<Grouping>,
    top: Option<Top>,
    /// How many results to pass over, and how many to give.
    limit: Option<(usize, usize)>,
}

/// The options beside those of a range, as they were given.
#[derive(Default)]
struct Options {
    shown: Shown,
    exclude_empty: Option<()>,
    selector: Option<Selector>,
    grouping: Option<Grouping>,
    top: Option<Top>,
    limit: Option<(usize, usize)>,
}

impl Options {
    /// Reads one option if there is one; returns whether there was.
    fn take(&mut self, args: &mut Args<'_>) -> Result<bool> {
        if args.keyword("FILTER") {
            set(
                &mut self.selector,
                "FILTER",
                found::filters(args, is_option)?,
            )?;
        } else if args.keyword("EXCLUDEEMPTY") {
            set(&mut self.exclude_empty, "EXCLUDEEMPTY", ())?;
        } else if args.keyword("LIMIT") {
            let limit = (size(args, "offset")?, size(args, "LIMIT")?);
            set(&mut self.limit, "LIMIT", limit)?;
        } else if args.keyword("TOP") {
            set(&mut self.top, "TOP", top(args)?)?;
        } else if args.keyword("GROUPBY") {
            set(&mut self.grouping, "GROUPBY", grouping(args)?)?;
        } else {
            return self.shown.take(args, is_option);
        }
        Ok(true)
    }
}

fn size(args: &mut Args<'_>, what: &'static str) -> Result<usize> {
    let text = args.take(what)?;
    let size = number::whole(text).and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| Error::Invalid("Couldn't parse LIMIT or TOP", Token::from(text)))
}

fn top(args: &mut Args<'_>) -> Result<Top> {
    let count = size(args, "TOP")?;
    if !args.keyword("BY") {
        return Err(Error::Conflict("TOP needs BY and an aggregator"));
    }
    Ok(Top {
        count,
        by: one_aggregator(args, "TOP takes one aggregator")?,
    })
}

fn one_aggregator(args: &mut Args<'_>, conflict: &'static str) -> Result<Aggregator> {
    match number::aggregators(args.take("aggregator")?)?[..] {
        [one] => Ok(one),
        _ => Err(Error::Conflict(conflict)),
    }
}

fn grouping(args: &mut Args<'_>) -> Result<Grouping> {
    let mut labels: Vec<Box<[u8]>> = Vec::new();
    while !args.keyword("REDUCE") {
        let label = args.take("REDUCE")?;
        if labels.iter().any(|other| **other == *label) {
            return Err(Error::Invalid("label given twice", Token::from(label)));
        }
        labels.push(label.into());
    }
    if labels.is_empty() {
        return Err(Error::MissingValue("GROUPBY"));
    }
    if labels.len() > MAX_GROUP_LABELS {
        return Err(Error::Engine(engine::Error::Limit {
            what: "labels in GROUPBY",
            max: MAX_GROUP_LABELS as u64,
        }));
    }
    let reducer = one_aggregator(args, "REDUCE takes one reducer")?;
    if !reducer.is_reducer() {
        return Err(Error::Conflict("Invalid reducer type"));
    }
    Ok(Grouping { labels, reducer })
}

/// The words that end filters and selected labels.
fn is_option(word: &[u8]) -> bool {
    const OPTIONS: [&str; 9] = [
        "WITHLABELS",
        "SELECTED_LABELS",
        "EXCLUDEEMPTY",
        "LIMIT",
        "TOP",
        "FILTER",
        "GROUPBY",
        "REDUCE",
        "BY",
    ];
    OPTIONS
        .iter()
        .any(|option| word.eq_ignore_ascii_case(option.as_bytes()))
        || Given::is_option(word)
}

fn parse(args: &mut Args<'_>, order: Order) -> Result<Request> {
    let bounds = range::bounds(args)?;
    let (mut given, mut options) = (Given::default(), Options::default());
    while !args.is_empty() {
        if !given.take(args)? && !options.take(args)? {
            args.finish()?;
        }
    }
    let is_latest = given.is_latest();
    let query = given.query(&bounds, order)?;
    let columns = query
        .aggregation
        .as_ref()
        .map_or(1, |one| one.aggregators.len());
    if columns > 1 && (options.grouping.is_some() || options.top.is_some()) {
        return Err(Error::Conflict(
            "GROUPBY and TOP are not allowed when multiple aggregators are specified",
        ));
    }
    if options.grouping.is_some() && options.exclude_empty.is_some() {
        return Err(Error::Conflict("EXCLUDEEMPTY is not allowed with GROUPBY"));
    }
    Ok(Request {
        selector: found::required(options.selector)?,
        query,
        is_latest,
        shown: options.shown,
        exclude_empty: options.exclude_empty.is_some(),
        grouping: options.grouping,
        top: options.top,
        limit: options.limit,
    })
}

fn execute<H: Host>(host: &H, mut args: Args<'_>, order: Order) -> Result<()> {
    let mut request = parse(&mut args, order)?;
    let mut series = found::open(host, &request.selector)?;
    let takes_all = request.grouping.is_some() || request.top.is_some() || request.exclude_empty;
    if !takes_all && let Some((offset, count)) = request.limit.take() {
        series.truncate(offset.saturating_add(count));
        series.drain(..offset.min(series.len()));
    }
    let members = series
        .iter()
        .map(|(key, series)| Member {
            name: key.as_ref().into(),
            series: if request.is_latest {
                derived::with_open(host, key.as_ref(), series)
            } else {
                Cow::Borrowed(&**series)
            },
        })
        .collect();
    let question = SeriesQuestion {
        members,
        query: request.query,
        shown: request.shown,
        exclude_empty: request.exclude_empty,
        grouping: request.grouping,
        top: request.top,
        limit: request.limit,
    };
    question.check()?;
    host.answer(question)
}

const ARGS: &[Arg] = &[
    Arg::value("from-timestamp", ArgKind::String),
    Arg::value("to-timestamp", ArgKind::String),
    range::OPTIONS[0],
    range::OPTIONS[1],
    range::OPTIONS[2],
    range::OPTIONS[3],
    range::OPTIONS[4],
    Arg::one_of(
        "labels",
        &[
            Arg::flag("WITHLABELS"),
            Arg::value("label", ArgKind::String)
                .after("SELECTED_LABELS")
                .repeated(),
        ],
    )
    .or_none(),
    Arg::flag("EXCLUDEEMPTY"),
    Arg::block(
        "limit",
        &[
            Arg::value("offset", ArgKind::Integer),
            Arg::value("count", ArgKind::Integer),
        ],
    )
    .after("LIMIT")
    .or_none(),
    Arg::block(
        "top",
        &[
            Arg::value("count", ArgKind::Integer),
            Arg::value("aggregator", ArgKind::String).after("BY"),
        ],
    )
    .after("TOP")
    .or_none(),
    Arg::value("filter", ArgKind::String)
        .after("FILTER")
        .repeated(),
    Arg::block(
        "grouping",
        &[
            Arg::value("label", ArgKind::String).repeated(),
            Arg::value("reducer", ArgKind::String).after("REDUCE"),
        ],
    )
    .after("GROUPBY")
    .or_none(),
];

const COMPLEXITY: &str = "O(S + N) where S is the number of series that match and N that of their \
                          samples in the range";

/// `IOT.MRANGE`: oldest first.
#[derive(Debug)]
pub struct MRange;

impl Command for MRange {
    const SPEC: Spec = Spec {
        name: "IOT.MRANGE",
        arity: -5,
        effect: Effect::Read,
        fast: false,
        keys: Keys::None,
        access: Access::Read,
        summary: "Queries a range of every series that matches a filter, oldest first",
        since: "0.1.0",
        complexity: COMPLEXITY,
        args: ARGS,
    };

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        execute(host, args, Order::Ascending)
    }
}

/// `IOT.MREVRANGE`: newest first.
#[derive(Debug)]
pub struct MRevRange;

impl Command for MRevRange {
    const SPEC: Spec = Spec {
        name: "IOT.MREVRANGE",
        arity: -5,
        effect: Effect::Read,
        fast: false,
        keys: Keys::None,
        access: Access::Read,
        summary: "Queries a range of every series that matches a filter, newest first",
        since: "0.1.0",
        complexity: COMPLEXITY,
        args: ARGS,
    };

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        execute(host, args, Order::Descending)
    }
}
