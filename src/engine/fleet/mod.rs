//! Fleets: devices that move, where each is now, and where it was.
//!
//! ```text
//! id -> dictionary -> device -> rare: readings, fields, trail
//!          number  ^    | leaf, a hint
//!                  |    v
//! grid of places: leaf -> | x | y | number |        deadlines: number -> time
//! ```
//!
//! A [`Fleet`] takes a [`Fix`] of a device and says what became of it ([`Outcome`]); it is searched by
//! place and by what the devices say of themselves. A device has a small number as long as it is
//! known; whoever keeps something for each device, keeps it by that.
//!
//! A million devices take about 90 bytes each, of which 24 are the id; `cargo bench --bench fleet`
//! shows it.

mod around;
mod bound;
mod candidates;
mod cell;
mod condition;
mod deadlines;
mod device;
mod fields;
mod grid;
mod nearest;
mod options;
mod past;
mod restore;
mod search;
mod track;
mod trail;
mod window;

use std::hash::RandomState;

use bound::Told;
use grid::Grid;

use super::TimeRange;
use super::query::Unwatched;
use super::table::{Dictionary, Named};
use super::watch::{Binding, Roam, write_bindings, write_visits};
pub use bound::Unbound;
pub use candidates::{Candidates, Known};
pub use condition::{Condition, MAX_CONDITIONS, Operator};
pub use deadlines::Deadlines;
pub use device::{Device, MAX_DEVICE_ID_BYTES, Readings};
pub use fields::{Fields, MAX_FIELD_NAME_BYTES, MAX_FIELD_TEXT_BYTES, MAX_FIELDS, Value};
pub use options::{Counters, Filter, Late, Options};
pub use past::Past;
pub(super) use restore::Stored;
pub use search::{Cursor, Found, Near, Page, Size, Wanted};
pub use track::{Fix, MAX_DEVICES, Outcome};
pub use trail::{MAX_TRAIL_LEN, Position};

/// Devices by id.
///
/// ```
/// use redis_iot::engine::fleet::{Fix, Fleet, Options, Outcome, Position};
/// use redis_iot::engine::geo::Point;
///
/// let mut fleet = Fleet::new(Options::default());
/// let point = Point::from_degrees(13.4, 52.5).expect("a place");
/// let fix = Fix::at(Position { time_ms: 1000, point });
/// let outcome = fleet.track(b"van7", &fix, 1000)?;
/// assert_eq!(outcome, Outcome::Now { device: 0, before: None });
/// # Ok::<(), redis_iot::engine::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    options: Options,
    counters: Counters,
    devices: Dictionary<Device>,
    grid: Grid,
    deadlines: Deadlines,
    /// When dwells are due.
    dwells: Deadlines,
    bindings: Vec<Binding>,
    roams: Vec<Roam>,
    told: Told,
    hasher: RandomState,
}

impl Fleet {
    /// A fleet without devices.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    /// Its options.
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Changes options; they count from the next fix on. A shorter trail is shorter at once to
    /// readers, and gives its memory back with the next fix of each device.
    pub const fn set_options(&mut self, options: Options) {
        self.options = options;
    }

    /// What came in so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many devices there are.
    pub const fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of a device. O(1).
    pub fn number(&self, id: &[u8]) -> Option<u32> {
        self.devices.find(id, &self.hasher)
    }

    /// A device by its number. O(1).
    pub fn device(&self, number: u32) -> Option<&Device> {
        self.devices.get(number)
    }

    /// Every device with its number, in the order of numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Device)> {
        self.devices.iter()
    }

    /// Removes a device and all that is known of it; returns where it was. O(1).
    pub fn remove(&mut self, number: u32) -> Option<Position> {
        let device = self.devices.get(number)?;
        let (position, leaf) = (device.position, device.leaf);
        self.grid.remove(position.point, number, leaf);
        self.deadlines.disarm(number);
        self.dwells.disarm(number);
        self.devices.remove(number, &self.hasher);
        if self.devices.len() == 0 {
            self.devices = Dictionary::default();
            self.grid = Grid::default();
        }
        Some(position)
    }

    /// When a device is to be removed, if it goes on to be silent.
    pub fn expires_ms(&self, number: u32) -> Option<i64> {
        self.deadlines.due_ms(number)
    }

    /// The positions of a device in a range of times, oldest first, the present one included; none
    /// where the fleet keeps no trails. O(positions).
    pub fn trail(&self, number: u32, range: TimeRange) -> Vec<Position> {
        let past = self.past(number, range);
        past.positions(&Unwatched).unwrap_or_default()
    }

    /// Bytes allocated, as an allocator with classes of 16 bytes gives them. O(devices).
    pub fn heap_bytes(&self) -> usize {
        let devices = self.devices.iter();
        let devices: usize = devices.map(|(_, device)| device.heap_bytes()).sum();
        devices
            + self.devices.heap_bytes()
            + self.grid.heap_bytes()
            + self.deadlines.heap_bytes()
            + self.dwells.heap_bytes()
    }

    /// Feeds what makes two fleets equal, as a sequence of byte strings: the options, and of each
    /// device, in the order of ids, all that can be read, but not when it expires. O(n log n).
    pub fn digest(&self, feed: &mut dyn FnMut(&[u8])) {
        feed(format!("{:?}", self.options).as_bytes());
        let mut bound = Vec::new();
        write_bindings(&self.bindings, &self.roams, &mut bound);
        feed(&bound);
        let mut devices: Vec<(u32, &Device)> = self.iter().collect();
        devices.sort_unstable_by_key(|(_, device)| device.name());
        for (number, device) in devices {
            feed(device.id());
            feed_position(device.position, feed);
            for reading in device.readings().all() {
                feed(&reading.unwrap_or(f64::NAN).to_le_bytes());
            }
            feed(device.fields().packed());
            feed(&[u8::from(self.expires_ms(number).is_some())]);
            let mut visits = Vec::new();
            write_visits(&device.visits().by_id(), &mut visits);
            feed(&visits);
            for position in self.trail(number, TimeRange::new(i64::MIN, i64::MAX)) {
                feed_position(position, feed);
            }
        }
    }
}

fn feed_position(position: Position, feed: &mut dyn FnMut(&[u8])) {
    feed(&position.time_ms.to_le_bytes());
    feed(&position.point.x.to_le_bytes());
    feed(&position.point.y.to_le_bytes());
}
