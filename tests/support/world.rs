//! A world of cities with fences and vehicles, the same in every run: the data of the benches.
//!
//! 300 cities, whose share of all there is falls as rank^-0.7 (Zipf), each spread normally by 3 to 15
//! kilometres. Fences are stars around a point of a city: 8 to 64 vertices, 100 metres to 5
//! kilometres across, every size as likely on a logarithmic scale. Vehicles begin at such a point too,
//! and move 20 to 300 metres a step into a direction that they keep for a while.

use std::f64::consts::TAU;

use redis_iot::engine::geo::{Point, Shape};

use super::seeds::Random;

/// Metres in a degree of latitude.
const DEGREE_M: f64 = 111_320.0;
/// How fast the share of a city falls with its rank.
const ZIPF: f64 = 0.7;
/// The cities of the benches.
pub(crate) const CITIES: usize = 300;

/// A place in degrees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) lon: f64,
    pub(crate) lat: f64,
}

impl Place {
    /// The place so many metres to the east and to the north.
    fn moved(self, east_m: f64, north_m: f64) -> Self {
        let lon = self.lon + east_m / (DEGREE_M * self.lat.to_radians().cos());
        Self {
            lon: (lon + 540.0).rem_euclid(360.0) - 180.0,
            lat: (self.lat + north_m / DEGREE_M).clamp(-85.0, 85.0),
        }
    }

    /// The same in whole numbers.
    pub(crate) fn point(self) -> Point {
        Point::from_degrees(self.lon, self.lat).unwrap()
    }
}

#[derive(Clone, Copy, Debug)]
struct City {
    center: Place,
    sigma_m: f64,
    /// The share of this city and of all before it.
    share: f64,
}

/// Cities, and what is random in them.
#[derive(Clone, Debug)]
pub(crate) struct World {
    cities: Vec<City>,
    random: Random,
}

/// Something that moves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vehicle {
    pub(crate) place: Place,
    heading: f64,
}

/// A number from 0 up to 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits")]
fn unit(random: &mut Random) -> f64 {
    (random.bits() >> 11) as f64 / (1u64 << 53) as f64
}

fn between(random: &mut Random, from: f64, to: f64) -> f64 {
    from + (to - from) * unit(random)
}

/// A number of the normal distribution (Box and Muller).
fn normal(random: &mut Random) -> f64 {
    let length = (-2.0 * (1.0 - unit(random)).ln()).sqrt();
    length * (TAU * unit(random)).cos()
}

impl World {
    /// The world of a seed, with so many cities.
    #[expect(clippy::cast_precision_loss, reason = "some hundred cities")]
    pub(crate) fn new(seed: u64, cities: usize) -> Self {
        let mut random = Random::new(seed);
        let mut sum = 0.0;
        let mut city = |rank: usize| {
            sum += (rank as f64 + 1.0).powf(-ZIPF);
            let (lon, lat) = (
                between(&mut random, -179.0, 179.0),
                between(&mut random, -50.0, 65.0),
            );
            let sigma_m = between(&mut random, 3_000.0, 15_000.0);
            City {
                center: Place { lon, lat },
                sigma_m,
                share: sum,
            }
        };
        let mut cities: Vec<City> = (0..cities).map(&mut city).collect();
        for city in &mut cities {
            city.share /= sum;
        }
        Self { cities, random }
    }

    /// A place in a city.
    pub(crate) fn place(&mut self) -> Place {
        let share = unit(&mut self.random);
        let at = self.cities.partition_point(|city| city.share < share);
        let city = self.cities[at.min(self.cities.len() - 1)];
        let east_m = normal(&mut self.random) * city.sigma_m;
        let north_m = normal(&mut self.random) * city.sigma_m;
        city.center.moved(east_m, north_m)
    }

    /// The vertices of a fence.
    #[expect(clippy::cast_precision_loss, reason = "64 vertices at most")]
    pub(crate) fn star(&mut self) -> Vec<Point> {
        let center = self.place();
        let random = &mut self.random;
        let radius_m = 50.0 * 50.0f64.powf(unit(random));
        let vertices = 8 + random.index(57);
        let vertex = |at| {
            let angle = at as f64 / vertices as f64 * TAU;
            let distance_m = radius_m * between(random, 0.5, 1.0);
            center
                .moved(distance_m * angle.cos(), distance_m * angle.sin())
                .point()
        };
        (0..vertices).map(vertex).collect()
    }

    /// A fence.
    pub(crate) fn fence(&mut self) -> Shape {
        Shape::area(vec![vec![self.star()]]).unwrap()
    }

    /// Something that moves.
    pub(crate) fn vehicle(&mut self) -> Vehicle {
        Vehicle {
            place: self.place(),
            heading: between(&mut self.random, 0.0, TAU),
        }
    }

    /// Moves a vehicle by a step.
    pub(crate) fn step(&mut self, vehicle: &mut Vehicle) {
        vehicle.heading += between(&mut self.random, -0.5, 0.5);
        let step_m = between(&mut self.random, 20.0, 300.0);
        let (sin, cos) = vehicle.heading.sin_cos();
        vehicle.place = vehicle.place.moved(step_m * cos, step_m * sin);
    }
}
