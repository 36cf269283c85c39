//! `IOT.TRACK` and `IOT.MTRACK`: where devices are.
//!
//! ```text
//! IOT.TRACK fleet device lon lat [TS ms|*] [ALT m] [SPEED v] [HEADING deg] [ACC m]
//!           [FIELDS n name value ...] [EXPIRE ms | EXPIREAT ms] [IFNEWER]
//! IOT.MTRACK fleet device lon lat ts [device lon lat ts ...]
//! ```
//!
//! A request that names all its times is its own effect. Otherwise the time of the server, and when the
//! device expires by it, are put in.

use super::outbox::MOST_SENT;
use super::shape::{LAT, LON};
use super::watch::{Changes, Move, Sets, Task, meet_own, meetings};
use super::{count, finite, metres, point, point_of};
use crate::command::Command;
use crate::command::args::Args;
use crate::command::counter::Counter;
use crate::command::creation::set;
use crate::command::error::{Error, Result, Token};
use crate::command::host::{Host, Key, Reply, Slot, ValueWriter};
use crate::command::number;
use crate::command::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::Timestamp;
use crate::engine::fleet::{Fix, Fleet, MAX_FIELDS, Outcome, Position, Readings, Value};
use crate::engine::watch::Cause;

/// Longest time after which a device expires: 100 years.
const MAX_EXPIRE_MS: i64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// A fix as a client gave it.
struct Given<'a> {
    device: &'a [u8],
    position: Position,
    readings: Readings,
    fields: Vec<(&'a [u8], Value<'a>)>,
    /// When the device expires, where the request says so.
    expires_ms: Option<Timestamp>,
    if_newer: bool,
    /// Whether the request says the same at any time it is read.
    is_timeless: bool,
    /// Its words behind the name of the fleet.
    words: &'a [&'a [u8]],
}

/// Reads a time, or `*` for now. Says whether it was a time.
fn time(text: &[u8], now_ms: impl FnOnce() -> Timestamp) -> Result<(Timestamp, bool)> {
    if text == b"*" {
        return Ok((now_ms(), false));
    }
    let time_ms = number::whole(text).ok_or_else(|| {
        Error::Invalid("TS must be a time in milliseconds, or *", Token::from(text))
    })?;
    Ok((time_ms, true))
}

fn parse<'a, H: Host>(host: &H, args: &mut Args<'a>) -> Result<Given<'a>> {
    let words = args.rest();
    let device = args.take("device")?;
    let point = point(args)?;
    let mut readings = Readings::default();
    let (mut time_ms, mut fields, mut expires_ms) = (None, None, None);
    let (mut if_newer, mut has_expire) = (false, false);
    while !args.is_empty() {
        if args.keyword("TS") {
            set(
                &mut time_ms,
                "TS",
                time(args.take("TS")?, || host.now_ms())?,
            )?;
        } else if args.keyword("FIELDS") {
            set(&mut fields, "FIELDS", fields_of(args)?)?;
        } else if args.keyword("EXPIRE") {
            let ms = count(args, "EXPIRE", EXPIRE, 1..=MAX_EXPIRE_MS)?;
            has_expire = true;
            set(&mut expires_ms, "EXPIRE", host.now_ms().saturating_add(ms))?;
        } else if args.keyword("EXPIREAT") {
            let at_ms = count(args, "EXPIREAT", EXPIREAT, 0..=i64::MAX)?;
            set(&mut expires_ms, "EXPIREAT", at_ms)?;
        } else if args.keyword("IFNEWER") {
            if_newer = true;
        } else if !reading(args, &mut readings)? {
            args.finish()?;
        }
    }
    let (time_ms, is_time) = time_ms.unwrap_or_else(|| (host.now_ms(), false));
    Ok(Given {
        device,
        position: Position { time_ms, point },
        readings,
        fields: fields.unwrap_or_default(),
        expires_ms,
        if_newer,
        is_timeless: is_time && !has_expire,
        words,
    })
}

const EXPIRE: &str = "EXPIRE must be a positive number of milliseconds";
const EXPIREAT: &str = "EXPIREAT must be a time in milliseconds, or 0 for never";

