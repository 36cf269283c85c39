//! `IOT.FLEET`: what a fleet takes and keeps.
//!
//! ```text
//! IOT.FLEET CREATE fleet [option ...]
//! IOT.FLEET ALTER fleet [option ...]
//! IOT.FLEET INFO fleet
//! IOT.FLEET LIST fleet [MATCH glob] [COUNT n] [CURSOR cursor]
//!
//! option: TRAIL n | RETENTION ms | MINDIST m | MINTIME ms | MAXSPEED metres-a-second | MAXACC m |
//!         JITTER yes|no | LATE TRAIL|DROP | EXPIRE ms
//! ```

use super::paging::Paging;
use super::{count, metres};
use crate::command::Command;
use crate::command::args::Args;
use crate::command::creation::set;
use crate::command::duration;
use crate::command::error::{Error, Result, Token};
use crate::command::host::{Host, Name, Reply, Slot, ValueWriter};
use crate::command::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::fleet::{
    Cursor, Device, Filter, Fleet, Late, MAX_TRAIL_LEN, Options, Size, Wanted,
};
use crate::engine::index::Glob;

/// Devices of a page of a list where the client says nothing.
const DEFAULT_PAGE: i64 = 100;
/// Devices that one page looks at, at most, to find those that match.
const MAX_LOOKS: usize = 100_000;

const OPTIONS: [Arg; 9] = [
    Arg::option("TRAIL", "positions", ArgKind::Integer),
    Arg::option("RETENTION", "retention", ArgKind::String),
    Arg::option("MINDIST", "metres", ArgKind::Double),
    Arg::option("MINTIME", "milliseconds", ArgKind::String),
    Arg::option("MAXSPEED", "metres-a-second", ArgKind::Double),
    Arg::option("MAXACC", "metres", ArgKind::Double),
    Arg::one_of("jitter", &[Arg::token("YES"), Arg::token("NO")])
        .after("JITTER")
        .or_none(),
    Arg::one_of("late", &[Arg::token("TRAIL"), Arg::token("DROP")])
        .after("LATE")
        .or_none(),
    Arg::option("EXPIRE", "milliseconds", ArgKind::String),
];

const CREATION: &[Arg] = &{
    let [a, b, c, d, e, f, g, h, i] = OPTIONS;
    [Arg::named_key("fleet"), a, b, c, d, e, f, g, h, i]
};

/// Reads options over those there are.
fn parse(args: &mut Args<'_>, options: &mut Options) -> Result<()> {
    let mut seen: Vec<&'static str> = Vec::new();
    while !args.is_empty() {
        let name = option(args, options)?;
        if seen.contains(&name) {
            return Err(Error::RepeatedArgument(name));
        }
        seen.push(name);
    }
    Ok(options.validate()?)
}

