//! `IOT.INCRBY` and `IOT.DECRBY`.

use super::args::Args;
use super::counter::{Counter, count_added};
use super::creation::{
    CHUNK_SIZE, Creation, DUPLICATE_POLICY, ENCODING, IDLE_TTL, IGNORE, LABELS, RETENTION, set,
};
use super::derived::{self, Tracked};
use super::error::{Error, Result, Token};
use super::host::{Host, Reply, Slot, Writer};
use super::number::{self, Time};
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use super::{Command, effect, policy};
use crate::engine::options::DuplicatePolicy;
use crate::engine::{Sample, Series};
use std::ffi::CStr;

const ARGS: &[Arg] = &[
    Arg::key(),
    Arg::value("amount", ArgKind::Double),
    Arg::option("TIMESTAMP", "timestamp", ArgKind::String),
    RETENTION,
    IDLE_TTL,
    ENCODING,
    CHUNK_SIZE,
    DUPLICATE_POLICY,
    IGNORE,
    LABELS,
];

/// `IOT.INCRBY key amount [TIMESTAMP timestamp|*] [creation options]`: adds to the newest value, at
/// the newest time or later.
#[derive(Debug)]
pub struct IncrBy;

impl Command for IncrBy {
    const SPEC: Spec = Spec {
        name: "IOT.INCRBY",
        arity: -3,
        effect: Effect::Write,
        fast: true,
        keys: Keys::First,
        access: Access::Insert,
        summary: "Increments the newest value of a series, which is created if it does not exist",
        since: "0.1.0",
        complexity: "O(1) amortised",
        args: ARGS,
    };

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        increment(host, args, 1.0, c"iot.incrby")
    }
}

/// `IOT.DECRBY key amount [TIMESTAMP timestamp|*] [creation options]`: the same, subtracting.
#[derive(Debug)]
pub struct DecrBy;

impl Command for DecrBy {
    const SPEC: Spec = Spec {
        name: "IOT.DECRBY",
        arity: -3,
        effect: Effect::Write,
        fast: true,
        keys: Keys::First,
        access: Access::Insert,
        summary: "Decrements the newest value of a series, which is created if it does not exist",
        since: "0.1.0",
        complexity: "O(1) amortised",
        args: ARGS,
    };

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        increment(host, args, -1.0, c"iot.decrby")
    }
}

fn increment<H: Host>(host: &H, args: Args<'_>, sign: f64, event: &'static CStr) -> Result<()> {
    increment_uncounted(host, args, sign, event)
        .inspect_err(|error| host.count(Counter::of_refusal(error), 1))
}

/// Does all, but counts no refusal.
fn increment_uncounted<H: Host>(
    host: &H,
    mut args: Args<'_>,
    sign: f64,
    event: &'static CStr,
) -> Result<()> {
    let key = args.key()?;
    let text = args.take("amount")?;
    let amount = number::real(text)
        .ok_or_else(|| Error::Invalid("invalid increase/decrease value", Token::from(text)))?;
    let (mut creation, mut time) = (Creation::default(), None);
    loop {
        if args.keyword("TIMESTAMP") {
            set(
                &mut time,
                "TIMESTAMP",
                Time::parse(args.take("TIMESTAMP")?)?,
            )?;
        } else if !creation.take(&mut args)? {
            break;
        }
    }
    args.finish()?;
    let time_ms = match time {
        Some(Time::At(time_ms)) => time_ms,
        Some(Time::Now) | None => host.now_ms(),
    };
    let raise = |series: &mut Series| {
        let upsert = effect::upsert(host, series, time_ms, Some(DuplicatePolicy::Last));
        let added = series.increment(time_ms, sign * amount, &upsert)?;
        Ok::<_, Error>((added, series.newest().unwrap_or(Sample::new(time_ms, 0.0))))
    };
    let (mut refreshes, mut is_new) = (Vec::new(), false);
    let (added, newest) = match host.write(key) {
        Slot::Foreign => return Err(Error::WrongType),
        Slot::Open(mut series) => {
            derived::refuse_destination(host, key.name, &series)?;
            let mut tracked = Tracked::begin_with(host, &series, time_ms);
            let base = series.newest().map_or(0.0, |newest| newest.value);
            let sample = Sample::new(time_ms, base + sign * amount);
            let upsert = effect::upsert(host, &series, time_ms, Some(DuplicatePolicy::Last));
            tracked.before(&mut series, sample, &upsert);
            let raised = raise(&mut series)?;
            tracked.after(time_ms, &Ok(raised.0));
            refreshes = tracked.end(&mut series);
            if raised.0.is_change() {
                series.written();
            }
            raised
        }
        Slot::Missing => {
            let options = creation.options(&host.settings());
            let mut series = Series::new(options.clone());
            let raised = raise(&mut series)?;
            effect::send_creation(host, key.name, &options);
            host.create(key, series).written();
            is_new = true;
            raised
        }
    };
    // An increment is never late: it is refused where it would be.
    count_added(host, added, time_ms, None);
    if added.is_change() {
        effect::send_samples(host, key.name, &[newest]);
        host.notify(event, key);
    }
    if is_new {
        policy::fit(host, key.name, true);
    }
    derived::apply(host, key.name, refreshes);
    host.reply().integer(newest.time_ms);
    Ok(())
}