/// Reads one reading if there is one; says whether there was.
fn reading(args: &mut Args<'_>, readings: &mut Readings) -> Result<bool> {
    const HEADING: &str = "HEADING must be a number of degrees from 0 to 360";
    if args.keyword("ALT") {
        let alt = finite(args, "ALT", "ALT must be a number of metres")?;
        set(&mut readings.alt, "ALT", alt)?;
    } else if args.keyword("SPEED") {
        let speed = metres(args, "SPEED", "SPEED must be a number of at least 0")?;
        set(&mut readings.speed, "SPEED", speed)?;
    } else if args.keyword("HEADING") {
        let heading = finite(args, "HEADING", HEADING)?;
        if !(0.0..=360.0).contains(&heading) {
            return Err(Error::Conflict(HEADING));
        }
        set(&mut readings.heading, "HEADING", heading)?;
    } else if args.keyword("ACC") {
        let accuracy = metres(args, "ACC", "ACC must be a number of metres of at least 0")?;
        set(&mut readings.accuracy_m, "ACC", accuracy)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn fields_of<'a>(args: &mut Args<'a>) -> Result<Vec<(&'a [u8], Value<'a>)>> {
    const INVALID: &str = "the number of fields must be from 1 to 64";
    let max = i64::try_from(MAX_FIELDS).unwrap_or(i64::MAX);
    let fields = count(args, "FIELDS", INVALID, 1..=max)?;
    let field = |args: &mut Args<'a>| {
        let name = args.take("field name")?;
        Ok((name, value(args.take("field value")?)))
    };
    (0..fields).map(|_| field(args)).collect()
}

/// The value of a field: a number where it reads as one.
pub(super) fn value(text: &[u8]) -> Value<'_> {
    let number = number::real(text).filter(|number| number.is_finite());
    number.map_or(Value::Text(text), Value::Number)
}

/// What replicas are told of a fix.
#[derive(Clone, Copy)]
struct Told {
    /// When the device expires.
    expires_ms: Option<Timestamp>,
    /// Where the fix has changed nothing else, since it was late or filtered: the time of the position
    /// that the device has.
    sign_ms: Option<Timestamp>,
}

/// A fleet for fixes: with what it needs to compare devices with fences.
struct Ingest<'h, H: Host + 'h> {
    host: &'h H,
    key: Key<'h>,
    fleet: H::WriteValue<'h, Fleet>,
    /// Whether it was made for the fixes, and goes again where none of them is taken.
    is_new: bool,
    is_replay: bool,
    sets: Option<Sets<'h, H>>,
    roams: bool,
    now_ms: Timestamp,
    changes: Changes,
    moves: Vec<Move>,
}

impl<'h, H: Host> Ingest<'h, H> {
    fn begin(host: &'h H, key: Key<'h>) -> Result<Self> {
        let (fleet, is_new) = match host.write_value::<Fleet>(key.into()) {
            Slot::Open(fleet) => (fleet, false),
            Slot::Foreign => return Err(Error::WrongType),
            Slot::Missing => (host.create_value(key.into(), Fleet::default()), true),
        };
        let others = host.roaming_among(key.name);
        let is_watched = !fleet.bindings().is_empty() || !fleet.roams().is_empty();
        // Asking is not free, and a plain fleet need not know.
        let is_replay =
            (is_watched || !others.is_empty() || fleet.options().has_filters()) && host.is_replay();
        let sets = (!is_replay && !fleet.bindings().is_empty())
            .then(|| Sets::open(host, fleet.bindings()));
        let roams = !is_replay && (!fleet.roams().is_empty() || !others.is_empty());
        Ok(Self {
            host,
            key,
            is_new,
            is_replay,
            sets,
            roams,
            now_ms: host.now_ms(),
            changes: Changes::default(),
            moves: Vec::new(),
            fleet,
        })
    }

    /// Applies one fix.
    fn take(&mut self, given: &Given<'_>) -> Result<(Outcome, Option<Told>)> {
        let number = self.fleet.number(given.device);
        if number.is_none() {
            let checked = self.host.limits().check_devices(self.fleet.len() + 1);
            // A plain fleet has not asked whether a master has decided.
            checked.or_else(|refusal| {
                if self.host.is_replay() {
                    Ok(())
                } else {
                    Err(refusal)
                }
            })?;
        }
        let fix = Fix {
            position: given.position,
            readings: given.readings,
            fields: &given.fields,
            expires_ms: given.expires_ms,
            if_newer: given.if_newer,
            is_decided: self.is_replay,
        };
        let known_ms = number.and_then(|number| self.fleet.expires_ms(number));
        let outcome = self.fleet.track(given.device, &fix, self.now_ms)?;
        self.host.count(counter_of(outcome), 1);
        let told = self.told(outcome, number, known_ms);
        if let Outcome::Now { device, before } = outcome {
            let before = before.map(|position| position.point);
            if let Some(sets) = &self.sets {
                let (task, now_ms) = (Task::Compare(Cause::Fix), self.now_ms);
                let fleet = (self.key.name, &mut *self.fleet);
                self.changes
                    .attend(fleet, sets, (device, before), task, now_ms);
            }
            if self.roams {
                let one = Move {
                    device: given.device.into(),
                    number: Some(device),
                    before,
                    after: Some(given.position.point),
                    time_ms: given.position.time_ms,
                };
                meet_own(&self.fleet, self.key.name, &one, &mut self.changes.outbox);
                self.moves.push(one);
            }
        }
        Ok((outcome, told))
    }

