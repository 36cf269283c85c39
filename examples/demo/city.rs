//! Lindhafen, a city that is on no map: it would lie in the North Sea.
//!
//! Streets form a bent grid of crossings, `COLUMNS` by `ROWS`. A river divides it between two rows
//! and has few bridges, a park has swallowed one crossing, and a ring road with cut corners goes
//! around the middle:
//!
//! ```text
//!   +--+--+--+--+--+--+--+--+--+--+--+--+   row 9
//!   +--+--+==+==+==+==+==+==+==+--+--+--+   = ring road
//!   +--+==+--+--+--+--+--+  park +--=--+--+
//!   ...
//!   +--=--+--+--+--+--+--+--+--+--+--=--+   row 4
//!   ~~~=~~~~~~~~|~~~~~|~~~~~~~~|~~~~~=~~~   river, | bridges
//!   +--=--+--+--+--+--+--+--+--+--+--=--+   row 3
//! ```
//!
//! Places are metres east and north of the middle; only what leaves this file has degrees.

use std::f64::consts::TAU;

use serde_json::{Value, json};

use crate::route::{Signposts, signposts};

/// The name of the city, which its series have as a label.
pub(crate) const NAME: &str = "Lindhafen";

const MIDDLE_LON: f64 = 7.1;
const MIDDLE_LAT: f64 = 54.6;
const COLUMNS: i32 = 13;
const ROWS: i32 = 10;
/// Metres from one column, or row, to the next, before they are bent.
const COLUMN_M: f64 = 330.0;
const ROW_M: f64 = 290.0;
/// Metres of a degree of latitude; the error of a sphere is too small to be seen here.
const DEGREE_M: f64 = 111_320.0;
/// What the page shows around the outermost crossings.
const MARGIN_M: f64 = 260.0;
const RIVER_WIDTH_M: f64 = 76.0;
/// Columns whose streets go over the river, behind row 3.
const BRIDGES: [i32; 6] = [0, 2, 5, 7, 10, 12];
/// The row south of the river.
const SOUTH_BANK: i32 = 3;
/// The crossing that the park has swallowed.
const PARK: (i32, i32) = (8, 7);
/// Where the ring road turns, in order.
const RING: [(i32, i32); 8] = [
    (2, 7),
    (2, 2),
    (3, 1),
    (9, 1),
    (10, 2),
    (10, 7),
    (9, 8),
    (3, 8),
];
/// Crossings in front of a school, where one drives slowly.
pub(crate) const SCHOOLS: [(i32, i32); 2] = [(5, 7), (7, 2)];

/// A place in metres east and north of the middle of the city.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) east_m: f64,
    pub(crate) north_m: f64,
}

impl Place {
    /// The place so far away in a direction, which is in degrees from north, clockwise.
    pub(crate) fn towards(self, heading: f64, distance_m: f64) -> Self {
        let (sin, cos) = heading.to_radians().sin_cos();
        Self {
            east_m: self.east_m + sin * distance_m,
            north_m: self.north_m + cos * distance_m,
        }
    }

    /// The direction of another place, in degrees from north, clockwise.
    pub(crate) fn heading_to(self, other: Self) -> f64 {
        let angle = (other.east_m - self.east_m).atan2(other.north_m - self.north_m);
        angle.to_degrees().rem_euclid(360.0)
    }

    /// Metres between two places.
    pub(crate) fn distance_m(self, other: Self) -> f64 {
        (other.east_m - self.east_m).hypot(other.north_m - self.north_m)
    }

    /// Longitude and latitude.
    pub(crate) fn degrees(self) -> [f64; 2] {
        [
            MIDDLE_LON + self.east_m / (DEGREE_M * MIDDLE_LAT.to_radians().cos()),
            MIDDLE_LAT + self.north_m / DEGREE_M,
        ]
    }
}

/// How fast one drives on a street, and how wide it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Street,
    Avenue,
    Ring,
    School,
}

