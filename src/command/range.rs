//! `IOT.RANGE` and `IOT.REVRANGE`.
//!
//! ```text
//! key from|- to|+ [LATEST] [FILTER_BY_TS ts ...] [FILTER_BY_VALUE min max] [COUNT n]
//! [[ALIGN start|-|end|+|ts] AGGREGATION agg[,agg ...] bucketDuration [TZ zone]
//!  [BUCKETTIMESTAMP start|-|mid|~|end|+]
//!  [EMPTY | FILL NONE|{PREV|LINEAR|NEXT|VALUE number [MAXGAP duration]}]]
//! ```
//!
//! The options may come in any order, each once.

use std::borrow::Cow;

use super::Command;
use super::args::Args;
use super::creation::set;
use super::derived;
use super::duration;
use super::error::{Error, Result, Token};
use super::host::{Host, Slot};
use super::number;
use super::rows::RangeQuestion;
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::aggregate::{Aggregator, MAX_AGGREGATORS};
use crate::engine::query::{
    Aggregation, Buckets, Calendar, Fill, Filling, Filter, RangeQuery, Selection, Span, Stamp, Zone,
};
use crate::engine::series::Order;
use crate::engine::{self, TimeRange, Timestamp};

/// Most times of `FILTER_BY_TS`.
pub const MAX_FILTER_TIMES: usize = 1024;

/// A range as a client gave it.
pub(super) struct Bounds {
    pub(super) range: TimeRange,
    /// Whether its ends were times, and not `-` or `+`.
    explicit_from: bool,
    explicit_to: bool,
}

/// Reads the two ends of a range: a time each, `-` for the oldest, `+` for the newest.
///
/// # Errors
/// `Invalid`, `MissingValue`.
pub(super) fn bounds(args: &mut Args<'_>) -> Result<Bounds> {
    let (from, explicit_from) = bound(args.take("fromTimestamp")?, "wrong fromTimestamp")?;
    let (to, explicit_to) = bound(args.take("toTimestamp")?, "wrong toTimestamp")?;
    Ok(Bounds {
        range: TimeRange::new(from, to),
        explicit_from,
        explicit_to,
    })
}

fn bound(text: &[u8], what: &'static str) -> Result<(Timestamp, bool)> {
    match text {
        b"-" => Ok((0, false)),
        b"+" => Ok((Timestamp::MAX, false)),
        _ => {
            let time_ms = number::whole(text);
            Ok((
                time_ms.ok_or_else(|| Error::Invalid(what, Token::from(text)))?,
                true,
            ))
        }
    }
}

/// Where buckets begin.
enum Align {
    Start,
    End,
    At(Timestamp),
}

/// How long a bucket is, and by whose clock.
struct Cut {
    span: Span,
    zone: Option<Zone>,
}

impl Cut {
    /// The buckets; of one width and aligned where neither a calendar nor a zone is named.
    fn buckets(self, align: Option<&Align>, bounds: &Bounds) -> Result<Buckets> {
        if self.zone.is_none()
            && let Some(width_ms) = self.span.milliseconds()
        {
            let align_ms = align.map_or(Ok(0), |align| align.time_ms(bounds))?;
            return Ok(Buckets::new(width_ms, align_ms));
        }
        if align.is_some() {
            return Err(Error::Conflict(
                "ALIGN cannot be used with buckets by the calendar, which are where it says",
            ));
        }
        let zone = self.zone.unwrap_or(Zone::UTC);
        Ok(Buckets::Calendar(Calendar::new(self.span, zone)?))
    }
}

impl Align {
    /// A time at which a bucket begins, which the ends of the range may say.
    fn time_ms(&self, bounds: &Bounds) -> Result<Timestamp> {
        match self {
            Self::At(time_ms) => Ok(*time_ms),
            Self::Start if bounds.explicit_from => Ok(bounds.range.from),
            Self::End if bounds.explicit_to => Ok(bounds.range.to),
            Self::Start => Err(Error::Conflict(
                "start alignment can only be used with explicit start timestamp",
            )),
            Self::End => Err(Error::Conflict(
                "end alignment can only be used with explicit end timestamp",
            )),
        }
    }
}