    /// What replicas must be told of a fix of a device; `known` is its number, if it was known before,
    /// and `known_ms` when it would have expired without the fix.
    fn told(
        &self,
        outcome: Outcome,
        known: Option<u32>,
        known_ms: Option<Timestamp>,
    ) -> Option<Told> {
        let (number, is_kept) = match outcome {
            Outcome::Now { device, .. } => (device, true),
            Outcome::Late { device, in_trail } => (device, in_trail),
            Outcome::Filtered(_) => (known?, false),
        };
        let expires_ms = self.fleet.expires_ms(number);
        if !is_kept && expires_ms == known_ms {
            return None;
        }
        let present_ms = self.fleet.device(number)?.position().time_ms;
        Some(Told {
            expires_ms,
            sign_ms: (!is_kept).then_some(present_ms),
        })
    }

    /// Closes the fleet, tells replicas of visits, and gives the events back.
    fn end(mut self) -> Changes {
        let (host, key) = (self.host, self.key);
        self.changes.replicate(host, key.name, &self.fleet);
        let is_over = self.is_new && self.fleet.is_empty();
        drop(self.sets);
        drop(self.fleet);
        if is_over {
            host.remove_value::<Fleet>(key.into());
        }
        if !self.moves.is_empty() {
            meetings(host, key.name, &self.moves, &mut self.changes.outbox);
        }
        self.changes
    }
}

/// What a fix counts as.
const fn counter_of(outcome: Outcome) -> Counter {
    match outcome {
        Outcome::Now { .. } => Counter::FixTaken,
        Outcome::Late { .. } => Counter::FixLate,
        Outcome::Filtered(_) => Counter::FixFiltered,
    }
}

/// Sends one fix as it was decided.
fn replicate<H: Host>(host: &H, key: &[u8], given: &Given<'_>, told: Told) {
    if let Some(present_ms) = told.sign_ms {
        return replicate_sign(host, key, given, (present_ms, told.expires_ms));
    }
    let time = given.position.time_ms.to_string();
    let expires = told.expires_ms.map(|ms| ms.to_string());
    let mut words: Vec<&[u8]> = vec![key];
    words.extend(&given.words[..3]);
    words.extend([&b"TS"[..], time.as_bytes()]);
    let mut rest = Args::behind_name(&given.words[3..]);
    while let Some(word) = rest.peek() {
        let is = |option: &str| word.eq_ignore_ascii_case(option.as_bytes());
        let is_time = is("TS") || is("EXPIRE") || is("EXPIREAT");
        let len = if is("IFNEWER") {
            1
        } else if is("FIELDS") {
            2 + 2 * given.fields.len()
        } else {
            2
        };
        let (option, behind) = rest.rest().split_at(len.min(rest.len()));
        if !is_time {
            words.extend(option);
        }
        rest = Args::behind_name(behind);
    }
    if let Some(expires) = &expires {
        words.extend([&b"EXPIREAT"[..], expires.as_bytes()]);
    }
    host.replicate(c"IOT.TRACK", &words);
}

/// Sends that a device is there, as a fix that is not newer than the one it has: that puts off when it
/// expires, and no more.
fn replicate_sign<H: Host>(
    host: &H,
    key: &[u8],
    given: &Given<'_>,
    (present_ms, expires_ms): (Timestamp, Option<Timestamp>),
) {
    let (present, expires) = (present_ms.to_string(), expires_ms.unwrap_or(0).to_string());
    let mut words: Vec<&[u8]> = vec![key];
    words.extend(&given.words[..3]);
    words.extend([&b"TS"[..], present.as_bytes(), b"IFNEWER"]);
    words.extend([&b"EXPIREAT"[..], expires.as_bytes()]);
    host.replicate(c"IOT.TRACK", &words);
}

/// `IOT.TRACK`.
#[derive(Debug)]
pub struct Track;

impl Command for Track {
    const SPEC: Spec = Spec {
        name: "IOT.TRACK",
        arity: -5,
        effect: Effect::Write,
        fast: true,
        keys: Keys::First,
        access: Access::Insert,
        summary: "Sets the position of a device, and compares it with the fences of its fleet",
        since: "0.1.0",
        complexity: "O(log(D) + F) where D is the number of devices and F that of the fences around the \
                     position",
        args: &[
            Arg::named_key("fleet"),
            Arg::value("device", ArgKind::String),
            LON,
            LAT,
            Arg::option("TS", "timestamp", ArgKind::String),
            Arg::option("ALT", "altitude", ArgKind::Double),
            Arg::option("SPEED", "speed", ArgKind::Double),
            Arg::option("HEADING", "heading", ArgKind::Double),
            Arg::option("ACC", "accuracy", ArgKind::Double),
            Arg::block(
                "fields",
                &[
                    Arg::value("fields", ArgKind::Integer),
                    Arg::block(
                        "field",
                        &[
                            Arg::value("name", ArgKind::String),
                            Arg::value("value", ArgKind::String),
                        ],
                    )
                    .repeated(),
                ],
            )
            .after("FIELDS")
            .or_none(),
            Arg::one_of(
                "expiry",
                &[
                    Arg::value("milliseconds", ArgKind::Integer).after("EXPIRE"),
                    Arg::value("timestamp", ArgKind::Integer).after("EXPIREAT"),
                ],
            )
            .or_none(),
            Arg::flag("IFNEWER"),
        ],
    };

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        Self::execute_uncounted(host, args).inspect_err(|_| host.count(Counter::FixRejected, 1))
    }
}