impl Class {
    /// What the signs allow.
    pub(crate) fn limit_mps(self) -> f64 {
        match self {
            Self::School => 30.0 / 3.6,
            Self::Street => 40.0 / 3.6,
            Self::Avenue => 50.0 / 3.6,
            Self::Ring => 70.0 / 3.6,
        }
    }

    /// What one counts on when one plans a way: nobody goes around a school.
    pub(crate) fn planned_mps(self) -> f64 {
        match self {
            Self::School => Self::Avenue.limit_mps(),
            _ => self.limit_mps(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Street | Self::School => "street",
            Self::Avenue => "avenue",
            Self::Ring => "ring",
        }
    }
}

/// A street between two crossings, for both directions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Street {
    pub(crate) ends: [usize; 2],
    pub(crate) class: Class,
    pub(crate) length_m: f64,
    /// Whether it goes along a column: crossings let columns and rows pass in turn.
    pub(crate) is_column: bool,
}

impl Street {
    /// The crossing at its other end.
    pub(crate) fn other_end(&self, crossing: usize) -> usize {
        let [a, b] = self.ends;
        if crossing == a { b } else { a }
    }
}

/// Crossings, streets, and at each crossing the way to every other.
#[derive(Debug)]
pub(crate) struct City {
    pub(crate) crossings: Vec<Place>,
    pub(crate) streets: Vec<Street>,
    pub(crate) signposts: Signposts,
}

impl City {
    /// Builds the city, which is the same in each run.
    pub(crate) fn build() -> Self {
        let crossings: Vec<Place> = (0..ROWS)
            .flat_map(|row| (0..COLUMNS).map(move |column| place(column, row)))
            .collect();
        let mut streets = Vec::new();
        for row in 0..ROWS {
            for column in 0..COLUMNS {
                let here = (column, row);
                for there in [(column + 1, row), (column, row + 1)] {
                    if there.0 < COLUMNS && there.1 < ROWS && is_open(here, there) {
                        streets.push(street(&crossings, here, there));
                    }
                }
            }
        }
        for (at, here) in RING.into_iter().enumerate() {
            let there = RING[(at + 1) % RING.len()];
            if here.0 != there.0 && here.1 != there.1 {
                streets.push(street(&crossings, here, there));
            }
        }
        let signposts = signposts(crossings.len(), &streets);
        Self {
            crossings,
            streets,
            signposts,
        }
    }

    /// The crossings one can drive to.
    pub(crate) fn addresses(&self) -> Vec<usize> {
        let swallowed = crossing(PARK);
        (0..self.crossings.len())
            .filter(|at| *at != swallowed)
            .collect()
    }

    /// West, south, east and north of all there is to see, in degrees.
    pub(crate) fn bounds(&self) -> [f64; 4] {
        let east = self.crossings.iter().map(|place| place.east_m);
        let north = self.crossings.iter().map(|place| place.north_m);
        let low = Place {
            east_m: east.clone().fold(f64::INFINITY, f64::min) - MARGIN_M,
            north_m: north.clone().fold(f64::INFINITY, f64::min) - MARGIN_M,
        };
        let high = Place {
            east_m: east.fold(f64::NEG_INFINITY, f64::max) + MARGIN_M,
            north_m: north.fold(f64::NEG_INFINITY, f64::max) + MARGIN_M,
        };
        let ([west, south], [east, north]) = (low.degrees(), high.degrees());
        [west, south, east, north]
    }

    /// What the page draws under fences and vehicles.
    pub(crate) fn scenery(&self) -> Value {
        let streets: Vec<Value> = self
            .streets
            .iter()
            .map(|street| {
                let line = street.ends.map(|end| self.crossings[end].degrees());
                json!({"class": street.class.name(), "line": line})
            })
            .collect();
        json!({
            "name": NAME,
            "bounds": self.bounds(),
            "streets": streets,
            "river": {"line": river(), "width": RIVER_WIDTH_M},
            "park": park(),
        })
    }
}

