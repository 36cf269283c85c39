//! Chilled cargo and its thermometer: cooled while the doors are shut, warmed while they are open.
//!
//! Newton's law of cooling with two neighbours, the air outside and the cooling unit, each with a
//! time constant that the doors decide.

use crate::seeds::Random;

/// Time constants in seconds: (to the air outside, to the cooling unit).
const SHUT_S: (f64, f64) = (9_000.0, 320.0);
const OPEN_S: (f64, f64) = (1_400.0, 1_500.0);

/// The cargo of one vehicle.
#[derive(Clone, Debug)]
pub(crate) struct Cargo {
    celsius: f64,
    cooled_to: f64,
}

/// What is around the cargo.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    pub(crate) outside_celsius: f64,
    pub(crate) doors_are_open: bool,
    pub(crate) cooling_works: bool,
}

impl Cargo {
    /// Cargo that is as cold as it shall be.
    pub(crate) fn new(random: &mut Random) -> Self {
        let cooled_to = 2.5 + fraction(random) * 2.5;
        Self {
            celsius: cooled_to,
            cooled_to,
        }
    }

    /// A second passes.
    pub(crate) fn step(&mut self, around: Surroundings) {
        let (outside_s, cooling_s) = if around.doors_are_open {
            OPEN_S
        } else {
            SHUT_S
        };
        self.celsius += (around.outside_celsius - self.celsius) / outside_s;
        if around.cooling_works {
            self.celsius += (self.cooled_to - self.celsius) / cooling_s;
        } else {
            // Without the unit's fan the walls are all there is between the cargo and the sun.
            self.celsius += (around.outside_celsius - self.celsius) / 2_400.0;
        }
    }

    /// What the thermometer shows: a tenth of a degree, and not quite right.
    pub(crate) fn reading(&self, random: &mut Random) -> f64 {
        let noise = fraction(random) * 0.3 - 0.15;
        ((self.celsius + noise) * 10.0).round() / 10.0
    }
}

/// A number from 0 to below 1.
pub(crate) fn fraction(random: &mut Random) -> f64 {
    const STEPS: i32 = 1 << 30;
    let step = i32::try_from(random.within(0..i64::from(STEPS))).unwrap_or_default();
    f64::from(step) / f64::from(STEPS)
}
