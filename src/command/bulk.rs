//! `IOT.ADDBULK`: many samples of one series in one call.

use super::args::Args;
use super::counter::{Counter, Tally};
use super::creation::{
    CHUNK_SIZE, Creation, DUPLICATE_POLICY, ENCODING, IDLE_TTL, IGNORE, LABELS, ON_DUPLICATE,
    RETENTION, take_on_duplicate,
};
use super::derived::{self, Tracked};
use super::effect;
use super::error::{Error, Result, Token};
use super::host::{Host, Key, Reply, Slot, Writer};
use super::number::{self, Time};
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use super::{Command, effect::Policy, policy};
use crate::engine::rule::Refresh;
use crate::engine::series::{Added, Upsert};
use crate::engine::{self, Sample, Series, Timestamp};

/// Most samples of one call: what a call may hold up other clients for.
pub const MAX_BULK_SAMPLES: usize = 1 << 20;
/// Most late samples of one call that fall far from the one before: half a second of work, where each is in
/// another block of a long series.
const MAX_LATE_JUMPS: usize = 10_000;
/// Bytes of one packed sample.
const PACKED_BYTES: usize = 16;

/// `IOT.ADDBULK key [creation options] [ON_DUPLICATE policy] {SAMPLES timestamp|* value ... |
/// PACKED blob}`: adds samples to a series, which is created if it does not exist.
///
/// A blob is a sequence of samples: `| timestamp i64 le | value f64 le |`. Any value is stored bit
/// by bit.
#[derive(Debug)]
pub struct AddBulk;

impl Command for AddBulk {
    const SPEC: Spec = Spec {
        name: "IOT.ADDBULK",
        arity: -4,
        effect: Effect::Write,
        fast: false,
        keys: Keys::First,
        access: Access::Insert,
        summary: "Adds many samples to a series, which is created if it does not exist; replies \
                  with how many were added, updated, ignored and rejected",
        since: "0.1.0",
        complexity: "O(N) where N is the number of samples",
        args: &[
            Arg::key(),
            RETENTION,
            IDLE_TTL,
            ENCODING,
            CHUNK_SIZE,
            DUPLICATE_POLICY,
            ON_DUPLICATE,
            IGNORE,
            LABELS,
            Arg::one_of(
                "samples",
                &[
                    Arg::block(
                        "sample",
                        &[
                            Arg::value("timestamp", ArgKind::String),
                            Arg::value("value", ArgKind::Double),
                        ],
                    )
                    .after("SAMPLES")
                    .repeated(),
                    Arg::value("blob", ArgKind::String).after("PACKED"),
                ],
            ),
        ],
    };

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        Self::execute_uncounted(host, args)
            .inspect_err(|error| host.count(Counter::of_refusal(error), 1))
    }
}

impl AddBulk {
    /// Does all, but counts no refusal of the whole.
    fn execute_uncounted<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = args.key()?;
        let (mut creation, mut policy) = (Creation::default(), None);
        while creation.take(&mut args)? || take_on_duplicate(&mut policy, &mut args)? {}
        let mut clock_used = false;
        let samples = if args.keyword("SAMPLES") {
            listed(&mut args, || {
                clock_used = true;
                host.now_ms()
            })?
        } else if args.keyword("PACKED") {
            let blob = args.take("PACKED")?;
            args.finish()?;
            packed(blob)?
        } else {
            args.finish()?;
            return Err(Error::MissingValue("SAMPLES or PACKED"));
        };
        let outcome = write(host, key, &samples, policy, &creation)?;
        if outcome.counts.added == samples.len() && !outcome.created && !clock_used {
            host.replicate_verbatim();
        } else {
            effect::send_samples(host, key.name, &outcome.stored);
        }
        if !outcome.stored.is_empty() {
            host.notify(c"iot.add", key);
        }
        derived::apply(host, key.name, outcome.refreshes);
        outcome.counts.reply(host.reply());
        Ok(())
    }
}

/// Reads pairs of time and value to the end.
fn listed(args: &mut Args<'_>, mut now_ms: impl FnMut() -> Timestamp) -> Result<Vec<Sample>> {
    check_len(args.len() / 2)?;
    let mut samples = Vec::with_capacity(args.len() / 2);
    while !args.is_empty() || samples.is_empty() {
        let time_ms = match Time::parse(args.take("timestamp")?)? {
            Time::At(time_ms) => time_ms,
            Time::Now => now_ms(),
        };
        samples.push(Sample::new(time_ms, number::value(args.take("value")?)?));
    }
    Ok(samples)
}

