//! What only the append-only file and a master say.
//!
//! ```text
//! IOT.FLEET RESTORE key payload            a fleet from its stored form
//! IOT.FENCE RESTORE key payload            a set of fences from its stored form
//! IOT.FLEET VISITS fleet device record     the fences that a device is in
//! ```
//!
//! A client may say them too: `RESTORE` to a key that holds nothing, as with the server's own
//! `RESTORE`; visits it may not set.

use crate::command::Command;
use crate::command::args::Args;
use crate::command::error::{Error, Result};
use crate::command::host::{Host, Name, Reply, Slot, Value, ValueWriter};
use crate::command::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine;
use crate::engine::fleet::Fleet;
use crate::engine::persist::{read_bound_fleet, read_fences};
use crate::engine::watch::read_visits;

/// The arguments of a key and a payload.
const PAYLOAD: &[Arg] = &[Arg::key(), Arg::value("payload", ArgKind::String)];

const fn spec(name: &'static str, summary: &'static str) -> Spec {
    Spec {
        name,
        arity: 4,
        effect: Effect::Write,
        fast: false,
        keys: Keys::Second,
        access: Access::Insert,
        summary,
        since: "0.1.0",
        complexity: "O(N) where N is the size of the payload",
        args: PAYLOAD,
    }
}

fn restore<H: Host, V: Value>(
    host: &H,
    mut args: Args<'_>,
    read: impl FnOnce(&mut &[u8], u32) -> engine::Result<V>,
) -> Result<()> {
    args.take("subcommand")?;
    let key = args.key()?;
    let payload = args.take("payload")?;
    args.finish()?;
    match host.read_value::<V>(Name::from(key)) {
        Slot::Missing => {}
        Slot::Foreign | Slot::Open(_) => return Err(Error::KeyExists),
    }
    let corrupt = engine::Error::Corrupt { what: "payload" };
    let (&version, mut records) = payload.split_first().ok_or(corrupt)?;
    let value = read(&mut records, version.into())?;
    if !records.is_empty() {
        return Err(corrupt.into());
    }
    let mut value = host.create_value(Name::from(key), value);
    value.changed();
    drop(value);
    host.arrived(key);
    host.replicate_verbatim();
    host.notify(c"iot.restore", key);
    host.reply().ok();
    Ok(())
}

/// `IOT.FLEET RESTORE`.
#[derive(Debug)]
pub struct FleetRestore;

impl Command for FleetRestore {
    const SPEC: Spec = spec(
        "IOT.FLEET|RESTORE",
        "Creates a fleet from its stored form, for the append-only file",
    );

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        restore(host, args, |records, version| {
            read_bound_fleet(records, version)
        })
    }
}

/// `IOT.FENCE RESTORE`.
#[derive(Debug)]
pub struct FenceRestore;

impl Command for FenceRestore {
    const SPEC: Spec = spec(
        "IOT.FENCE|RESTORE",
        "Creates a set of fences from its stored form, for the append-only file",
    );

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        restore(host, args, |records, version| read_fences(records, version))
    }
}

/// `IOT.FLEET VISITS`.
#[derive(Debug)]
pub struct FleetVisits;

impl Command for FleetVisits {
    const SPEC: Spec = Spec {
        arity: 5,
        access: Access::Update,
        args: &[
            Arg::named_key("fleet"),
            Arg::value("device", ArgKind::String),
            Arg::value("record", ArgKind::String),
        ],
        ..spec(
            "IOT.FLEET|VISITS",
            "Sets the fences that a device is in, from a master or the append-only file",
        )
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        args.take("subcommand")?;
        let key = args.key()?;
        let (device, mut record) = (args.take("device")?, args.take("record")?);
        args.finish()?;
        if !host.is_replay() {
            return Err(Error::Conflict(
                "IOT.FLEET VISITS is for replicas and the append-only file",
            ));
        }
        let visits = read_visits(&mut record)?;
        if let Slot::Open(mut fleet) = host.write_value::<Fleet>(Name::from(key))
            && let Some(number) = fleet.number(device)
        {
            fleet.set_visits(number, visits);
            fleet.changed();
        }
        host.replicate_verbatim();
        host.reply().ok();
        Ok(())
    }
}
