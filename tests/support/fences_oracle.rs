//! Fences by other means: `geo`, whose predicates are exact on whole numbers, and Karney's geodesic. No index,
//! no state but sets of names.
//!
//! Shapes lie in a plane whose longitudes go on beyond the antimeridian, in units of 1e-7 degrees.

use std::collections::BTreeSet;

use geo::Intersects;
use geographiclib_rs::{Geodesic, InverseGeodesic};

use super::seeds::Random;

/// A whole turn, in units.
const TURN: i64 = 3_600_000_000;
/// Parts of an edge that are looked at before the nearest of them is looked through.
const PARTS: u32 = 24;
/// The northernmost latitude of a place of a test: a unit below the pole, all of whose longitudes are one
/// place.
const MAX_Y: i64 = 899_999_999;

/// A place in units; its longitude may be beyond the antimeridian.
pub(crate) type Place = (i64, i64);

/// Where fences are, and how far they reach, in units.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    /// The middle.
    pub(crate) middle: Place,
    /// Most units from the middle.
    pub(crate) most: i64,
}

/// Sites that are easy, and sites that are hard.
pub(crate) const SITES: [Site; 8] = [
    Site {
        middle: (134_000_000, 525_000_000),
        most: 400_000,
    },
    Site {
        middle: (0, 0),
        most: 3_000_000,
    },
    Site {
        middle: (1_800_000_000, -170_000_000),
        most: 500_000,
    },
    Site {
        middle: (-1_799_900_000, 655_000_000),
        most: 20_000_000,
    },
    Site {
        middle: (300_000_000, 895_000_000),
        most: 4_000_000,
    },
    Site {
        middle: (-900_000_000, -899_000_000),
        most: 900_000,
    },
    Site {
        middle: (-740_000_000, 407_000_000),
        most: 20_000,
    },
    Site {
        middle: (1_700_000_000, 0),
        most: 500_000_000,
    },
];

/// A fence.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// A centre and metres.
    Circle(Place, f64),
    /// West, south, east, north.
    Box([i64; 4]),
    /// Polygons of rings that are not closed.
    Area(Vec<Vec<Vec<Place>>>),
    /// A line and the width in metres.
    Corridor(Vec<Place>, f64),
}

/// Units as degrees, without a float.
fn degrees(units: i64) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let units = units.abs();
    format!("{sign}{}.{:07}", units / 10_000_000, units % 10_000_000)
}

fn wrapped(x: i64) -> i64 {
    (x + TURN / 2).rem_euclid(TURN) - TURN / 2
}

/// A place as a command has it. The antimeridian has two names.
pub(crate) fn written((x, y): Place) -> String {
    let x = if x == TURN / 2 { x } else { wrapped(x) };
    format!("{} {}", degrees(x), degrees(y))
}

/// Metres from one place to another.
#[expect(clippy::cast_precision_loss, reason = "units are far below 2^53")]
fn metres(a: (f64, f64), b: Place) -> f64 {
    thread_local!(static EARTH: Geodesic = Geodesic::wgs84());
    let b = (b.0 as f64, b.1 as f64);
    EARTH.with(|earth| earth.inverse(a.1 / 1e7, a.0 / 1e7, b.1 / 1e7, b.0 / 1e7))
}

/// The same place, as near to another as turns can bring it.
fn beside(place: Place, x: i64) -> Place {
    (x + wrapped(place.0 - x), place.1)
}

#[expect(clippy::cast_precision_loss, reason = "units are far below 2^53")]
fn coord((x, y): Place) -> geo::Coord<f64> {
    geo::coord! { x: x as f64, y: y as f64 }
}

