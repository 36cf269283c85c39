//! A fleet with the sets of fences it is bound to, open together.

use super::event::Pair;
use super::outbox::Outbox;
use crate::command::host::{Host, Name, Slot, ValueWriter};
use crate::engine::Timestamp;
use crate::engine::fence::FenceSet;
use crate::engine::fleet::{Device, Fleet, Unbound};
use crate::engine::geo::Point;
use crate::engine::watch::{
    Binding, Cause, Event, Meeting, Reason, Roam, Seen, Visits, Watch, meet, write_visits,
};

/// The sets of fences of a fleet, in the order of its bindings; `None` where a key holds none.
pub(super) struct Sets<'h, H: Host + 'h>(Vec<Option<H::ReadValue<'h, FenceSet>>>);

impl<'h, H: Host> Sets<'h, H> {
    /// Opens the sets.
    pub(super) fn open(host: &'h H, bindings: &[Binding]) -> Self {
        let open = |binding: &Binding| match host.read_value(Name::Own(&binding.fences)) {
            Slot::Open(set) => Some(set),
            Slot::Missing | Slot::Foreign => None,
        };
        Self(bindings.iter().map(open).collect())
    }

    fn get(&self, place: usize) -> Option<&FenceSet> {
        self.0.get(place)?.as_deref()
    }
}

/// What is to be done for a device.
#[derive(Clone, Copy, Debug)]
pub(super) enum Task {
    /// Compare it with all fences.
    Compare(Cause),
    /// Fire the dwells that are due.
    Dwell,
    /// End all visits: the device goes.
    End(Reason),
}

/// Changes to the visits of devices, and the events of them.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) outbox: Outbox,
    /// Devices whose visits replicas must be told of.
    changed: Vec<u32>,
    found: Vec<u32>,
    events: Vec<Event>,
}

impl Changes {
    /// Does something for a device of a fleet.
    pub(super) fn attend<H: Host>(
        &mut self,
        (name, fleet): (&[u8], &mut Fleet),
        sets: &Sets<'_, H>,
        (number, before): (u32, Option<Point>),
        task: Task,
        now_ms: Timestamp,
    ) {
        let Some(device) = fleet.device(number) else {
            return;
        };
        let seen = seen(device, before);
        let (mut visits, mut is_state): (Option<Visits>, bool) = (None, false);
        for (place, binding) in fleet.bindings().iter().enumerate() {
            let watch = Watch {
                binding,
                set: sets.get(place),
                now_ms,
            };
            let present = visits.as_ref().unwrap_or_else(|| device.visits());
            let changed = match task {
                Task::Compare(cause) => {
                    watch.compare(&seen, present, cause, &mut self.found, &mut self.events)
                }
                Task::Dwell => watch.fire_dwells(&seen, present, &mut self.events),
                Task::End(reason) => {
                    watch.end(&seen, present, reason, &mut self.events);
                    None
                }
            };
            if let Some(changed) = changed {
                is_state |= changed.is_state;
                visits = Some(changed.visits);
            }
            if !self.events.is_empty() {
                self.outbox.take(name, binding, &mut self.events);
            }
        }
        if let Some(visits) = visits {
            fleet.set_visits(number, visits);
        }
        if is_state {
            self.changed.push(number);
        }
    }

    /// Tells of the visits that a binding has ended, as far as one command may: there is no end to how many
    /// devices are inside.
    pub(super) fn end_all<H: Host>(
        &mut self,
        (name, fleet): (&[u8], &Fleet),
        unbound: &Unbound,
        sets: &Sets<'_, H>,
        now_ms: Timestamp,
    ) {
        let watch = Watch {
            binding: &unbound.binding,
            set: sets.get(0),
            now_ms,
        };
        for (number, visits) in &unbound.visits {
            if self.outbox.is_full() {
                return;
            }
            if let Some(device) = fleet.device(*number) {
                watch.end(
                    &seen(device, None),
                    visits,
                    Reason::Unbound,
                    &mut self.events,
                );
                self.outbox.take(name, &unbound.binding, &mut self.events);
            }
        }
    }

    /// Tells replicas of the visits that have changed. Says whether any have.
    pub(super) fn replicate<H: Host>(&mut self, host: &H, name: &[u8], fleet: &Fleet) -> bool {
        let is_changed = !self.changed.is_empty();
        self.changed.sort_unstable();
        self.changed.dedup();
        for number in self.changed.drain(..) {
            if let Some(device) = fleet.device(number) {
                let mut record = Vec::new();
                write_visits(device.visits(), &mut record);
                host.replicate(c"IOT.FLEET", &[b"VISITS", name, device.id(), &record]);
            }
        }
        is_changed
    }
}

