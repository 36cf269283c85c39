//! `IOT.UNTRACK fleet device [device ...]`: devices go, and leave the fences that they are in.

use super::release;
use super::watch::{Changes, Move, Sets, Task, meet_own, meetings};
use crate::command::Command;
use crate::command::args::Args;
use crate::command::error::Result;
use crate::command::host::{Host, Name, Reply, ValueWriter};
use crate::command::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::fleet::{Device, Fleet};
use crate::engine::watch::Reason;

/// `IOT.UNTRACK`.
#[derive(Debug)]
pub struct Untrack;

impl Command for Untrack {
    const SPEC: Spec = Spec {
        name: "IOT.UNTRACK",
        arity: -3,
        effect: Effect::Free,
        fast: true,
        keys: Keys::First,
        access: Access::Delete,
        summary: "Removes devices from a fleet; they leave the fences that they are in",
        since: "0.1.0",
        complexity: "O(N * (log(D) + F)) where N is the number of devices that go, D that of all, and F \
                     that of the fences that one is in",
        args: &[
            Arg::named_key("fleet"),
            Arg::value("device", ArgKind::String).repeated(),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = args.key()?;
        let name = Name::from(key);
        let Some((removed, changes)) = remove(host, name, args.rest(), Reason::Deleted)? else {
            host.reply().integer(0);
            return Ok(());
        };
        host.notify(c"iot.untrack", key);
        changes.outbox.send(host);
        host.reply()
            .integer(i64::try_from(removed).unwrap_or(i64::MAX));
        Ok(())
    }
}

/// Removes devices for a reason, and replicates it. Returns how many there were, and the events, as
/// far as one command sends them; `None` where there was none of them.
pub(super) fn remove<H: Host>(
    host: &H,
    name: Name<'_>,
    devices: &[&[u8]],
    reason: Reason,
) -> Result<Option<(usize, Changes)>> {
    let Some(mut fleet) = host.write_value::<Fleet>(name).optional()? else {
        return Ok(None);
    };
    let is_replay = host.is_replay();
    let sets = Sets::open(host, if is_replay { &[] } else { fleet.bindings() });
    let (mut changes, mut moves, now_ms) = (Changes::default(), Vec::new(), host.now_ms());
    let mut removed: Vec<&[u8]> = vec![name.bytes()];
    for &device in devices {
        let Some(number) = fleet.number(device) else {
            continue;
        };
        // Whoever goes leaves all fences, told or not.
        let is_told = !is_replay && !changes.outbox.is_full();
        if is_told {
            let (name, task) = ((name.bytes(), &mut *fleet), Task::End(reason));
            changes.attend(name, &sets, (number, None), task, now_ms);
        }
        let before = fleet.device(number).map(Device::point);
        let one = Move {
            device: device.into(),
            number: None,
            before,
            after: None,
            time_ms: now_ms,
        };
        fleet.remove(number);
        if is_told {
            meet_own(&fleet, name.bytes(), &one, &mut changes.outbox);
        }
        moves.push(one);
        removed.push(device);
    }
    if moves.is_empty() {
        return Ok(None);
    }
    fleet.changed();
    drop(sets);
    release(host, name, fleet);
    host.replicate(c"IOT.UNTRACK", &removed);
    if !is_replay && !changes.outbox.is_full() {
        meetings(host, name.bytes(), &moves, &mut changes.outbox);
    }
    Ok(Some((moves.len(), changes)))
}