/// The crossings of the ring road in order, the first one again at the end.
pub(crate) fn ring() -> Vec<Place> {
    let mut line = Vec::new();
    for (at, here) in RING.into_iter().enumerate() {
        let there = RING[(at + 1) % RING.len()];
        let steps = (there.0 - here.0).abs().max((there.1 - here.1).abs());
        let (east, north) = ((there.0 - here.0) / steps, (there.1 - here.1) / steps);
        line.extend((0..steps).map(|step| place(here.0 + east * step, here.1 + north * step)));
    }
    line.push(line[0]);
    line
}

/// The number of the crossing of a column and a row.
pub(crate) fn crossing((column, row): (i32, i32)) -> usize {
    usize::try_from(row * COLUMNS + column).expect("BUG: a crossing outside of the grid")
}

/// Where the crossing of a column and a row is.
pub(crate) fn place(column: i32, row: i32) -> Place {
    let (column, row) = (f64::from(column), f64::from(row));
    bent(
        (column - 6.0) * COLUMN_M + 42.0 * (1.7 * column).sin(),
        (row - 4.5) * ROW_M + 30.0 * (2.3 * row + 1.0).sin(),
    )
}

/// Turns the drawing board into a city: no street is quite straight, and north is not up.
fn bent(east_m: f64, north_m: f64) -> Place {
    let east = east_m + 55.0 * (north_m / 620.0).sin();
    let north = north_m + 80.0 * (east_m / 850.0).sin();
    let (sin, cos) = (TAU * 0.018).sin_cos();
    Place {
        east_m: east * cos - north * sin,
        north_m: east * sin + north * cos,
    }
}

fn is_open(here: (i32, i32), there: (i32, i32)) -> bool {
    let crosses_river = here.1 == SOUTH_BANK && there.1 == SOUTH_BANK + 1;
    here != PARK && there != PARK && (!crosses_river || BRIDGES.contains(&here.0))
}

fn street(crossings: &[Place], here: (i32, i32), there: (i32, i32)) -> Street {
    let ends = [crossing(here), crossing(there)];
    Street {
        ends,
        class: class(here, there),
        length_m: crossings[ends[0]].distance_m(crossings[ends[1]]),
        is_column: here.0 == there.0,
    }
}

fn class(here: (i32, i32), there: (i32, i32)) -> Class {
    let is_diagonal = here.0 != there.0 && here.1 != there.1;
    let both = |test: fn((i32, i32)) -> bool| test(here) && test(there);
    if is_diagonal
        || both(|at| matches!(at, (3..=9, 1)) || matches!(at, (3..=9, 8)))
        || both(|at| matches!(at, (2, 2..=7)))
        || both(|at| matches!(at, (10, 2..=7)))
    {
        Class::Ring
    } else if SCHOOLS.contains(&here) || SCHOOLS.contains(&there) {
        Class::School
    } else if both(|at| at.1 == 4) || both(|at| at.0 == 5) || both(|at| at.0 == 7) {
        Class::Avenue
    } else {
        Class::Street
    }
}

/// The river, from beyond the west to beyond the east.
fn river() -> Vec<[f64; 2]> {
    let between = (f64::from(SOUTH_BANK) + 0.5 - 4.5) * ROW_M + 14.0;
    (-16..=16)
        .map(|step| {
            let east = f64::from(step) * 180.0;
            bent(east, between + 34.0 * (east / 390.0).sin()).degrees()
        })
        .collect()
}

/// The park: what the streets around it leave free.
fn park() -> Vec<[f64; 2]> {
    let (column, row) = PARK;
    let middle = place(column, row);
    [
        (-1, -1),
        (0, -1),
        (1, -1),
        (1, 0),
        (1, 1),
        (0, 1),
        (-1, 1),
        (-1, 0),
    ]
    .into_iter()
    .map(|(east, north)| {
        let corner = place(column + east, row + north);
        middle
            .towards(middle.heading_to(corner), middle.distance_m(corner) - 34.0)
            .degrees()
    })
    .collect()
}