impl Shape {
    /// A random one.
    pub(crate) fn random(random: &mut Random, site: Site) -> Self {
        match random.index(8) {
            0 | 1 => {
                let metres = site.most * random.within(1..60) / 5_000;
                #[expect(clippy::cast_precision_loss, reason = "units are far below 2^53")]
                let radius = metres.max(5) as f64 / 2.0;
                Self::Circle(any(random, site), radius)
            }
            2 => {
                let (a, b) = (any(random, site), any(random, site));
                Self::Box([a.0.min(b.0), a.1.min(b.1), a.0.max(b.0), a.1.max(b.1)])
            }
            3 => {
                // Squares of a lattice, so that many have a border in common.
                let step = site.most / 4;
                let (x, y) = (random.within(-4..4) * step, random.within(-4..4) * step);
                let (west, south) = (site.middle.0 + x, (site.middle.1 + y).min(MAX_Y - step));
                let (east, north) = (west + step, south + step);
                if random.chance(50) {
                    return Self::Box([west, south, east, north]);
                }
                Self::Area(vec![vec![vec![
                    (west, south),
                    (east, south),
                    (east, north),
                    (west, north),
                ]]])
            }
            4 | 5 => {
                let middle = any(random, site);
                let len = [3, 5, 12, 40, 130][random.index(5)];
                let reach = site.most / 3;
                let mut polygon = vec![star(random, middle, (reach / 2, reach), len)];
                if random.chance(50) {
                    polygon.push(star(random, middle, (reach / 9, reach / 5), 6));
                }
                let mut polygons = vec![polygon];
                if random.chance(40) {
                    let beside = (middle.0 + 3 * reach, middle.1);
                    polygons.push(vec![star(random, beside, (reach / 2, reach), 7)]);
                }
                Self::Area(polygons)
            }
            _ => {
                let line = (0..2 + random.index(5))
                    .map(|_| any(random, site))
                    .collect();
                #[expect(clippy::cast_precision_loss, reason = "units are far below 2^53")]
                let width = (site.most * random.within(1..40) / 10_000).max(2) as f64;
                Self::Corridor(line, width)
            }
        }
    }

    /// Its words in a command.
    pub(crate) fn words(&self) -> String {
        let ring = |ring: &Vec<Place>| {
            let vertices: Vec<String> = ring.iter().map(|&place| written(place)).collect();
            format!("{} {}", ring.len(), vertices.join(" "))
        };
        match self {
            Self::Circle(center, radius) => format!("CIRCLE {} {radius}", written(*center)),
            Self::Box([west, south, east, north]) => {
                format!(
                    "BBOX {} {}",
                    written((*west, *south)),
                    written((*east, *north))
                )
            }
            Self::Area(polygons) => {
                let words: Vec<String> = polygons
                    .iter()
                    .map(|rings| {
                        let rings: Vec<String> = rings.iter().map(ring).collect();
                        format!("POLYGON {}", rings.join(" HOLE "))
                    })
                    .collect();
                words.join(" ")
            }
            Self::Corridor(line, width) => format!("CORRIDOR {width} {}", ring(line)),
        }
    }

    /// Whether a place is in it, its border included; `None` too near the border of a circle or a
    /// corridor to say.
    pub(crate) fn contains(&self, place: Place) -> Option<bool> {
        let turns = [-TURN, 0, TURN].map(|turn| (place.0 + turn, place.1));
        match self {
            #[expect(clippy::cast_precision_loss, reason = "units are far below 2^53")]
            Self::Circle(center, radius) => {
                if (place.1 - center.1).abs() > reach(*radius) {
                    return Some(false);
                }
                let distance = metres((place.0 as f64, place.1 as f64), *center);
                decided(distance, *radius)
            }
            Self::Box([west, south, east, north]) => Some(
                turns
                    .iter()
                    .any(|(x, y)| (*west..=*east).contains(x) && (*south..=*north).contains(y)),
            ),
            Self::Area(polygons) => {
                let is_near = |(x, y): &Place| {
                    let outer = || polygons.iter().flat_map(|rings| &rings[0]);
                    let beyond = |is_beyond: &dyn Fn(&Place) -> bool| outer().all(is_beyond);
                    !beyond(&|one| one.0 < *x)
                        && !beyond(&|one| one.0 > *x)
                        && !beyond(&|one| one.1 < *y)
                        && !beyond(&|one| one.1 > *y)
                };
                let is_in = |place: &Place| {
                    let place = geo::Point(coord(*place));
                    polygons
                        .iter()
                        .any(|rings| planar(rings).intersects(&place))
                };
                let is_in = |place: &Place| is_near(place) && is_in(place);
                Some(turns.iter().any(is_in))
            }
            Self::Corridor(line, width) => {
                let edges = line.windows(2);
                let distances = edges.map(|edge| to_edge(place, (edge[0], edge[1]), width / 2.0));
                decided(distances.fold(f64::INFINITY, f64::min), width / 2.0)
            }
        }
    }

    /// A place that tells something of it: a vertex, the middle of an edge, or beside them.
    pub(crate) fn telling(&self, random: &mut Random) -> Place {
        let ring: Vec<Place> = match self {
            Self::Circle(center, _) => vec![*center],
            Self::Box([west, south, east, north]) => {
                vec![
                    (*west, *south),
                    (*east, *south),
                    (*east, *north),
                    (*west, *north),
                ]
            }
            Self::Area(polygons) => {
                let rings: Vec<&Vec<Place>> = polygons.iter().flatten().collect();
                rings[random.index(rings.len())].clone()
            }
            Self::Corridor(line, _) => line.clone(),
        };
        let at = random.index(ring.len());
        let (a, b) = (ring[at], ring[(at + 1) % ring.len()]);
        let (x, y) = if random.chance(50) {
            a
        } else {
            (i64::midpoint(a.0, b.0), i64::midpoint(a.1, b.1))
        };
        let beside = if random.chance(50) {
            (0, 0)
        } else {
            (random.within(-2..3), random.within(-2..3))
        };
        (x + beside.0, (y + beside.1).clamp(-MAX_Y, MAX_Y))
    }
}

