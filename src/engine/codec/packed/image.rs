//! Doubles as integers.
//!
//! ```text
//! bits        the bit pattern, negative ones flipped, so that integers are in the order of doubles
//! decimal     d = round(v * 10^places)                 v = d / 10^places
//! ratio       k = round(v * q * 10^power)              v = k / (q * 10^power)
//!             and where devices print so many places   v = round(k * 10^(places - power) / q) / 10^places
//! ```
//!
//! Division and not multiplication by 0.1: IEEE division rounds correctly, so a double that was
//! parsed from a decimal of up to 15 digits is met without exception. A ratio serves means of
//! three, ninths (degrees Fahrenheit made Celsius) and sevenths, whose digits never end.
//!
//! What an image misses gets a *correction*: the difference of the bit patterns. Where the source
//! multiplied by 0.1 or added up, that is one or two units in the last place. NaN, infinities and
//! -0.0 are corrections too, large ones, which become patches. So every image serves every double.
//!
//! Only +, -, * and / on doubles below 2^53 are used, each rounded once: the same on every
//! processor with IEEE 754 arithmetic.

use crate::engine::{Error, Result};

/// 10 to the power of the index; all exact.
pub(super) const POWERS: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];
/// Most decimal places.
pub(super) const MAX_PLACES: u8 = 15;
/// Integers of an image are less than this in magnitude; 2^51.
pub(super) const LIMIT: f64 = 2_251_799_813_685_248.0;
/// 1.5 * 2^52: added to a number within [`LIMIT`], it leaves the nearest integer in the lower bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// How doubles are made integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Image {
    /// Ordered bit patterns.
    Bits,
    /// Decimals of so many places.
    Decimal { places: u8 },
    /// Multiples of 1 / (`quotient` * 10^`power`), perhaps rounded to decimal places.
    Ratio {
        quotient: u8,
        power: u8,
        places: Option<u8>,
    },
}

/// A double as the integer of the same rank; its own inverse on integers.
#[inline]
pub(super) const fn ordered(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// An integer as the nearest double; exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "integers of an image are below 2^51")]
#[inline]
pub(super) const fn float(number: i64) -> f64 {
    number as f64
}

#[inline]
fn bits_of(value: f64) -> i64 {
    value.to_bits().cast_signed()
}

/// The factor between a value and its integer, and what undoes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    factor: f64,
    /// For decimals 1 / 1.
    up: f64,
    down: f64,
    /// 10^places of what is rounded.
    divisor: f64,
    is_rounded: bool,
}

impl Scale {
    /// The scale of an image; `None` for bit patterns.
    ///
    /// # Errors
    /// `Corrupt` for places and powers that no encoder writes.
    pub(super) fn of(image: Image) -> Result<Option<Self>> {
        let corrupt = Error::Corrupt { what: "scale" };
        let power_of = |places: u8| POWERS.get(usize::from(places)).copied().ok_or(corrupt);
        let scale = match image {
            Image::Bits => return Ok(None),
            Image::Decimal { places } => {
                let factor = power_of(places)?;
                Self {
                    factor,
                    up: 1.0,
                    down: 1.0,
                    divisor: factor,
                    is_rounded: false,
                }
            }
            Image::Ratio {
                quotient,
                power,
                places,
            } => {
                let factor = f64::from(quotient.max(1)) * power_of(power)?;
                match places {
                    None => Self {
                        factor,
                        up: 1.0,
                        down: 1.0,
                        divisor: factor,
                        is_rounded: false,
                    },
                    Some(places) => Self {
                        factor,
                        up: power_of(places.checked_sub(power).ok_or(corrupt)?)?,
                        down: f64::from(quotient.max(1)),
                        divisor: power_of(places)?,
                        is_rounded: true,
                    },
                }
            }
        };
        Ok(Some(scale))
    }

    /// The value of an integer, given as a double.
    #[inline]
    pub(super) fn value_of(&self, number: f64) -> f64 {
        if self.is_rounded {
            (number * self.up / self.down + ROUNDER - ROUNDER) / self.divisor
        } else {
            number / self.divisor
        }
    }

    /// The integer nearest to a value, and the correction: 0 where it is met exactly. `None`
    /// where no integer is near.
    #[inline]
    pub(super) fn try_value(&self, value: f64) -> Option<(i64, i64)> {
        let scaled = value * self.factor;
        if scaled.abs() < LIMIT {
            let rounded = scaled + ROUNDER;
            let correction = bits_of(value) - bits_of(self.value_of(rounded - ROUNDER));
            return Some((bits_of(rounded) - bits_of(ROUNDER), correction));
        }
        None
    }
}

/// Values as integers; returns how many of them need a correction.
pub(super) fn forward(
    image: Image,
    values: &[f64],
    numbers: &mut Vec<i64>,
    corrections: &mut Vec<i64>,
) -> usize {
    numbers.clear();
    corrections.clear();
    let Ok(Some(scale)) = Scale::of(image) else {
        numbers.extend(values.iter().map(|&value| ordered(bits_of(value))));
        return 0;
    };
    let mut misses = 0;
    // A value out of reach repeats the integer before, which is cheap wherever it stands.
    let mut before = values
        .iter()
        .find_map(|&value| scale.try_value(value))
        .map_or(0, |(number, _)| number);
    for &value in values {
        let (number, correction) = scale.try_value(value).unwrap_or_else(|| {
            let near = scale.value_of(float(before));
            (before, bits_of(value).wrapping_sub(bits_of(near)))
        });
        misses += usize::from(correction != 0);
        numbers.push(number);
        corrections.push(correction);
        before = number;
    }
    misses
}

/// The values of integers.
pub(super) fn backward(scale: Option<&Scale>, numbers: &[i64], values: &mut [f64]) {
    let pairs = values.iter_mut().zip(numbers);
    match scale {
        None => {
            for (value, &number) in pairs {
                *value = f64::from_bits(ordered(number).cast_unsigned());
            }
        }
        Some(scale) if scale.is_rounded => {
            for (value, &number) in pairs {
                *value = scale.value_of(float(number));
            }
        }
        Some(scale) => {
            for (value, &number) in pairs {
                *value = float(number) / scale.divisor;
            }
        }
    }
}

/// Adds corrections to values.
pub(super) fn correct(values: &mut [f64], corrections: &[i64]) {
    for (value, &correction) in values.iter_mut().zip(corrections) {
        let bits = bits_of(*value).wrapping_add(correction);
        *value = f64::from_bits(bits.cast_unsigned());
    }
}
