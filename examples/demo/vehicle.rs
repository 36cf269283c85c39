//! A van: it drives from depot to customers to another depot, brakes at red lights and corners, and
//! opens its doors where it stops.

use std::collections::VecDeque;

use crate::cargo::{Cargo, Surroundings, fraction};
use crate::city::{City, Class, Place, Street};
use crate::seeds::Random;

const ACCELERATION_MPS2: f64 = 1.6;
const BRAKING_MPS2: f64 = 2.2;
/// How fast one goes around a corner.
const CORNER_MPS: f64 = 4.5;
/// A change of direction that is no corner yet, in degrees.
const STRAIGHT: f64 = 30.0;
/// Lights let rows pass for so long, then columns.
const GREEN_S: i64 = 28;
/// From the middle of the street to the lane.
const LANE_M: f64 = 5.0;
/// Where one waits, before the middle of the crossing.
const STOP_LINE_M: f64 = 12.0;

/// What a van sends: where it is, how fast, in which direction, and whether its doors are open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fix {
    pub(crate) place: Place,
    pub(crate) speed_mps: f64,
    pub(crate) heading: f64,
    pub(crate) doors_are_open: bool,
}

/// A stop of a trip.
#[derive(Clone, Copy, Debug)]
struct Stop {
    crossing: usize,
    lasts_s: i64,
}

/// A van with its driver and cargo.
#[derive(Debug)]
pub(crate) struct Vehicle {
    pub(crate) name: String,
    pub(crate) cargo: Cargo,
    random: Random,
    /// What the driver makes of a limit: 1 keeps to it.
    haste: f64,
    /// Whether the driver slows down in front of schools.
    is_careful: bool,
    stops: VecDeque<Stop>,
    /// The crossing it left, and the street it is on; none while it stands at `left`.
    left: usize,
    street: Option<usize>,
    along_m: f64,
    speed_mps: f64,
    heading: f64,
    stands_until_s: i64,
}

impl Vehicle {
    /// A van that stands at a depot.
    pub(crate) fn new(number: usize, depot: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        Self {
            name: format!("van-{:02}", number + 1),
            cargo: Cargo::new(&mut random),
            haste: 0.84 + fraction(&mut random) * 0.2,
            is_careful: random.chance(65),
            stops: VecDeque::new(),
            left: depot,
            street: None,
            along_m: 0.0,
            speed_mps: 0.0,
            heading: fraction(&mut random) * 360.0,
            stands_until_s: random.within(0..600),
            random,
        }
    }

    /// A second passes; `time_s` is its end.
    pub(crate) fn step(&mut self, city: &City, depots: &[usize], time_s: i64) {
        if self.street.is_none() && time_s >= self.stands_until_s {
            self.set_off(city, depots);
        }
        if let Some(number) = self.street {
            self.drive(city, city.streets[number], time_s);
        }
    }

    /// The temperature changes for a second.
    pub(crate) fn step_cargo(&mut self, outside_celsius: f64, cooling_works: bool) {
        self.cargo.step(Surroundings {
            outside_celsius,
            doors_are_open: self.street.is_none(),
            cooling_works,
        });
    }

    /// The thermometer of the cargo.
    pub(crate) fn reading(&mut self) -> f64 {
        self.cargo.reading(&mut self.random)
    }

    /// Where it is now.
    pub(crate) fn fix(&self, city: &City) -> Fix {
        let from = city.crossings[self.left];
        let place = from
            .towards(self.heading, self.along_m)
            .towards(self.heading + 90.0, LANE_M);
        Fix {
            place,
            speed_mps: self.speed_mps,
            heading: self.heading,
            doors_are_open: self.street.is_none(),
        }
    }

    /// Plans a trip if there is none, and takes the first street of the way to the next stop.
    fn set_off(&mut self, city: &City, depots: &[usize]) {
        if self.stops.is_empty() {
            self.plan(&city.addresses(), depots);
        }
        self.turn(city);
    }