/// Whether a distance is within a limit; `None` where it is within a few centimetres of it.
fn decided(distance: f64, limit: f64) -> Option<bool> {
    let doubt = 0.05 + limit * 2e-6;
    ((distance - limit).abs() > doubt).then_some(distance < limit)
}

/// Units of latitude that are more than so many metres: one is 1.1 cm.
#[expect(clippy::cast_possible_truncation, reason = "units are far below 2^53")]
fn reach(metres: f64) -> i64 {
    (metres * 120.0) as i64 + 1_000
}

/// Metres from a place to an edge that is straight in longitude and latitude; infinite where it is farther
/// than a limit anyway.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "units are far below 2^53"
)]
fn to_edge(place: Place, (a, b): (Place, Place), limit: f64) -> f64 {
    let place = beside(place, i64::midpoint(a.0, b.0));
    let reach = reach(limit);
    if place.1 < a.1.min(b.1) - reach || place.1 > a.1.max(b.1) + reach {
        return f64::INFINITY;
    }
    let farthest = a.1.abs().max(b.1.abs()).max(place.1.abs());
    if farthest < 850_000_000 {
        let turn = (reach as f64 / (farthest as f64 / 1e7).to_radians().cos()) as i64;
        if place.0 < a.0.min(b.0) - turn || place.0 > a.0.max(b.0) + turn {
            return f64::INFINITY;
        }
    }
    let along = |part: f64| {
        let x = a.0 as f64 + (b.0 - a.0) as f64 * part;
        let y = a.1 as f64 + (b.1 - a.1) as f64 * part;
        metres((x, y), place)
    };
    let part = |number: u32| f64::from(number) / f64::from(PARTS);
    let nearest =
        (0..=PARTS).min_by(|&one, &other| along(part(one)).total_cmp(&along(part(other))));
    let nearest = nearest.unwrap();
    let (mut low, mut high) = (
        part(nearest.saturating_sub(1)),
        part((nearest + 1).min(PARTS)),
    );
    for _ in 0..50 {
        let third = (high - low) / 3.0;
        if along(low + third) < along(high - third) {
            high -= third;
        } else {
            low += third;
        }
    }
    along(f64::midpoint(low, high))
}

fn planar(rings: &[Vec<Place>]) -> geo::Polygon<f64> {
    let mut strings = rings
        .iter()
        .map(|ring| geo::LineString::new(ring.iter().map(|&place| coord(place)).collect()));
    let outer = strings.next().unwrap();
    geo::Polygon::new(outer, strings.collect())
}

/// Any place of a site.
pub(crate) fn any(random: &mut Random, site: Site) -> Place {
    let (x, y) = (
        random.within(-site.most..site.most),
        random.within(-site.most..site.most),
    );
    // Near a pole the longitudes are the way around it.
    let x = if site.middle.1.abs() > 880_000_000 {
        x * 50
    } else {
        x
    };
    (site.middle.0 + x, (site.middle.1 + y).clamp(-MAX_Y, MAX_Y))
}

/// A ring that goes around its middle once.
fn star(random: &mut Random, middle: Place, (least, most): (i64, i64), len: u32) -> Vec<Place> {
    let most = most.min(MAX_Y - middle.1.abs()).max(10);
    let least = least.min(most - 1);
    (0..len)
        .map(|corner| {
            let angle = f64::from(corner) / f64::from(len) * std::f64::consts::TAU;
            #[expect(clippy::cast_precision_loss, reason = "units are far below 2^53")]
            let radius = random.within(least..most) as f64;
            #[expect(clippy::cast_possible_truncation, reason = "units are far below 2^53")]
            let (dx, dy) = ((radius * angle.cos()) as i64, (radius * angle.sin()) as i64);
            (middle.0 + dx, middle.1 + dy)
        })
        .collect()
}

/// Fences by name, and who is in which.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    /// The fences.
    pub(crate) fences: Vec<(String, Shape)>,
}

impl Oracle {
    /// The fences that a place is in; `None` where that is in doubt.
    pub(crate) fn at(&self, place: Place) -> Option<BTreeSet<String>> {
        let mut inside = BTreeSet::new();
        for (name, shape) in &self.fences {
            if shape.contains(place)? {
                inside.insert(name.clone());
            }
        }
        Some(inside)
    }
}
