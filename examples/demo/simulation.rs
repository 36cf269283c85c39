//! The traffic of a city, second by second; the same for the same seed.
//!
//! Nothing here knows of a server or of a clock. Time is simulated and in milliseconds since 1970; a
//! run goes live on a Monday morning, so that schools are open.

use std::f64::consts::TAU;

use crate::city::City;
use crate::seeds::Random;
use crate::vehicle::{Fix, Vehicle};
use crate::zones;

/// Monday, 2 June 2025, 08:00.
pub(crate) const LIVE_MS: i64 = 1_748_851_200_000;
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;
/// Each thermometer is read so often.
pub(crate) const READING_EVERY_S: i64 = 5;

/// A city with its traffic.
#[derive(Debug)]
pub(crate) struct Simulation {
    city: City,
    depots: Vec<usize>,
    vehicles: Vec<Vehicle>,
    time_s: i64,
}

/// What a van reports in one second.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) name: &'a str,
    pub(crate) fix: Fix,
    /// Degrees Celsius, when it is time for a reading.
    pub(crate) reading: Option<f64>,
}

impl Simulation {
    /// A simulation that is `history_s` seconds away from going live.
    pub(crate) fn new(vehicles: usize, seed: u64, history_s: i64) -> Self {
        let mut random = Random::new(seed);
        let depots = zones::depots();
        let vehicles = (0..vehicles)
            .map(|number| Vehicle::new(number, depots[number % depots.len()], random.bits()))
            .collect();
        Self {
            city: City::build(),
            depots,
            vehicles,
            time_s: LIVE_MS / 1_000 - history_s,
        }
    }

    /// The city.
    pub(crate) fn city(&self) -> &City {
        &self.city
    }

    /// The names of the vans.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.vehicles.iter().map(|vehicle| vehicle.name.as_str())
    }

    /// The simulated time.
    pub(crate) fn time_ms(&self) -> i64 {
        self.time_s * 1_000
    }

    /// A second passes.
    pub(crate) fn step(&mut self) {
        self.time_s += 1;
        let outside = outside_celsius(self.time_s);
        let broken = broken_cooling(self.time_s, self.vehicles.len());
        for (number, vehicle) in self.vehicles.iter_mut().enumerate() {
            vehicle.step(&self.city, &self.depots, self.time_s);
            vehicle.step_cargo(outside, broken != Some(number));
        }
    }

    /// What the vans report now.
    pub(crate) fn reports(&mut self) -> impl Iterator<Item = Report<'_>> {
        let Self {
            city,
            vehicles,
            time_s,
            ..
        } = self;
        vehicles.iter_mut().zip(0_i64..).map(|(vehicle, number)| {
            let is_due = (*time_s + number).rem_euclid(READING_EVERY_S) == 0;
            let reading = is_due.then(|| vehicle.reading());
            Report {
                fix: vehicle.fix(city),
                name: &vehicle.name,
                reading,
            }
        })
    }
}

/// The air outside: coldest at four in the morning.
fn outside_celsius(time_s: i64) -> f64 {
    let of_day = i32::try_from((time_s - 4 * HOUR_S).rem_euclid(DAY_S)).unwrap_or_default();
    19.0 - 7.0 * (TAU * f64::from(of_day) / 86_400.0).cos()
}

/// In the first half of each hour but its first minutes, the cooling of one van does not work.
fn broken_cooling(time_s: i64, vehicles: usize) -> Option<usize> {
    let fails = (240..1_800).contains(&time_s.rem_euclid(HOUR_S));
    let hour = usize::try_from(time_s / HOUR_S).unwrap_or_default();
    (fails && vehicles > 0).then(|| (hour * 7) % vehicles)
}
