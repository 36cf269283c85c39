//! `IOT.FENCE BIND`, `UNBIND` and `BINDINGS`: which fleets are compared with which sets of fences.
//!
//! ```text
//! IOT.FENCE BIND fleet fences [DETECT kind ...] [GROUP group] [OUTSIDE cap]
//!                {PUBLISH channel | STREAM key [MAXLEN n]}...
//! IOT.FENCE UNBIND fleet fences
//! IOT.FENCE BINDINGS fleet
//! ```
//!
//! A binding belongs to the fleet. It names the set, which may come later, or be another one day: then
//! all devices are compared with it, from the timer.

use super::given::detect;
use super::sinks::{self, SINKS, sink};
use super::watch::{Changes, Sets};
use super::{count, open_or_create, release};
use crate::command::Command;
use crate::command::args::Args;
use crate::command::creation::set;
use crate::command::error::{Error, Result};
use crate::command::host::{Host, Key, Name, Reply, Slot, ValueWriter};
use crate::command::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::fence::{Detect, FenceSet, MAX_GROUP_BYTES};
use crate::engine::fleet::Fleet;
use crate::engine::rule::MAX_KEY_BYTES;
use crate::engine::watch::{Binding, MAX_BINDINGS, Sink};

/// Most fences that a binding looks at for `outside` events.
const MAX_OUTSIDE: i64 = 10_000;

/// The kinds of events, in the documentation.
pub(super) const KINDS: Arg = Arg::one_of(
    "kind",
    &[
        Arg::token("ENTER"),
        Arg::token("EXIT"),
        Arg::token("CROSS"),
        Arg::token("DWELL"),
        Arg::token("INSIDE"),
        Arg::token("OUTSIDE"),
        Arg::token("OVERSPEED"),
    ],
);

/// `IOT.FENCE BIND`.
#[derive(Debug)]
pub struct FenceBind;

fn parse<'a>(args: &mut Args<'a>) -> Result<(Key<'a>, Key<'a>, Binding)> {
    args.take("subcommand")?;
    let (fleet, fences) = (args.key()?, args.key()?);
    if fences.name.len() > MAX_KEY_BYTES || fleet.name.len() > MAX_KEY_BYTES {
        return Err(Error::limit("bytes in the key of a binding", MAX_KEY_BYTES));
    }
    let (mut kinds, mut group, mut outside_cap) = (None, None, None);
    let mut sinks: Vec<Sink> = Vec::new();
    while !args.is_empty() {
        if args.keyword("DETECT") {
            set(&mut kinds, "DETECT", detect(args)?)?;
        } else if args.keyword("GROUP") {
            set(&mut group, "GROUP", group_of(args)?)?;
        } else if args.keyword("OUTSIDE") {
            const INVALID: &str = "OUTSIDE must be a number of fences from 1 to 10000";
            let cap = count(args, "OUTSIDE", INVALID, 1..=MAX_OUTSIDE)?;
            set(&mut outside_cap, "OUTSIDE", cap)?;
        } else if let Some(one) = sink(args)? {
            sinks.push(one);
        } else {
            args.finish()?;
        }
    }
    let binding = Binding {
        number: 0,
        fences: fences.name.into(),
        detect: kinds,
        group: group.map(Into::into),
        outside_cap: outside_cap.and_then(|cap| cap.try_into().ok()).unwrap_or(0),
        sinks,
    };
    Ok((fleet, fences, binding))
}

fn group_of<'a>(args: &mut Args<'a>) -> Result<&'a [u8]> {
    let group = args.take("GROUP")?;
    if group.is_empty() || group.len() > MAX_GROUP_BYTES {
        return Err(Error::Conflict("GROUP must be a name of 1 to 512 bytes"));
    }
    Ok(group)
}

