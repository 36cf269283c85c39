//! Devices near each other.
//!
//! Whether two devices are near is a matter of where both are, so there is no state: of a device that
//! moves, those within the radius before and after are compared. Nobody else moves meanwhile.

use super::binding::Sink;
use crate::engine::fleet::Fleet;
use crate::engine::geo::{Point, distance_m};

/// Most fleets that a fleet roams among.
pub const MAX_ROAMS: usize = 16;
/// Most devices near one device that are looked at.
pub const MAX_PARTNERS: usize = 1000;

/// A fleet whose devices are compared with those of another, or with each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Roam {
    /// The key of the other fleet; the fleet itself where it is the same.
    pub others: Box<[u8]>,
    /// How near is near, in metres, on the spot included.
    pub radius_m: f64,
    /// Where events go.
    pub sinks: Vec<Sink>,
}

/// Two devices that have come near each other, or that are so no more.
#[derive(Clone, Debug, PartialEq)]
pub struct Meeting {
    /// Whether they are near now.
    pub is_near: bool,
    /// The device that did not move.
    pub other: Box<[u8]>,
    /// Where that is.
    pub at: Point,
    /// How far they are from each other now, in metres; `None` where the one that moved is gone.
    pub distance_m: Option<f64>,
}

/// What a move changes. `others` is the fleet as it is after it, `moved` the number of the device
/// that moved where it is one of it.
pub fn meet(
    others: &Fleet,
    moved: Option<u32>,
    before: Option<Point>,
    after: Option<Point>,
    radius_m: f64,
    meetings: &mut Vec<Meeting>,
) {
    let near = |point: Option<Point>| {
        let mut found = Vec::new();
        if let Some(point) = point {
            others.within_radius(point, radius_m, MAX_PARTNERS + 1, &mut found);
            found.retain(|&number| Some(number) != moved);
            found.sort_unstable();
        }
        found
    };
    let (was, is) = (near(before), near(after));
    for (numbers, known, is_near) in [(&was, &is, false), (&is, &was, true)] {
        for &number in numbers {
            if known.binary_search(&number).is_ok() {
                continue;
            }
            let Some(device) = others.device(number) else {
                continue;
            };
            meetings.push(Meeting {
                is_near,
                other: device.id().into(),
                at: device.point(),
                distance_m: after.map(|after| distance_m(after, device.point())),
            });
        }
    }
}