/// The options behind the range, as they were given.
#[derive(Default)]
pub(super) struct Given {
    latest: Option<()>,
    times: Option<Vec<i64>>,
    values: Option<(f64, f64)>,
    count: Option<u64>,
    align: Option<Align>,
    aggregation: Option<(Vec<Aggregator>, Cut)>,
    stamp: Option<Stamp>,
    empty: Option<()>,
    fill: Option<Fill>,
}

impl Given {
    /// Whether a word begins one of these options.
    pub(super) fn is_option(word: &[u8]) -> bool {
        const OPTIONS: [&str; 10] = [
            "LATEST",
            "FILTER_BY_TS",
            "FILTER_BY_VALUE",
            "COUNT",
            "ALIGN",
            "AGGREGATION",
            "TZ",
            "BUCKETTIMESTAMP",
            "EMPTY",
            "FILL",
        ];
        OPTIONS
            .iter()
            .any(|option| word.eq_ignore_ascii_case(option.as_bytes()))
    }

    /// Reads one option if there is one; returns whether there was.
    ///
    /// # Errors
    /// For an option that is not what it should be, or comes again.
    pub(super) fn take(&mut self, args: &mut Args<'_>) -> Result<bool> {
        if args.keyword("LATEST") {
            set(&mut self.latest, "LATEST", ())?;
        } else if args.keyword("FILTER_BY_TS") {
            set(&mut self.times, "FILTER_BY_TS", times(args)?)?;
        } else if args.keyword("FILTER_BY_VALUE") {
            let bounds = (value_bound(args, "MIN")?, value_bound(args, "MAX")?);
            set(&mut self.values, "FILTER_BY_VALUE", bounds)?;
        } else if args.keyword("COUNT") {
            set(&mut self.count, "COUNT", count(args)?)?;
        } else if args.keyword("ALIGN") {
            set(&mut self.align, "ALIGN", align(args)?)?;
        } else if args.keyword("AGGREGATION") {
            set(&mut self.aggregation, "AGGREGATION", aggregation(args)?)?;
        } else if args.keyword("BUCKETTIMESTAMP") {
            set(&mut self.stamp, "BUCKETTIMESTAMP", stamp(args)?)?;
        } else if args.keyword("EMPTY") {
            set(&mut self.empty, "EMPTY", ())?;
        } else if args.keyword("FILL") {
            set(&mut self.fill, "FILL", fill(args)?)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether open buckets of a rule are to be shown.
    pub(super) const fn is_latest(&self) -> bool {
        self.latest.is_some()
    }

    /// The query that was asked for.
    ///
    /// # Errors
    /// `Conflict` for options that do not go together.
    pub(super) fn query(mut self, bounds: &Bounds, order: Order) -> Result<RangeQuery> {
        let aggregation = self.aggregation(bounds)?;
        Ok(RangeQuery {
            selection: Selection {
                range: bounds.range,
                order,
                filter: Filter::new(self.times, self.values),
            },
            aggregation,
            limit: self.count.unwrap_or(u64::MAX),
        })
    }

    fn aggregation(&mut self, bounds: &Bounds) -> Result<Option<Aggregation>> {
        let without = |what, given| {
            if given {
                Err(Error::Conflict(what))
            } else {
                Ok(())
            }
        };
        let Some((aggregators, cut)) = self.aggregation.take() else {
            without(
                "ALIGN parameter can only be used with AGGREGATION",
                self.align.is_some(),
            )?;
            without(
                "BUCKETTIMESTAMP can only be used with AGGREGATION",
                self.stamp.is_some(),
            )?;
            without(
                "EMPTY can only be used with AGGREGATION",
                self.empty.is_some(),
            )?;
            without(
                "FILL can only be used with AGGREGATION",
                self.fill.is_some(),
            )?;
            return Ok(None);
        };
        without(
            "EMPTY and FILL cannot be used together",
            self.empty.is_some() && self.fill.is_some(),
        )?;
        Ok(Some(Aggregation {
            aggregators,
            buckets: cut.buckets(self.align.as_ref(), bounds)?,
            stamp: self.stamp.unwrap_or_default(),
            empty: self.empty.is_some(),
            fill: self.fill.filter(|fill| fill.max_gap_ms > 0),
        }))
    }
}

fn times(args: &mut Args<'_>) -> Result<Vec<i64>> {
    let mut times = vec![number::timestamp(args.take("FILTER_BY_TS")?)?];
    while let Some(time_ms) = args.peek().and_then(number::whole) {
        args.take("FILTER_BY_TS")?;
        times.push(time_ms);
        if times.len() > MAX_FILTER_TIMES {
            let max = MAX_FILTER_TIMES as u64;
            return Err(engine::Error::Limit {
                what: "times in FILTER_BY_TS",
                max,
            }
            .into());
        }
    }
    Ok(times)
}

fn value_bound(args: &mut Args<'_>, which: &'static str) -> Result<f64> {
    let text = args.take("FILTER_BY_VALUE")?;
    let what = if which == "MIN" {
        "Couldn't parse MIN"
    } else {
        "Couldn't parse MAX"
    };
    number::real(text).ok_or_else(|| Error::Invalid(what, Token::from(text)))
}

fn count(args: &mut Args<'_>) -> Result<u64> {
    let text = args.take("COUNT")?;
    match number::whole(text).map(i64::cast_unsigned) {
        None => Err(Error::Invalid("Couldn't parse COUNT", Token::from(text))),
        Some(0) => Err(Error::Invalid("Invalid COUNT value", Token::from(text))),
        Some(count) => Ok(count),
    }
}

fn align(args: &mut Args<'_>) -> Result<Align> {
    let text = args.take("ALIGN")?;
    match &text.to_ascii_lowercase()[..] {
        b"start" | b"-" => Ok(Align::Start),
        b"end" | b"+" => Ok(Align::End),
        _ => match number::whole(text) {
            Some(time_ms) => Ok(Align::At(time_ms)),
            None => Err(Error::Invalid("unknown ALIGN parameter", Token::from(text))),
        },
    }
}

fn aggregation(args: &mut Args<'_>) -> Result<(Vec<Aggregator>, Cut)> {
    let aggregators = number::aggregators(args.take("AGGREGATION")?)?;
    if aggregators.len() > MAX_AGGREGATORS {
        let max = MAX_AGGREGATORS as u64;
        return Err(engine::Error::Limit {
            what: "aggregators",
            max,
        }
        .into());
    }
    let text = args.take("bucketDuration")?;
    let unreadable = || Error::Invalid("Couldn't parse bucketDuration", Token::from(text));
    let span = duration::span(text).ok_or_else(unreadable)?;
    if span.is_zero() {
        return Err(Error::Conflict("bucketDuration must be greater than zero"));
    }
    let zone = args.keyword("TZ").then(|| zone(args)).transpose()?;
    Ok((aggregators, Cut { span, zone }))
}

fn zone(args: &mut Args<'_>) -> Result<Zone> {
    let name = args.take("TZ")?;
    Zone::by_name(name).ok_or_else(|| Error::Invalid("unknown time zone", Token::from(name)))
}

fn stamp(args: &mut Args<'_>) -> Result<Stamp> {
    let text = args.take("BUCKETTIMESTAMP")?;
    match &text.to_ascii_lowercase()[..] {
        b"start" | b"-" => Ok(Stamp::Start),
        b"mid" | b"~" => Ok(Stamp::Middle),
        b"end" | b"+" => Ok(Stamp::End),
        _ => Err(Error::Invalid(
            "unknown BUCKETTIMESTAMP parameter",
            Token::from(text),
        )),
    }
}

/// `FILL NONE`: there is no gap so short.
const NO_FILL: Fill = Fill {
    with: Filling::Previous,
    max_gap_ms: 0,
};

fn fill(args: &mut Args<'_>) -> Result<Fill> {
    let text = args.take("FILL")?;
    let with = match &text.to_ascii_uppercase()[..] {
        b"NONE" => return Ok(NO_FILL),
        b"PREV" => Filling::Previous,
        b"LINEAR" => Filling::Linear,
        b"NEXT" => Filling::Next,
        b"VALUE" => Filling::Value(number::value(args.take("FILL VALUE")?)?),
        _ => return Err(Error::Invalid("unknown FILL parameter", Token::from(text))),
    };
    let max_gap_ms = if args.keyword("MAXGAP") {
        let text = args.take("MAXGAP")?;
        duration::milliseconds(text)
            .ok_or_else(|| Error::Invalid("Couldn't parse MAXGAP", Token::from(text)))?
    } else {
        i64::MAX
    };
    Ok(Fill { with, max_gap_ms })
}

fn parse(args: &mut Args<'_>) -> Result<(Bounds, Given)> {
    let bounds = bounds(args)?;
    let mut given = Given::default();
    while given.take(args)? {}
    args.finish()?;
    Ok((bounds, given))
}

fn execute<H: Host>(host: &H, mut args: Args<'_>, order: Order) -> Result<()> {
    let key = args.key()?;
    let (bounds, given) = parse(&mut args)?;
    let is_latest = given.is_latest();
    let query = given.query(&bounds, order)?;
    match host.read(key) {
        Slot::Open(series) => {
            let series = if is_latest {
                derived::with_open(host, key.name, &series)
            } else {
                Cow::Borrowed(&*series)
            };
            query.check(&series)?;
            host.answer(RangeQuestion { query, series })
        }
        Slot::Foreign => Err(Error::WrongType),
        Slot::Missing => Err(Error::NoSuchKey),
    }
}

const FILL: Arg = Arg::block(
    "fill",
    &[
        Arg::one_of(
            "with",
            &[
                Arg::value("NONE", ArgKind::Token).after("NONE"),
                Arg::value("PREV", ArgKind::Token).after("PREV"),
                Arg::value("LINEAR", ArgKind::Token).after("LINEAR"),
                Arg::value("NEXT", ArgKind::Token).after("NEXT"),
                Arg::value("value", ArgKind::Double).after("VALUE"),
            ],
        ),
        Arg::option("MAXGAP", "max-gap", ArgKind::String),
    ],
)
.after("FILL");

/// The options, for the documentation of commands that take them.
pub(super) const OPTIONS: [Arg; 5] = [
    Arg::flag("LATEST"),
    Arg::option("FILTER_BY_TS", "timestamp", ArgKind::Integer).repeated(),
    Arg::block(
        "filter-by-value",
        &[
            Arg::value("min", ArgKind::Double),
            Arg::value("max", ArgKind::Double),
        ],
    )
    .after("FILTER_BY_VALUE")
    .or_none(),
    Arg::option("COUNT", "count", ArgKind::Integer),
    Arg::block(
        "aggregation",
        &[
            Arg::option("ALIGN", "align", ArgKind::String),
            Arg::block(
                "buckets",
                &[
                    Arg::value("aggregators", ArgKind::String),
                    Arg::value("bucket-duration", ArgKind::String),
                ],
            )
            .after("AGGREGATION"),
            Arg::option("TZ", "time-zone", ArgKind::String),
            Arg::option("BUCKETTIMESTAMP", "bucket-timestamp", ArgKind::String),
            Arg::one_of(
                "gaps",
                &[Arg::value("EMPTY", ArgKind::Token).after("EMPTY"), FILL],
            )
            .or_none(),
        ],
    )
    .or_none(),
];

const ARGS: &[Arg] = &[
    Arg::key(),
    Arg::value("from-timestamp", ArgKind::String),
    Arg::value("to-timestamp", ArgKind::String),
    OPTIONS[0],
    OPTIONS[1],
    OPTIONS[2],
    OPTIONS[3],
    OPTIONS[4],
];

/// `IOT.RANGE`: samples or buckets, oldest first.
#[derive(Debug)]
pub struct Range;

impl Command for Range {
    const SPEC: Spec = Spec {
        name: "IOT.RANGE",
        arity: -4,
        effect: Effect::Read,
        fast: false,
        keys: Keys::First,
        access: Access::Read,
        summary: "Queries a range of a series, oldest first",
        since: "0.1.0",
        complexity: "O(log B + N) where B is the number of blocks of the series and N that of the \
                     samples in the range",
        args: ARGS,
    };

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        execute(host, args, Order::Ascending)
    }
}

/// `IOT.REVRANGE`: samples or buckets, newest first.
#[derive(Debug)]
pub struct RevRange;

impl Command for RevRange {
    const SPEC: Spec = Spec {
        name: "IOT.REVRANGE",
        arity: -4,
        effect: Effect::Read,
        fast: false,
        keys: Keys::First,
        access: Access::Read,
        summary: "Queries a range of a series, newest first",
        since: "0.1.0",
        complexity: "O(log B + N) where B is the number of blocks of the series and N that of the \
                     samples in the range",
        args: ARGS,
    };

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        execute(host, args, Order::Descending)
    }
}