impl Command for FenceBind {
    const SPEC: Spec = Spec {
        name: "IOT.FENCE|BIND",
        arity: -6,
        effect: Effect::Write,
        fast: true,
        keys: Keys::Several(&[
            (Keys::Second, Access::Update),
            (Keys::At(3), Access::Read),
            (Keys::OneAfter("STREAM", 4), Access::Insert),
        ]),
        access: Access::Update,
        summary: "Compares the positions of a fleet with a set of fences, and sends what happens",
        since: "0.1.0",
        complexity: "O(1); devices that are inside are found soon after, by the timer",
        args: &[
            Arg::named_key("fleet"),
            Arg::named_key("fences"),
            KINDS.after("DETECT").or_none().repeated(),
            Arg::option("GROUP", "group", ArgKind::String),
            Arg::option("OUTSIDE", "cap", ArgKind::Integer),
            SINKS,
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let (key, fences, binding) = parse(&mut args)?;
        let is_replay = host.is_replay();
        if !is_replay {
            sinks::check(host, key.name, &[fences.name], &binding.sinks)?;
            if let Slot::Foreign = host.read_value::<FenceSet>(fences.into()) {
                return Err(Error::WrongType);
            }
        }
        let mut fleet = open_or_create(host, key)?;
        if !fleet.bind(binding) {
            return Err(Error::limit("bindings of a fleet", MAX_BINDINGS));
        }
        fleet.changed();
        drop(fleet);
        host.sweep(key.name);
        host.replicate_verbatim();
        host.notify(c"iot.fence.bind", key);
        host.reply().ok();
        Ok(())
    }
}

/// `IOT.FENCE UNBIND`.
#[derive(Debug)]
pub struct FenceUnbind;

impl Command for FenceUnbind {
    const SPEC: Spec = Spec {
        name: "IOT.FENCE|UNBIND",
        arity: 4,
        effect: Effect::Free,
        fast: false,
        keys: Keys::Several(&[(Keys::Second, Access::Update), (Keys::At(3), Access::Read)]),
        access: Access::Update,
        summary: "Ends the comparison of a fleet with a set of fences",
        since: "0.1.0",
        complexity: "O(D) where D is the number of devices of the fleet",
        args: &[Arg::named_key("fleet"), Arg::named_key("fences")],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        args.take("subcommand")?;
        let (key, fences) = (args.key()?, args.key()?);
        args.finish()?;
        let mut fleet = host.write_value::<Fleet>(key.into()).optional()?;
        let unbound = fleet.as_mut().and_then(|fleet| fleet.unbind(fences.name));
        let (Some(mut fleet), Some(unbound)) = (fleet, unbound) else {
            host.reply().integer(0);
            return Ok(());
        };
        let mut changes = Changes::default();
        if !host.is_replay() {
            let sets = Sets::open(host, std::slice::from_ref(&unbound.binding));
            changes.end_all((key.name, &fleet), &unbound, &sets, host.now_ms());
        }
        fleet.changed();
        release(host, key.into(), fleet);
        host.replicate_verbatim();
        host.notify(c"iot.fence.unbind", key);
        changes.outbox.send(host);
        host.reply().integer(1);
        Ok(())
    }
}

/// `IOT.FENCE BINDINGS`.
#[derive(Debug)]
pub struct FenceBindings;

impl Command for FenceBindings {
    const SPEC: Spec = Spec {
        name: "IOT.FENCE|BINDINGS",
        arity: 3,
        effect: Effect::Read,
        fast: true,
        keys: Keys::Second,
        access: Access::Read,
        summary: "The sets of fences and the fleets that a fleet is bound to",
        since: "0.1.0",
        complexity: "O(B) where B is the number of bindings",
        args: &[Arg::named_key("fleet")],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        args.take("subcommand")?;
        let key = args.key()?;
        args.finish()?;
        let reply = host.reply();
        let Some(fleet) = host.read_value::<Fleet>(Name::from(key)).optional()? else {
            reply.array(0);
            return Ok(());
        };
        reply.array(fleet.bindings().len() + fleet.roams().len());
        for binding in fleet.bindings() {
            reply.map(5);
            reply.bulk(b"fences");
            reply.bulk(&binding.fences);
            reply.bulk(b"detect");
            match binding.detect {
                Some(kinds) => kinds_of(reply, kinds),
                None => reply.null(),
            }
            reply.bulk(b"group");
            match &binding.group {
                Some(group) => reply.bulk(group),
                None => reply.null(),
            }
            reply.bulk(b"outside");
            reply.integer(binding.outside_cap.into());
            reply.bulk(b"sinks");
            sinks_of(reply, &binding.sinks);
        }
        for roam in fleet.roams() {
            reply.map(3);
            reply.bulk(b"others");
            reply.bulk(&roam.others);
            reply.bulk(b"radius");
            reply.number(roam.radius_m);
            reply.bulk(b"sinks");
            sinks_of(reply, &roam.sinks);
        }
        Ok(())
    }
}

fn kinds_of<R: Reply>(reply: &R, kinds: Detect) {
    let names: Vec<&str> = kinds.names().collect();
    reply.texts(names.iter().map(|name| name.as_bytes()));
}

fn sinks_of<R: Reply>(reply: &R, sinks: &[Sink]) {
    reply.array(sinks.len());
    for sink in sinks {
        match sink {
            Sink::Publish(channel) => {
                reply.array(2);
                reply.bulk(b"publish");
                reply.bulk(channel);
            }
            Sink::Stream { key, max_len } => {
                reply.array(3);
                reply.bulk(b"stream");
                reply.bulk(key);
                reply.integer(i64::try_from(*max_len).unwrap_or(i64::MAX));
            }
        }
    }
}
