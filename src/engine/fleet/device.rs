//! A device: where it is, and what is known of it beside.
//!
//! ```text
//! device  | id: 24, up to 22 inside | time 8 | point 8 | leaf 4 | rare: pointer 8 | visits: pointer 8 |  64 bytes
//! rare    | altitude | speed | heading | accuracy | fields: pointer | trail: pointer |  48, if any
//! ```

use std::mem::size_of;

use super::fields::Fields;
use super::trail::{Position, Trail};
use crate::engine::geo::Point;
use crate::engine::relocate::Mover;
use crate::engine::table::{Named, Text, rounded};
use crate::engine::watch::Visits;

/// Longest id of a device, in bytes.
pub const MAX_DEVICE_ID_BYTES: usize = 512;

/// What a fix may say beside the place; unknown again where the next one does not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Readings {
    /// Altitude, in metres.
    pub alt: Option<f64>,
    /// Speed, in the unit of the client.
    pub speed: Option<f64>,
    /// Heading, in degrees from north.
    pub heading: Option<f64>,
    /// Radius within which the device is, in metres.
    pub accuracy_m: Option<f64>,
}

impl Readings {
    pub(in crate::engine) const fn all(&self) -> [Option<f64>; 4] {
        [self.alt, self.speed, self.heading, self.accuracy_m]
    }

    pub(in crate::engine) const fn from_all(all: [Option<f64>; 4]) -> Self {
        let [alt, speed, heading, accuracy_m] = all;
        Self {
            alt,
            speed,
            heading,
            accuracy_m,
        }
    }
}

/// Readings in half the room: what is unknown is NaN.
#[derive(Clone, Copy, Debug)]
struct PackedReadings([f64; 4]);

impl From<Readings> for PackedReadings {
    fn from(readings: Readings) -> Self {
        Self(readings.all().map(|one| one.unwrap_or(f64::NAN)))
    }
}

impl From<PackedReadings> for Readings {
    fn from(packed: PackedReadings) -> Self {
        Self::from_all(packed.0.map(|one| (!one.is_nan()).then_some(one)))
    }
}

/// A device of a fleet.
#[derive(Clone, Debug)]
pub struct Device {
    id: Text,
    pub(super) position: Position,
    /// Where the grid may have it.
    pub(super) leaf: u32,
    rare: Option<Box<Rare>>,
    /// The fences that it is in.
    pub(super) visits: Visits,
}

const _: () = assert!(size_of::<Option<Device>>() == 64, "a slot is no larger");

/// What only some devices have.
#[derive(Clone, Debug)]
struct Rare {
    readings: PackedReadings,
    fields: Fields,
    trail: Option<Box<Trail>>,
}

impl Named for Device {
    fn name(&self) -> &[u8] {
        self.id.name()
    }
}

impl Device {
    pub(super) fn new(id: &[u8], position: Position) -> Self {
        Self {
            id: Text::new(id),
            position,
            leaf: 0,
            rare: None,
            visits: Visits::default(),
        }
    }

    /// The fences that it is in.
    #[inline]
    pub fn visits(&self) -> &Visits {
        &self.visits
    }

    /// Its id.
    pub fn id(&self) -> &[u8] {
        self.id.name()
    }

    /// A copy of its id.
    pub(super) fn name_copied(&self) -> Text {
        self.id.clone()
    }

    /// Where it is since when.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The place alone.
    pub fn point(&self) -> Point {
        self.position.point
    }

    /// What the last fix said beside the place.
    pub fn readings(&self) -> Readings {
        let rare = self.rare.as_ref();
        rare.map_or_else(Readings::default, |rare| rare.readings.into())
    }

    /// Its fields.
    pub fn fields(&self) -> &Fields {
        const NONE: &Fields = &Fields::NONE;
        self.rare.as_ref().map_or(NONE, |rare| &rare.fields)
    }

    pub(super) fn trail(&self) -> Option<&Trail> {
        self.rare.as_ref()?.trail.as_deref()
    }

    pub(super) fn trail_mut(&mut self) -> &mut Trail {
        self.rare_mut().trail.get_or_insert_default()
    }

    /// Takes the trail away or puts one in its place.
    pub(super) fn set_trail(&mut self, trail: Option<Box<Trail>>) {
        if trail.is_some() || self.trail().is_some() {
            self.rare_mut().trail = trail;
            self.settle();
        }
    }

    pub(super) fn set_readings(&mut self, readings: Readings) {
        if self.rare.is_some() || readings != Readings::default() {
            self.rare_mut().readings = readings.into();
            self.settle();
        }
    }

    pub(super) fn set_fields(&mut self, fields: Fields) {
        if self.rare.is_some() || !fields.is_empty() {
            self.rare_mut().fields = fields;
            self.settle();
        }
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_with(|| {
            Box::new(Rare {
                readings: Readings::default().into(),
                fields: Fields::default(),
                trail: None,
            })
        })
    }

    /// Gives back what holds nothing.
    fn settle(&mut self) {
        let is_idle = |rare: &Rare| {
            let is_unknown = rare.readings.0.iter().all(|one| one.is_nan());
            is_unknown && rare.fields.is_empty() && rare.trail.is_none()
        };
        if self.rare.as_deref().is_some_and(is_idle) {
            self.rare = None;
        }
    }

    /// Shows its allocations to a mover.
    pub(super) fn relocate(&mut self, mover: &mut impl Mover) {
        self.id.relocate(mover);
        self.visits.relocate(mover);
        let Some(rare) = &mut self.rare else { return };
        mover.block(rare);
        rare.fields.relocate(mover);
        if let Some(trail) = &mut rare.trail {
            mover.block(trail);
            trail.relocate(mover);
        }
    }

    /// Bytes allocated beside it.
    pub(super) fn heap_bytes(&self) -> usize {
        let visits = rounded(self.visits.heap_bytes());
        let Some(rare) = &self.rare else {
            return self.id.heap_bytes() + visits;
        };
        let trail = rare
            .trail
            .as_ref()
            .map_or(0, |trail| rounded(size_of::<Trail>()) + trail.heap_bytes());
        self.id.heap_bytes()
            + rounded(size_of::<Rare>())
            + rare.fields.heap_bytes()
            + trail
            + visits
    }
}
