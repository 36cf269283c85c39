//! Events as they are sent.
//!
//! ```text
//! id        fleet:device:fence:enter_ts    the same for all events of one visit
//! event     enter exit cross dwell inside outside overspeed, or nearby faraway
//! fleet  fences  fence  device             for nearby and faraway: fleet  device  others  other
//! ts        when, in milliseconds          lon  lat   where the device was
//! enter_ts  when it had entered
//! dwell_ms  how long it was inside         (exit, dwell)
//! reason    why it is so no more           (exit)
//! speed  limit                             (overspeed)
//! distance  metres                         (nearby, faraway)
//! meta  groups                             of the fence, where it has any
//! ```

use super::fields::Fields;
use crate::engine::Timestamp;
use crate::engine::geo::Point;
use crate::engine::watch::{Event, Meeting};

/// What an event of a fleet and a fence says.
pub(super) fn fence_event(fleet: &[u8], fences: &[u8], event: &Event) -> Fields {
    let mut fields = Fields::default();
    let entered = event.entered_ms.to_string();
    let id = [
        fleet,
        &event.device,
        event.fence.as_bytes(),
        entered.as_bytes(),
    ]
    .join(&b':');
    fields.text("id", &id);
    fields.text("event", event.name().as_bytes());
    fields.text("fleet", fleet);
    fields.text("fences", fences);
    fields.text("fence", event.fence.as_bytes());
    fields.text("device", &event.device);
    place(&mut fields, event.time_ms, event.point);
    fields.integer("enter_ts", event.entered_ms);
    if let Some(dwell_ms) = event.dwell_ms() {
        fields.integer("dwell_ms", dwell_ms);
    }
    if let Some(reason) = event.reason {
        fields.text("reason", reason.name().as_bytes());
    }
    let options = event.options.as_deref();
    if let Some(speed) = event.speed {
        fields.number("speed", speed);
        if let Some(limit) = options.and_then(|options| options.speed_limit) {
            fields.number("limit", limit);
        }
    }
    if let Some(options) = options {
        if !options.meta.is_empty() {
            let pairs = options.meta.iter();
            fields.object("meta", pairs);
        }
        if !options.groups.is_empty() {
            fields.array("groups", options.groups.iter());
        }
    }
    fields
}

/// Two devices: the one that an event is about, and where and when it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) fleet: &'a [u8],
    pub(super) device: &'a [u8],
    pub(super) others: &'a [u8],
    pub(super) other: &'a [u8],
    pub(super) time_ms: Timestamp,
    pub(super) point: Point,
}

/// What an event of two devices says.
pub(super) fn pair_event(pair: &Pair<'_>, meeting: &Meeting) -> Fields {
    let mut fields = Fields::default();
    let time = pair.time_ms.to_string();
    let id = [pair.fleet, pair.device, pair.other, time.as_bytes()].join(&b':');
    fields.text("id", &id);
    fields.text(
        "event",
        if meeting.is_near {
            b"nearby"
        } else {
            b"faraway"
        },
    );
    fields.text("fleet", pair.fleet);
    fields.text("device", pair.device);
    fields.text("others", pair.others);
    fields.text("other", pair.other);
    place(&mut fields, pair.time_ms, pair.point);
    if let Some(distance_m) = meeting.distance_m {
        // A centimetre is what a position can tell.
        fields.number("distance", (distance_m * 100.0).round() / 100.0);
    }
    fields
}

fn place(fields: &mut Fields, time_ms: Timestamp, point: Point) {
    fields.integer("ts", time_ms);
    fields.number("lon", point.lon());
    fields.number("lat", point.lat());
}
