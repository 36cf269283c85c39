//! `IOT.ADD`, `IOT.MADD` and `IOT.INGEST`: samples one by one.

use super::Command;
use super::args::Args;
use super::counter::{Counter, count_added};
use super::creation::{
    CHUNK_SIZE, Creation, DUPLICATE_POLICY, ENCODING, IDLE_TTL, IGNORE, LABELS, ON_DUPLICATE,
    RETENTION, take_on_duplicate,
};
use super::derived::{self, Tracked};
use super::effect::{self, Policy};
use super::error::{Error, Result};
use super::host::{Host, Key, Reply, Slot, Writer};
use super::number::{self, Time};
use super::policy;
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::rule::Refresh;
use crate::engine::series::Added;
use crate::engine::{Sample, Series, Timestamp};

/// One sample to be written, as it was given.
#[derive(Clone, Copy)]
struct Item<'a> {
    key: Key<'a>,
    time: Time,
    value: f64,
}

impl<'a> Item<'a> {
    fn parse(key: Key<'a>, time: &[u8], value: &[u8]) -> Result<Self> {
        Ok(Self {
            key,
            time: Time::parse(time)?,
            value: number::value(value)?,
        })
    }

    /// The place of its value among the arguments: two behind its key.
    fn value_index(&self) -> usize {
        self.key.index + 2
    }

    fn sample<H: Host>(&self, host: &H) -> Sample {
        let time_ms = match self.time {
            Time::At(time_ms) => time_ms,
            Time::Now => host.now_ms(),
        };
        Sample::new(time_ms, self.value)
    }
}

/// What came of an item.
struct Written {
    /// For the reply: its time, or that of the newest sample where it was ignored.
    time_ms: Timestamp,
    /// What must be sent on.
    effect: Sent,
    /// What it means for the destinations of rules.
    refreshes: Vec<Refresh>,
}

/// What must be sent on for one item.
enum Sent {
    Nothing,
    /// The item as it came says it all.
    Verbatim,
    /// The item as it came, at the time that the clock gave.
    Stamped(Timestamp),
    Sample(Sample),
    SeriesAndSample(Sample),
}

/// Writes one item; creates its series where `creation` allows it.
#[inline]
fn write<H: Host>(
    host: &H,
    item: Item<'_>,
    policy: Policy,
    creation: Option<&Creation>,
) -> Result<Written> {
    let sample = item.sample(host);
    let mut series = match host.write(item.key) {
        Slot::Open(series) => series,
        Slot::Foreign => return Err(Error::WrongType),
        Slot::Missing => {
            let creation = creation.ok_or(Error::NoSuchKey)?;
            let mut series = Series::new(creation.options(&host.settings()));
            let upsert = effect::upsert(host, &series, sample.time_ms, policy);
            series.add(sample, &upsert)?;
            host.create(item.key, series).written();
            host.count(Counter::Added, 1);
            return Ok(Written {
                time_ms: sample.time_ms,
                effect: Sent::SeriesAndSample(sample),
                refreshes: Vec::new(),
            });
        }
    };
    derived::refuse_destination(host, item.key.name, &series)?;
    let upsert = effect::upsert(host, &series, sample.time_ms, policy);
    let newest_ms = series.newest().map(|newest| newest.time_ms);
    let mut tracked = Tracked::begin_with(host, &series, sample.time_ms);
    tracked.before(&mut series, sample, &upsert);
    let added = series.add(sample, &upsert);
    tracked.after(sample.time_ms, &added);
    let refreshes = tracked.end(&mut series);
    let added = added?;
    count_added(host, added, sample.time_ms, newest_ms);
    let time_ms = match (added, series.newest()) {
        (Added::Ignored, Some(newest)) => newest.time_ms,
        _ => sample.time_ms,
    };
    let effect = match (added, item.time) {
        (Added::Stored, Time::At(_)) => Sent::Verbatim,
        (Added::Stored, Time::Now) => Sent::Stamped(sample.time_ms),
        _ => effect::stored(sample, added).map_or(Sent::Nothing, Sent::Sample),
    };
    if !matches!(effect, Sent::Nothing) {
        series.written();
    }
    Ok(Written {
        time_ms,
        effect,
        refreshes,
    })
}

/// Sends what came of one item, on its own.
fn send<H: Host>(host: &H, item: Item<'_>, effect: &Sent) {
    match *effect {
        Sent::Nothing => {}
        Sent::Verbatim => effect::send_samples(host, item.key.name, &[item.sample(host)]),
        Sent::Stamped(time_ms) => host.replicate_stamped(item.key, time_ms, item.value_index()),
        Sent::Sample(sample) => effect::send_samples(host, item.key.name, &[sample]),
        Sent::SeriesAndSample(sample) => {
            if let Slot::Open(series) = host.read(item.key) {
                effect::send_creation(host, item.key.name, series.options());
            }
            effect::send_samples(host, item.key.name, &[sample]);
        }
    }
}

/// `IOT.ADD key timestamp|* value [creation options] [ON_DUPLICATE policy]`: adds a sample, and
/// creates the series if there is none.
#[derive(Debug)]
pub struct Add;