    fn plan(&mut self, addresses: &[usize], depots: &[usize]) {
        for _ in 0..=self.random.index(3) {
            self.stops.push_back(Stop {
                crossing: addresses[self.random.index(addresses.len())],
                lasts_s: self.random.within(40..110),
            });
        }
        self.stops.push_back(Stop {
            crossing: depots[self.random.index(depots.len())],
            lasts_s: self.random.within(100..480),
        });
    }

    /// Takes the street that the signpost shows; without one the van has arrived.
    fn turn(&mut self, city: &City) {
        self.street = self
            .stops
            .front()
            .and_then(|stop| city.signposts[stop.crossing][self.left]);
        if let Some(number) = self.street {
            let next = city.streets[number].other_end(self.left);
            self.heading = city.crossings[self.left].heading_to(city.crossings[next]);
        } else {
            self.stops.pop_front();
        }
    }

    fn drive(&mut self, city: &City, street: Street, time_s: i64) {
        let next = street.other_end(self.left);
        let remaining_m = street.length_m - self.along_m;
        let ahead = self.ahead(city, next);
        let must_stop = match ahead {
            Ahead::Stop => true,
            _ => !is_green(next, street, time_s) && remaining_m > STOP_LINE_M,
        };
        let (end_mps, room_m) = match ahead {
            Ahead::Stop => (0.0, remaining_m),
            _ if must_stop => (0.0, remaining_m - STOP_LINE_M),
            Ahead::Corner => (CORNER_MPS, remaining_m),
            Ahead::Straight => (f64::INFINITY, remaining_m),
        };
        let braked = (end_mps * end_mps + 2.0 * BRAKING_MPS2 * room_m).sqrt();
        let wanted = self.wanted_mps(street.class).min(braked);
        self.speed_mps = wanted.min(self.speed_mps + ACCELERATION_MPS2);
        if must_stop && self.speed_mps >= room_m - 0.5 {
            // The last metre; without this it would be driven in ever smaller steps.
            self.along_m += room_m;
            self.speed_mps = 0.0;
            if matches!(ahead, Ahead::Stop) {
                self.arrive(next, time_s);
            }
            return;
        }
        self.along_m += self.speed_mps;
        if self.along_m >= street.length_m {
            self.along_m -= street.length_m;
            self.left = next;
            self.turn(city);
        }
    }

    fn arrive(&mut self, crossing: usize, time_s: i64) {
        self.left = crossing;
        self.street = None;
        self.along_m = 0.0;
        if let Some(stop) = self.stops.pop_front() {
            self.stands_until_s = time_s + stop.lasts_s;
        }
    }

    /// What comes at the next crossing.
    fn ahead(&self, city: &City, next: usize) -> Ahead {
        let after = self
            .stops
            .front()
            .and_then(|stop| city.signposts[stop.crossing][next]);
        let Some(number) = after else {
            return Ahead::Stop;
        };
        let beyond = city.streets[number].other_end(next);
        let heading = city.crossings[next].heading_to(city.crossings[beyond]);
        let turn = (heading - self.heading + 180.0).rem_euclid(360.0) - 180.0;
        if turn.abs() < STRAIGHT {
            Ahead::Straight
        } else {
            Ahead::Corner
        }
    }

    /// How fast the driver would like to be.
    fn wanted_mps(&self, class: Class) -> f64 {
        match class {
            Class::School if self.is_careful => 0.9 * class.limit_mps(),
            Class::School => self.haste * Class::Street.limit_mps(),
            _ => self.haste * class.limit_mps(),
        }
    }
}

enum Ahead {
    Straight,
    Corner,
    Stop,
}

/// Whether the lights of a crossing are green for who comes along a street. The ring has none.
fn is_green(crossing: usize, street: Street, time_s: i64) -> bool {
    let shift_s = i64::try_from(crossing * 17 % 56).unwrap_or_default();
    let columns_pass = (time_s + shift_s).rem_euclid(2 * GREEN_S) >= GREEN_S;
    street.class == Class::Ring || columns_pass == street.is_column
}
