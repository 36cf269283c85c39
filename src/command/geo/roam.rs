//! `IOT.ROAM`: devices that come near each other.
//!
//! ```text
//! IOT.ROAM BIND fleet others RADIUS m {PUBLISH channel | STREAM key [MAXLEN n]}...
//! IOT.ROAM UNBIND fleet others
//! ```
//!
//! `others` is another fleet, or the same. Pairs that are near each other when a fleet is bound are taken
//! as known.

use super::sinks::{self, SINKS, sink};
use super::{metres, open_or_create, release};
use crate::command::Command;
use crate::command::args::Args;
use crate::command::creation::set;
use crate::command::error::{Error, Result};
use crate::command::host::{Host, Reply, Slot, ValueWriter};
use crate::command::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::fleet::Fleet;
use crate::engine::rule::MAX_KEY_BYTES;
use crate::engine::watch::{MAX_ROAMS, Roam, Sink};

/// Greatest radius: more than that is not near, and each move looks at all who are.
const MAX_RADIUS_M: f64 = 100_000.0;

/// `IOT.ROAM BIND`.
#[derive(Debug)]
pub struct RoamBind;

impl Command for RoamBind {
    const SPEC: Spec = Spec {
        name: "IOT.ROAM|BIND",
        arity: -8,
        effect: Effect::Write,
        fast: true,
        keys: Keys::Several(&[
            (Keys::Second, Access::Update),
            (Keys::At(3), Access::Read),
            (Keys::OneAfter("STREAM", 4), Access::Insert),
        ]),
        access: Access::Update,
        summary: "Tells of devices of a fleet that come near each other, or near those of another",
        since: "0.1.0",
        complexity: "O(1); then each position O(N) where N is the number of devices near it",
        args: &[
            Arg::named_key("fleet"),
            Arg::named_key("others"),
            Arg::value("radius", ArgKind::Double).after("RADIUS"),
            SINKS,
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        const INVALID: &str = "RADIUS must be a number of metres above 0, up to 100000";
        args.take("subcommand")?;
        let (key, others) = (args.key()?, args.key()?);
        if key.name.len() > MAX_KEY_BYTES || others.name.len() > MAX_KEY_BYTES {
            return Err(Error::limit("bytes in the key of a fleet", MAX_KEY_BYTES));
        }
        let (mut radius_m, mut sinks): (Option<f64>, Vec<Sink>) = (None, Vec::new());
        while !args.is_empty() {
            if args.keyword("RADIUS") {
                set(
                    &mut radius_m,
                    "RADIUS",
                    metres(&mut args, "RADIUS", INVALID)?,
                )?;
            } else if let Some(one) = sink(&mut args)? {
                sinks.push(one);
            } else {
                args.finish()?;
            }
        }
        let radius_m = radius_m.ok_or(Error::MissingValue("RADIUS"))?;
        if radius_m <= 0.0 || radius_m > MAX_RADIUS_M {
            return Err(Error::Conflict(INVALID));
        }
        if !host.is_replay() {
            sinks::check(host, key.name, &[others.name], &sinks)?;
            if let Slot::Foreign = host.read_value::<Fleet>(others.into()) {
                return Err(Error::WrongType);
            }
        }
        let mut fleet = open_or_create(host, key)?;
        let roam = Roam {
            others: others.name.into(),
            radius_m,
            sinks,
        };
        if !fleet.roam(roam) {
            return Err(Error::limit("fleets that a fleet roams among", MAX_ROAMS));
        }
        fleet.changed();
        drop(fleet);
        host.replicate_verbatim();
        host.notify(c"iot.roam.bind", key);
        host.reply().ok();
        Ok(())
    }
}

/// `IOT.ROAM UNBIND`.
#[derive(Debug)]
pub struct RoamUnbind;

impl Command for RoamUnbind {
    const SPEC: Spec = Spec {
        name: "IOT.ROAM|UNBIND",
        arity: 4,
        effect: Effect::Free,
        fast: true,
        keys: Keys::Several(&[(Keys::Second, Access::Update), (Keys::At(3), Access::Read)]),
        access: Access::Update,
        summary: "Tells no more of devices that come near those of another fleet",
        since: "0.1.0",
        complexity: "O(1)",
        args: &[Arg::named_key("fleet"), Arg::named_key("others")],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        args.take("subcommand")?;
        let (key, others) = (args.key()?, args.key()?);
        args.finish()?;
        let mut fleet = host.write_value::<Fleet>(key.into()).optional()?;
        let ended = fleet.take_if(|fleet| fleet.end_roam(others.name));
        let is_ended = ended.is_some();
        if let Some(mut fleet) = ended {
            fleet.changed();
            release(host, key.into(), fleet);
            host.replicate_verbatim();
            host.notify(c"iot.roam.unbind", key);
        }
        host.reply().integer(is_ended.into());
        Ok(())
    }
}