impl Command for Add {
    const SPEC: Spec = Spec {
        name: "IOT.ADD",
        arity: -4,
        effect: Effect::Write,
        fast: true,
        keys: Keys::First,
        access: Access::Insert,
        summary: "Adds a sample to a series, which is created if it does not exist",
        since: "0.1.0",
        complexity: "O(1) amortised; a late sample re-encodes one block",
        args: &[
            Arg::key(),
            Arg::value("timestamp", ArgKind::String),
            Arg::value("value", ArgKind::Double),
            RETENTION,
            IDLE_TTL,
            ENCODING,
            CHUNK_SIZE,
            DUPLICATE_POLICY,
            ON_DUPLICATE,
            IGNORE,
            LABELS,
        ],
    };

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        let (item, written) = Self::write(host, args)
            .inspect_err(|error| host.count(Counter::of_refusal(error), 1))?;
        let key = item.key;
        match written.effect {
            Sent::Nothing => {}
            Sent::Verbatim => {
                host.replicate_verbatim();
                host.notify(c"iot.add", key);
            }
            effect => {
                send(host, item, &effect);
                host.notify(c"iot.add", key);
                if matches!(effect, Sent::SeriesAndSample(_)) {
                    policy::fit(host, key.name, true);
                }
            }
        }
        derived::apply(host, key.name, written.refreshes);
        host.reply().integer(written.time_ms);
        Ok(())
    }
}

impl Add {
    /// Does all but tell of it.
    #[inline]
    fn write<'a, H: Host>(host: &H, mut args: Args<'a>) -> Result<(Item<'a>, Written)> {
        let key = args.key()?;
        let item = Item::parse(key, args.take("timestamp")?, args.take("value")?)?;
        let (mut creation, mut policy) = (Creation::default(), None);
        // Most samples come without options, and then a dozen keywords need not be looked for.
        if !args.is_empty() {
            while creation.take(&mut args)? || take_on_duplicate(&mut policy, &mut args)? {}
            args.finish()?;
        }
        let written = write(host, item, policy, Some(&creation))?;
        Ok((item, written))
    }
}

/// Arguments of one item: key, time, value.
const ITEM_ARGS: usize = 3;

/// Writes items one after the other and replies with a time or an error for each.
fn write_items<H: Host>(
    host: &H,
    args: &Args<'_>,
    command: &'static str,
    creation: Option<&Creation>,
) -> Result<()> {
    let mut args = *args;
    let items = args.len() / ITEM_ARGS;
    if items == 0 || !args.len().is_multiple_of(ITEM_ARGS) {
        return Err(Error::Arity(command));
    }
    host.reply().array(items);
    let mut effects = Vec::with_capacity(items);
    let mut verbatim = creation.is_none();
    while !args.is_empty() {
        let key = args.key()?;
        let item = Item::parse(key, args.take("timestamp")?, args.take("value")?);
        let written = item.and_then(|item| Ok((item, write(host, item, None, creation)?)));
        match written {
            Err(error) => {
                verbatim = false;
                host.count(Counter::of_refusal(&error), 1);
                host.reply().error(&error);
            }
            Ok((item, written)) => {
                verbatim &= matches!(written.effect, Sent::Verbatim);
                effects.push((item, written.effect, written.refreshes));
                host.reply().integer(written.time_ms);
            }
        }
    }
    if verbatim {
        host.replicate_verbatim();
    }
    for (item, effect, refreshes) in effects {
        if !verbatim {
            send(host, item, &effect);
        }
        if !matches!(effect, Sent::Nothing) {
            host.notify(c"iot.add", item.key);
        }
        if matches!(effect, Sent::SeriesAndSample(_)) {
            policy::fit(host, item.key.name, true);
        }
        derived::apply(host, item.key.name, refreshes);
    }
    Ok(())
}

/// `IOT.MADD {key timestamp|* value} ...`: adds samples to series that exist.
#[derive(Debug)]
pub struct MAdd;

impl Command for MAdd {
    const SPEC: Spec = Spec {
        name: "IOT.MADD",
        arity: -4,
        effect: Effect::Write,
        fast: true,
        keys: Keys::Every { step: 3 },
        access: Access::Insert,
        summary: "Adds samples to series that exist; replies with a time or an error for each",
        since: "0.1.0",
        complexity: "O(N) where N is the number of samples",
        args: &[Arg::block(
            "sample",
            &[
                Arg::key(),
                Arg::value("timestamp", ArgKind::String),
                Arg::value("value", ArgKind::Double),
            ],
        )
        .repeated()],
    };

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        write_items(host, &args, Self::SPEC.name, None)
    }
}

/// `IOT.INGEST [creation options] ITEMS {key timestamp|* value} ...`: adds samples, and creates
/// the series that do not exist.
#[derive(Debug)]
pub struct Ingest;

impl Command for Ingest {
    const SPEC: Spec = Spec {
        name: "IOT.INGEST",
        arity: -5,
        effect: Effect::Write,
        fast: true,
        keys: Keys::After {
            keyword: "ITEMS",
            step: 3,
        },
        access: Access::Insert,
        summary: "Adds samples to series, which are created if they do not exist; replies with a \
                  time or an error for each",
        since: "0.1.0",
        complexity: "O(N) where N is the number of samples",
        args: &[
            RETENTION,
            IDLE_TTL,
            ENCODING,
            CHUNK_SIZE,
            DUPLICATE_POLICY,
            IGNORE,
            LABELS,
            Arg::block(
                "item",
                &[
                    Arg::key(),
                    Arg::value("timestamp", ArgKind::String),
                    Arg::value("value", ArgKind::Double),
                ],
            )
            .after("ITEMS")
            .repeated(),
        ],
    };

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        // The server looks for keys, and for the right to write them, behind the first `ITEMS` it
        // finds. So do we, even where it stands in the place of a label.
        let (mut options, items) = args
            .split_at_keyword("ITEMS")
            .ok_or(Error::MissingValue("ITEMS"))?;
        let mut creation = Creation::default();
        while creation.take(&mut options)? {}
        options.finish()?;
        write_items(host, &items, Self::SPEC.name, Some(&creation))
    }
}
