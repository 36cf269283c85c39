//! `IOT.POSITION fleet device [device ...]`: where devices are, and what is known of them.

use crate::command::Command;
use crate::command::args::Args;
use crate::command::error::Result;
use crate::command::host::{Host, Name, Reply};
use crate::command::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::fleet::{Device, Fields, Fleet, Value};

/// `IOT.POSITION`.
#[derive(Debug)]
pub struct Position;

impl Command for Position {
    const SPEC: Spec = Spec {
        name: "IOT.POSITION",
        arity: -3,
        effect: Effect::Read,
        fast: true,
        keys: Keys::First,
        access: Access::Read,
        summary: "Where devices are, what is known of them, and the fences that they are in",
        since: "0.1.0",
        complexity: "O(N) where N is the number of devices",
        args: &[
            Arg::named_key("fleet"),
            Arg::value("device", ArgKind::String).repeated(),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = args.key()?;
        let fleet = host.read_value::<Fleet>(Name::from(key)).optional()?;
        let reply = host.reply();
        reply.array(args.len());
        for id in args.rest() {
            let known = fleet.as_deref().and_then(|fleet| {
                let number = fleet.number(id)?;
                Some((fleet.device(number)?, fleet.expires_ms(number)))
            });
            match known {
                Some((device, expires_ms)) => describe(reply, device, expires_ms),
                None => reply.null(),
            }
        }
        Ok(())
    }
}

fn describe<R: Reply>(reply: &R, device: &Device, expires_ms: Option<i64>) {
    let (position, readings) = (device.position(), device.readings());
    let number = |name: &str, value: Option<f64>| {
        reply.bulk(name.as_bytes());
        match value {
            Some(value) => reply.number(value),
            None => reply.null(),
        }
    };
    reply.map(10);
    number("lon", Some(position.point.lon()));
    number("lat", Some(position.point.lat()));
    reply.bulk(b"ts");
    reply.integer(position.time_ms);
    number("alt", readings.alt);
    number("speed", readings.speed);
    number("heading", readings.heading);
    number("acc", readings.accuracy_m);
    reply.bulk(b"fields");
    fields(reply, device.fields());
    reply.bulk(b"expires");
    match expires_ms {
        Some(at_ms) => reply.integer(at_ms),
        None => reply.null(),
    }
    reply.bulk(b"fences");
    let visits = device.visits().all().iter();
    let inside: Vec<_> = visits.filter(|visit| visit.is_inside()).collect();
    reply.array(inside.len());
    for visit in inside {
        reply.bulk(visit.fence.as_bytes());
    }
}

/// Replies with the fields of a device, as a map.
pub(super) fn fields<R: Reply>(reply: &R, fields: &Fields) {
    let fields: Vec<_> = fields.iter().collect();
    reply.map(fields.len());
    for (name, value) in fields {
        reply.bulk(name);
        match value {
            Value::Number(number) => reply.number(number),
            Value::Text(text) => reply.bulk(text),
        }
    }
}