/// A device as its last fix has it.
fn seen(device: &Device, before: Option<Point>) -> Seen<'_> {
    let (position, readings) = (device.position(), device.readings());
    Seen {
        device: device.id(),
        point: position.point,
        time_ms: position.time_ms,
        speed: readings.speed,
        accuracy_m: readings.accuracy_m,
        before,
    }
}

/// A device that has moved, or has come, or has gone.
#[derive(Clone, Debug)]
pub(super) struct Move {
    pub(super) device: Box<[u8]>,
    /// Its number, while it is there.
    pub(super) number: Option<u32>,
    pub(super) before: Option<Point>,
    pub(super) after: Option<Point>,
    pub(super) time_ms: Timestamp,
}

/// Finds out who of the same fleet has come near a device by its move, or is so no more. Others that
/// move in the same command must be where they were at that moment.
pub(super) fn meet_own(fleet: &Fleet, name: &[u8], one: &Move, outbox: &mut Outbox) {
    let mut found = Vec::new();
    for roam in fleet.roams().iter().filter(|roam| *roam.others == *name) {
        let (before, after) = (one.before, one.after);
        meet(fleet, one.number, before, after, roam.radius_m, &mut found);
        report(name, one, roam, &mut found, outbox);
    }
}

/// The events of a fleet that roams, for a move of its own.
fn report(name: &[u8], one: &Move, roam: &Roam, found: &mut Vec<Meeting>, outbox: &mut Outbox) {
    for meeting in found.drain(..) {
        let pair = Pair {
            fleet: name,
            device: &one.device,
            others: &roam.others,
            other: &meeting.other,
            time_ms: one.time_ms,
            point: one.after.or(one.before).unwrap_or_default(),
        };
        outbox.meet(&pair, &meeting, &roam.sinks);
    }
}

/// Finds out who has come near whom by moves of devices of a fleet: among the other fleets that it
/// roams among, and among those that roam among it. No key may be open for writing.
pub(super) fn meetings<H: Host>(host: &H, name: &[u8], moves: &[Move], outbox: &mut Outbox) {
    let mut found = Vec::new();
    let roams: Vec<Roam> = match host.read_value::<Fleet>(Name::Own(name)) {
        Slot::Open(fleet) => fleet.roams().to_vec(),
        // It may have gone with its last device.
        Slot::Missing | Slot::Foreign => Vec::new(),
    };
    for roam in roams.iter().filter(|roam| *roam.others != *name) {
        let Slot::Open(others) = host.read_value::<Fleet>(Name::Own(&roam.others)) else {
            continue;
        };
        for one in moves {
            let (before, after) = (one.before, one.after);
            meet(&others, None, before, after, roam.radius_m, &mut found);
            report(name, one, roam, &mut found, outbox);
        }
    }
    for fleet in host.roaming_among(name) {
        if *fleet == *name {
            continue;
        }
        let Slot::Open(mine) = host.read_value::<Fleet>(Name::Own(&fleet)) else {
            continue;
        };
        for roam in mine.roams().iter().filter(|roam| *roam.others == *name) {
            for one in moves {
                meet(
                    &mine,
                    None,
                    one.before,
                    one.after,
                    roam.radius_m,
                    &mut found,
                );
                for meeting in found.drain(..) {
                    report_other(&fleet, &meeting, (name, one), roam, outbox);
                }
            }
        }
    }
}

/// The event of a fleet that roams, for a move in the other fleet.
fn report_other(
    fleet: &[u8],
    meeting: &Meeting,
    (others, one): (&[u8], &Move),
    roam: &Roam,
    outbox: &mut Outbox,
) {
    let pair = Pair {
        fleet,
        device: &meeting.other,
        others,
        other: &one.device,
        time_ms: one.time_ms,
        point: meeting.at,
    };
    outbox.meet(&pair, meeting, &roam.sinks);
}

/// Has every device of a fleet in an area compared with its fences, because one of them has changed.
pub(super) fn compare_again<H: Host>(
    host: &H,
    fleet: &[u8],
    devices: impl FnOnce(&Fleet) -> Option<Vec<u32>>,
    outbox: &mut Changes,
) {
    let Slot::Open(mut open) = host.write_value::<Fleet>(Name::Own(fleet)) else {
        return;
    };
    let devices = devices(&open).filter(|_| !outbox.outbox.is_full());
    let Some(devices) = devices else {
        // Too many for one command: the timer goes through all of them.
        host.sweep(fleet);
        return;
    };
    let sets = Sets::open(host, open.bindings());
    let now_ms = host.now_ms();
    for number in devices {
        let task = Task::Compare(Cause::Change);
        outbox.attend((fleet, &mut open), &sets, (number, None), task, now_ms);
    }
    if outbox.replicate(host, fleet, &open) {
        open.changed();
    }
}