/// Reads packed samples.
fn packed(blob: &[u8]) -> Result<Vec<Sample>> {
    let (samples, rest) = blob.as_chunks::<PACKED_BYTES>();
    if samples.is_empty() || !rest.is_empty() {
        const WHAT: &str = "PACKED takes samples of 16 bytes each, length of the blob";
        return Err(Error::Invalid(
            WHAT,
            Token::from(blob.len().to_string().as_bytes()),
        ));
    }
    check_len(samples.len())?;
    samples.iter().map(unpack).collect()
}

fn unpack(bytes: &[u8; PACKED_BYTES]) -> Result<Sample> {
    let [times, values] = bytes.as_chunks::<8>().0 else {
        return Err(Error::MissingValue("PACKED"));
    };
    let time_ms = i64::from_le_bytes(*times);
    if time_ms < 0 {
        const WHAT: &str = "invalid timestamp, must be a nonnegative integer";
        return Err(Error::Invalid(
            WHAT,
            Token::from(time_ms.to_string().as_bytes()),
        ));
    }
    Ok(Sample::new(time_ms, f64::from_le_bytes(*values)))
}

fn check_len(samples: usize) -> Result<()> {
    if samples > MAX_BULK_SAMPLES {
        let max = MAX_BULK_SAMPLES as u64;
        return Err(engine::Error::Limit {
            what: "samples in one call",
            max,
        }
        .into());
    }
    Ok(())
}

/// How many samples became what.
#[derive(Default)]
struct Counts {
    added: usize,
    updated: usize,
    ignored: usize,
    rejected: usize,
}

impl Counts {
    fn count(&mut self, outcome: engine::Result<Added>) {
        let counter = match outcome {
            Ok(Added::Stored) => &mut self.added,
            Ok(Added::Updated(_)) => &mut self.updated,
            Ok(Added::Unchanged | Added::Ignored) => &mut self.ignored,
            Err(_) => &mut self.rejected,
        };
        *counter += 1;
    }

    fn reply(&self, reply: &impl Reply) {
        let counts = [
            (&b"added"[..], self.added),
            (b"updated", self.updated),
            (b"ignored", self.ignored),
            (b"rejected", self.rejected),
        ];
        reply.map(counts.len());
        for (name, count) in counts {
            reply.bulk(name);
            reply.integer(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

/// What came of a bulk.
#[derive(Default)]
struct Outcome {
    counts: Counts,
    /// The samples as they stand now, in the order of the call.
    stored: Vec<Sample>,
    created: bool,
    /// What it means for the destinations of rules.
    refreshes: Vec<Refresh>,
}

/// Refuses samples whose order makes them costly: a block is rewritten for each that is late and far from
/// the one before.
fn check_order<H: Host>(host: &H, series: &Series, samples: &[Sample]) -> Result<()> {
    if samples.len() > MAX_LATE_JUMPS
        && !host.is_replay()
        && series.late_jumps(samples) > MAX_LATE_JUMPS
    {
        return Err(Error::limit(
            "late samples that are not in order of time",
            MAX_LATE_JUMPS,
        ));
    }
    Ok(())
}

fn write<H: Host>(
    host: &H,
    key: Key<'_>,
    samples: &[Sample],
    policy: Policy,
    creation: &Creation,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut slot = host.write(key);
    if matches!(slot, Slot::Missing) {
        let series = Series::new(creation.options(&host.settings()));
        check_order(host, &series, samples)?;
        effect::send_creation(host, key.name, series.options());
        host.create(key, series).written();
        outcome.created = true;
        // Before the samples, which may lie in many buckets.
        policy::fit(host, key.name, true);
        slot = host.write(key);
    }
    match slot {
        Slot::Foreign => return Err(Error::WrongType),
        Slot::Open(mut series) => {
            derived::refuse_destination(host, key.name, &series)?;
            if !outcome.created {
                check_order(host, &series, samples)?;
            }
            let upsert = effect::upsert_many(host, &series, policy);
            let mut tracked = Tracked::begin(host, &series);
            let mut tally = Tally::new(series.newest().map(|newest| newest.time_ms));
            let to = (&mut outcome, &mut tally);
            add(&mut series, &mut tracked, samples, &upsert, to);
            tally.count(host);
            outcome.refreshes = tracked.end(&mut series);
            if !outcome.stored.is_empty() {
                series.written();
            }
        }
        // Somebody who was told of the new series has deleted it.
        Slot::Missing => return Err(Error::NoSuchKey),
    }
    Ok(outcome)
}

fn add(
    series: &mut Series,
    tracked: &mut Tracked,
    samples: &[Sample],
    upsert: &Upsert,
    (outcome, tally): (&mut Outcome, &mut Tally),
) {
    outcome.stored.reserve_exact(samples.len());
    tracked.add_all(series, samples, upsert, &mut |sample, added| {
        tally.note(sample.time_ms, &added);
        outcome.counts.count(added);
        if let Ok(added) = added {
            outcome.stored.extend(effect::stored(sample, added));
        }
    });
}
