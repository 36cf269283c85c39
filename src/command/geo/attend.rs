//! What is due when no command comes: dwells of devices that are silent, the expiry of devices and of
//! fences, and sweeps. The server's timer calls [`attend`].

use super::fence;
use super::outbox::MOST_SENT;
use super::untrack;
use super::watch::{Changes, Sets, Task};
use crate::command::host::{Agenda, Host, Name, Slot, Value, ValueType, ValueWriter};
use crate::engine::Timestamp;
use crate::engine::fence::FenceSet;
use crate::engine::fleet::Fleet;
use crate::engine::watch::{Cause, Reason};

/// Most devices or fences of one call that something is due of.
const MOST_DUE: usize = 100;
/// Devices of a fleet that is bound to fences that are removed together.
const MOST_DUE_BOUND: usize = 10;
/// Devices of one call that a sweep compares.
const MOST_SWEPT: usize = 500;

impl Value for Fleet {
    const TYPE: ValueType = ValueType::Fleet;

    fn take_agenda(&mut self) -> Option<Agenda> {
        self.take_news().then(|| fleet_agenda(self))
    }

    /// Devices, bindings to fences, fleets that it roams among.
    fn parts_of_value(&self) -> [u64; 3] {
        [self.len(), self.bindings().len(), self.roams().len()].map(|len| len as u64)
    }
}

impl Value for FenceSet {
    const TYPE: ValueType = ValueType::Fences;

    fn take_agenda(&mut self) -> Option<Agenda> {
        self.take_news().then(|| fences_agenda(self))
    }

    /// Fences.
    fn parts_of_value(&self) -> [u64; 3] {
        [self.len() as u64, 0, 0]
    }
}

/// What a fleet has to do.
pub fn fleet_agenda(fleet: &Fleet) -> Agenda {
    Agenda {
        due_ms: fleet.next_due_ms(),
        fences: fleet
            .bindings()
            .iter()
            .map(|binding| binding.fences.clone())
            .collect(),
        others: fleet
            .roams()
            .iter()
            .map(|roam| roam.others.clone())
            .collect(),
    }
}

/// What a set of fences has to do.
pub fn fences_agenda(fences: &FenceSet) -> Agenda {
    Agenda {
        due_ms: fences.next_expiry_ms(),
        ..Agenda::default()
    }
}

/// Does some of what is due at a key, and some of a sweep that goes on with device `from`. Returns the
/// device with which it goes on after that; `None` where it is done.
pub fn attend<H: Host>(host: &H, key: &[u8], from: Option<u32>) -> Option<u32> {
    let now_ms = host.now_ms();
    if let Slot::Foreign = host.read_value::<Fleet>(Name::Own(key)) {
        fence::expire(host, key, MOST_DUE);
        return None;
    }
    // Dwells first: where both were due while no server ran, a device has dwelt before it went.
    if dwell(host, key, now_ms) == MOST_DUE {
        return from;
    }
    expire(host, key, now_ms);
    sweep(host, key, from?, now_ms)
}

/// Removes devices that were silent for too long, a few at a time: each may leave many fences.
fn expire<H: Host>(host: &H, key: &[u8], now_ms: Timestamp) {
    let (mut removed, mut sent) = (0, 0);
    while removed < MOST_DUE && sent < MOST_SENT {
        let expired: Vec<Box<[u8]>> = match host.write_value::<Fleet>(Name::Own(key)) {
            Slot::Open(mut fleet) => {
                let some = if fleet.bindings().is_empty() {
                    MOST_DUE
                } else {
                    MOST_DUE_BOUND
                };
                fleet.take_expired(now_ms, some)
            }
            Slot::Missing | Slot::Foreign => return,
        };
        if expired.is_empty() {
            return;
        }
        removed += expired.len();
        let devices: Vec<&[u8]> = expired.iter().map(|device| &**device).collect();
        let name = Name::Own(key);
        if let Ok(Some((_, changes))) = untrack::remove(host, name, &devices, Reason::Expired) {
            sent += changes.outbox.sent();
            changes.outbox.send(host);
        }
    }
}

/// Fires dwells; returns of how many devices.
fn dwell<H: Host>(host: &H, key: &[u8], now_ms: Timestamp) -> usize {
    let Slot::Open(mut fleet) = host.write_value::<Fleet>(Name::Own(key)) else {
        return 0;
    };
    let sets = Sets::open(host, fleet.bindings());
    let mut changes = Changes::default();
    let mut count = 0;
    while count < MOST_DUE && !changes.outbox.is_full() {
        let Some(number) = fleet.take_due(now_ms, 1).pop() else {
            break;
        };
        let device = (number, None);
        changes.attend((key, &mut fleet), &sets, device, Task::Dwell, now_ms);
        count += 1;
    }
    if changes.replicate(host, key, &fleet) {
        fleet.changed();
    }
    drop(sets);
    drop(fleet);
    // Whoever has sent as much as it may has more to do.
    let is_full = changes.outbox.is_full();
    changes.outbox.send(host);
    if is_full { MOST_DUE } else { count }
}

/// Compares some devices with their fences.
fn sweep<H: Host>(host: &H, key: &[u8], from: u32, now_ms: Timestamp) -> Option<u32> {
    let Slot::Open(mut fleet) = host.write_value::<Fleet>(Name::Own(key)) else {
        return None;
    };
    if fleet.bindings().is_empty() {
        return None;
    }
    let devices: Vec<u32> = fleet
        .from(from)
        .take(MOST_SWEPT)
        .map(|(number, _)| number)
        .collect();
    let is_last = devices.len() < MOST_SWEPT;
    let sets = Sets::open(host, fleet.bindings());
    let (mut changes, mut compared) = (Changes::default(), 0);
    for &number in &devices {
        if changes.outbox.is_full() {
            break;
        }
        let (device, task) = ((number, None), Task::Compare(Cause::Change));
        changes.attend((key, &mut fleet), &sets, device, task, now_ms);
        compared += 1;
    }
    if changes.replicate(host, key, &fleet) {
        fleet.changed();
    }
    drop(sets);
    drop(fleet);
    changes.outbox.send(host);
    let next = devices[..compared].last().map(|last| last + 1);
    next.filter(|_| !is_last || compared < devices.len())
}