impl Track {
    /// Does all, but counts no refusal.
    fn execute_uncounted<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = args.key()?;
        let given = parse(host, &mut args)?;
        let mut ingest = Ingest::begin(host, key)?;
        let taken = ingest.take(&given);
        let is_now = matches!(taken, Ok((Outcome::Now { .. }, _)));
        if let Ok((_, Some(told))) = taken {
            ingest.fleet.changed();
            let is_same = given.is_timeless && given.expires_ms == told.expires_ms;
            if is_same && told.sign_ms.is_none() {
                host.replicate_verbatim();
            } else {
                replicate(host, key.name, &given, told);
            }
        }
        let changes = ingest.end();
        taken?;
        if is_now {
            host.notify(c"iot.track", key);
        }
        changes.outbox.send(host);
        host.reply().integer(is_now.into());
        Ok(())
    }
}

/// `IOT.MTRACK`.
#[derive(Debug)]
pub struct MTrack;

/// Words of one item.
const ITEM: usize = 4;

fn item<'a, H: Host>(host: &H, words: &'a [&'a [u8]]) -> Result<Given<'a>> {
    let &[device, lon, lat, ts] = words else {
        return Err(Error::Arity("iot.mtrack"));
    };
    let point = point_of(lon, lat)?;
    let (time_ms, is_timeless) = time(ts, || host.now_ms())?;
    Ok(Given {
        device,
        position: Position { time_ms, point },
        readings: Readings::default(),
        fields: Vec::new(),
        expires_ms: None,
        if_newer: false,
        is_timeless,
        words: &words[..3],
    })
}

impl Command for MTrack {
    const SPEC: Spec = Spec {
        name: "IOT.MTRACK",
        arity: -6,
        effect: Effect::Write,
        fast: true,
        keys: Keys::First,
        access: Access::Insert,
        summary: "Sets the positions of several devices, in their order",
        since: "0.1.0",
        complexity: "As IOT.TRACK for each",
        args: &[
            Arg::named_key("fleet"),
            Arg::block(
                "item",
                &[
                    Arg::value("device", ArgKind::String),
                    LON,
                    LAT,
                    Arg::value("timestamp", ArgKind::String),
                ],
            )
            .repeated(),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = args.key()?;
        if !args.len().is_multiple_of(ITEM) {
            return Err(Error::Arity("iot.mtrack"));
        }
        let items = args.rest().chunks_exact(ITEM);
        let mut ingest = Ingest::begin(host, key)
            .inspect_err(|_| host.count(Counter::FixRejected, items.len() as u64))?;
        let mut outcomes = Vec::with_capacity(items.len());
        let mut kept = Vec::with_capacity(items.len());
        for words in items {
            let outcome = item(host, words).and_then(|given| {
                if ingest.changes.outbox.is_full() {
                    return Err(Error::limit("events of one command", MOST_SENT));
                }
                let (outcome, told) = ingest.take(&given)?;
                kept.extend(told.map(|told| (given, told)));
                Ok(outcome)
            });
            outcomes.push(outcome);
        }
        let is_plain = |(given, told): &(Given<'_>, Told)| {
            given.is_timeless && told.expires_ms.is_none() && told.sign_ms.is_none()
        };
        if !kept.is_empty() {
            ingest.fleet.changed();
            if kept.len() == outcomes.len() && kept.iter().all(is_plain) {
                host.replicate_verbatim();
            } else {
                for (given, told) in &kept {
                    replicate(host, key.name, given, *told);
                }
            }
        }
        let changes = ingest.end();
        let is_now = |outcome: &Result<Outcome>| matches!(outcome, Ok(Outcome::Now { .. }));
        if outcomes.iter().any(is_now) {
            host.notify(c"iot.track", key);
        }
        changes.outbox.send(host);
        let reply = host.reply();
        reply.array(outcomes.len());
        for outcome in &outcomes {
            match outcome {
                Ok(outcome) => reply.integer(matches!(outcome, Outcome::Now { .. }).into()),
                Err(error) => {
                    host.count(Counter::FixRejected, 1);
                    reply.error(error);
                }
            }
        }
        Ok(())
    }
}