fn option(args: &mut Args<'_>, options: &mut Options) -> Result<&'static str> {
    const METRES: &str = "not a number of metres of at least 0";
    if args.keyword("TRAIL") {
        const INVALID: &str = "TRAIL must be a number of positions from 0 to 100000";
        let len = count(args, "TRAIL", INVALID, 0..=MAX_TRAIL_LEN.into())?;
        options.trail_len = len.try_into().unwrap_or(MAX_TRAIL_LEN);
        return Ok("TRAIL");
    }
    if args.keyword("RETENTION") {
        options.retention_ms = milliseconds(args, "RETENTION")?;
        return Ok("RETENTION");
    }
    if args.keyword("MINDIST") {
        options.min_distance_m = metres(args, "MINDIST", METRES)?;
        return Ok("MINDIST");
    }
    if args.keyword("MINTIME") {
        options.min_time_ms = milliseconds(args, "MINTIME")?;
        return Ok("MINTIME");
    }
    if args.keyword("MAXSPEED") {
        const INVALID: &str = "MAXSPEED must be a number of metres a second of at least 0";
        options.max_speed_mps = metres(args, "MAXSPEED", INVALID)?;
        return Ok("MAXSPEED");
    }
    if args.keyword("MAXACC") {
        options.max_accuracy_m = metres(args, "MAXACC", METRES)?;
        return Ok("MAXACC");
    }
    if args.keyword("JITTER") {
        let text = args.take("JITTER")?;
        options.jitter = match text.to_ascii_lowercase().as_slice() {
            b"yes" => true,
            b"no" => false,
            _ => {
                return Err(Error::Invalid(
                    "JITTER must be yes or no",
                    Token::from(text),
                ));
            }
        };
        return Ok("JITTER");
    }
    if args.keyword("LATE") {
        let text = args.take("LATE")?;
        options.late = match text.to_ascii_lowercase().as_slice() {
            b"trail" => Late::Trail,
            b"drop" => Late::Drop,
            _ => {
                return Err(Error::Invalid(
                    "LATE must be TRAIL or DROP",
                    Token::from(text),
                ));
            }
        };
        return Ok("LATE");
    }
    if args.keyword("EXPIRE") {
        options.expire_ms = milliseconds(args, "EXPIRE")?;
        return Ok("EXPIRE");
    }
    args.finish()?;
    Err(Error::MissingValue("option"))
}

/// Reads a duration; 0 switches off what it stands for.
fn milliseconds(args: &mut Args<'_>, what: &'static str) -> Result<i64> {
    let text = args.take(what)?;
    duration::milliseconds(text)
        .filter(|&ms| ms >= 0)
        .ok_or_else(|| Error::Invalid("not a duration", Token::from(text)))
}

/// `IOT.FLEET CREATE`.
#[derive(Debug)]
pub struct FleetCreate;

impl Command for FleetCreate {
    const SPEC: Spec = Spec {
        name: "IOT.FLEET|CREATE",
        arity: -3,
        effect: Effect::Write,
        fast: true,
        keys: Keys::Second,
        access: Access::Insert,
        summary: "Creates a fleet",
        since: "0.1.0",
        complexity: "O(1)",
        args: CREATION,
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        args.take("subcommand")?;
        let key = args.key()?;
        let mut options = Options::default();
        parse(&mut args, &mut options)?;
        match host.read_value::<Fleet>(Name::from(key)) {
            Slot::Missing => {}
            Slot::Foreign | Slot::Open(_) => return Err(Error::KeyExists),
        }
        let mut fleet = host.create_value(Name::from(key), Fleet::new(options));
        fleet.changed();
        drop(fleet);
        host.replicate_verbatim();
        host.notify(c"iot.fleet.create", key);
        host.reply().ok();
        Ok(())
    }
}

/// `IOT.FLEET ALTER`.
#[derive(Debug)]
pub struct FleetAlter;

impl Command for FleetAlter {
    const SPEC: Spec = Spec {
        name: "IOT.FLEET|ALTER",
        summary: "Changes options of a fleet; those that are not named stay",
        access: Access::Update,
        complexity: "O(1)",
        ..FleetCreate::SPEC
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        args.take("subcommand")?;
        let key = args.key()?;
        let mut fleet = host.write_value::<Fleet>(Name::from(key)).required()?;
        let mut options = *fleet.options();
        parse(&mut args, &mut options)?;
        fleet.set_options(options);
        fleet.changed();
        drop(fleet);
        host.replicate_verbatim();
        host.notify(c"iot.fleet.alter", key);
        host.reply().ok();
        Ok(())
    }
}

/// `IOT.FLEET INFO`.
#[derive(Debug)]
pub struct FleetInfo;

impl Command for FleetInfo {
    const SPEC: Spec = Spec {
        name: "IOT.FLEET|INFO",
        arity: 3,
        effect: Effect::Read,
        fast: false,
        keys: Keys::Second,
        access: Access::Read,
        summary: "What there is to know of a fleet",
        since: "0.1.0",
        complexity: "O(D) where D is the number of devices, of which the bytes are added up",
        args: &[Arg::named_key("fleet")],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        args.take("subcommand")?;
        let key = args.key()?;
        args.finish()?;
        let fleet = host.read_value::<Fleet>(Name::from(key)).required()?;
        let (reply, options, counters) = (host.reply(), fleet.options(), fleet.counters());
        let integer = |name: &str, value: i64| {
            reply.bulk(name.as_bytes());
            reply.integer(value);
        };
        let count =
            |name: &str, value: u64| integer(name, i64::try_from(value).unwrap_or(i64::MAX));
        let number = |name: &str, value: f64| {
            reply.bulk(name.as_bytes());
            reply.number(value);
        };
        reply.map(17);
        count("devices", fleet.len() as u64);
        count("bytes", fleet.heap_bytes() as u64);
        integer("trail", options.trail_len.into());
        integer("retention", options.retention_ms);
        number("mindist", options.min_distance_m);
        integer("mintime", options.min_time_ms);
        number("maxspeed", options.max_speed_mps);
        number("maxacc", options.max_accuracy_m);
        reply.bulk(b"jitter");
        reply.bulk(if options.jitter { b"yes" } else { b"no" });
        reply.bulk(b"late");
        reply.bulk(match options.late {
            Late::Trail => b"trail",
            Late::Drop => b"drop",
        });
        integer("expire", options.expire_ms);
        count("updates", counters.updates);
        count("lateFixes", counters.late);
        reply.bulk(b"filtered");
        reply.map(Filter::ALL.len());
        for (filter, count) in Filter::ALL.iter().zip(counters.filtered) {
            reply.bulk(filter.name().as_bytes());
            reply.integer(i64::try_from(count).unwrap_or(i64::MAX));
        }
        count("bindings", fleet.bindings().len() as u64);
        count("roams", fleet.roams().len() as u64);
        reply.bulk(b"due");
        match fleet.next_due_ms() {
            Some(due_ms) => reply.integer(due_ms),
            None => reply.null(),
        }
        Ok(())
    }
}

/// `IOT.FLEET LIST`.
#[derive(Debug)]
pub struct FleetList;

impl Command for FleetList {
    const SPEC: Spec = Spec {
        name: "IOT.FLEET|LIST",
        arity: -3,
        effect: Effect::Read,
        fast: false,
        keys: Keys::Second,
        access: Access::Read,
        summary: "The ids of the devices of a fleet, a page at a time, and the cursor of the next page",
        since: "0.1.0",
        complexity: "O(N) where N is the number of devices looked at",
        args: &[
            Arg::named_key("fleet"),
            Arg::option("MATCH", "pattern", ArgKind::String),
            Arg::option("COUNT", "count", ArgKind::Integer),
            Arg::option("CURSOR", "cursor", ArgKind::Integer),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        args.take("subcommand")?;
        let key = args.key()?;
        let (mut pattern, mut paging) = (None, Paging::default());
        while !args.is_empty() {
            if args.keyword("MATCH") {
                set(&mut pattern, "MATCH", Glob::new(args.take("MATCH")?)?)?;
            } else if !(paging.take_count(&mut args)? || paging.take_cursor(&mut args)?) {
                args.finish()?;
            }
        }
        let fleet = host.read_value::<Fleet>(Name::from(key)).optional()?;
        let wanted = Wanted {
            glob: pattern.as_ref(),
            ..Wanted::default()
        };
        let size = Size {
            limit: paging.most(DEFAULT_PAGE, &host.limits()),
            budget: MAX_LOOKS,
        };
        let from = Cursor(paging.first().into());
        let page = fleet.as_ref().map(|fleet| fleet.list(&wanted, size, from));
        let page = page.unwrap_or_default();
        let devices = page.devices.iter();
        let devices = devices.filter_map(|&number| fleet.as_ref()?.device(number));
        let ids: Vec<&[u8]> = devices.map(Device::id).collect();
        let next = page.next.and_then(|Cursor(next)| next.try_into().ok());
        let reply = host.reply();
        reply.array(2);
        reply.integer(next.unwrap_or(0));
        reply.texts(ids.into_iter());
        Ok(())
    }
}
