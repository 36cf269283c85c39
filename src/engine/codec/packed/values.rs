//! A column of values: an image and what it needs.
//!
//! ```text
//! | image u8 | scale .. | integer column | corrections: integer column, if corrected |
//!
//! image: | kind: 2 bits | corrected: 1 | places: 5 |
//!
//! kind           scale                       places
//! 0 bits         -                           0
//! 1 decimal      -                           0..=15
//! 2 ratio        | quotient u8 | power u8 |  0..=15, or 31: not rounded
//! 3 dictionary   | entries - 1  u8 | value column of the entries, kinds 0..=2 |       0
//!                the integer column is of indices into the entries
//! ```
//!
//! A dictionary has its entries in order of value, so that the indices of a series that moves in
//! small steps have small differences. It is tried where a sample repeats itself.

use super::bytes::{Reader, low_byte};
use super::image::{self, Entries, Image, MAX_ENTRIES, Target};
use super::plan::{self, Content, Plan};
use super::{Work, column, scale};
use crate::engine::{Error, Result};

const KIND_MASK: u8 = 3;
const CORRECTED: u8 = 1 << 2;
const PLACES_SHIFT: u32 = 3;
const NOT_ROUNDED: u8 = 31;
const BITS: u8 = 0;
const DECIMAL: u8 = 1;
const RATIO: u8 = 2;
const DICTIONARY: u8 = 3;
/// Decimals of so many places may be ratios.
const ENDLESS_PLACES: u8 = 5;
/// Bits a value from which bit patterns are tried.
const DEAR_BITS: u32 = 36;
/// Bits a value from which a dictionary is tried.
const DICTIONARY_BITS: u32 = 3;

/// Values under an image, and how both columns will be written.
struct Candidate {
    image: Image,
    numbers: Vec<i64>,
    corrections: Vec<i64>,
    plan: Plan,
    correction_plan: Option<Plan>,
    bits: u32,
}

impl Candidate {
    fn new(image: Image, values: &[f64], work: &mut Work) -> Self {
        let (mut numbers, mut corrections) = (Vec::new(), Vec::new());
        let misses = image::forward(image, values, &mut numbers, &mut corrections);
        Self::of(image, numbers, corrections, misses, work)
    }

    fn of(
        image: Image,
        numbers: Vec<i64>,
        corrections: Vec<i64>,
        misses: usize,
        work: &mut Work,
    ) -> Self {
        let plan = plan::plan(&numbers, Content::Values, work);
        let correction_plan =
            (misses > 0).then(|| plan::plan(&corrections, Content::Corrections, work));
        let bits = 8 + plan.bits + correction_plan.as_ref().map_or(0, |plan| plan.bits);
        Self {
            image,
            numbers,
            corrections,
            plan,
            correction_plan,
            bits,
        }
    }

    fn write(&self, work: &mut Work, out: &mut Vec<u8>) {
        let corrected = if self.correction_plan.is_some() {
            CORRECTED
        } else {
            0
        };
        match self.image {
            Image::Bits => out.push(BITS | corrected),
            Image::Decimal { places } => out.push(DECIMAL | corrected | places << PLACES_SHIFT),
            Image::Ratio {
                quotient,
                power,
                places,
            } => {
                let places = places.unwrap_or(NOT_ROUNDED);
                out.extend([RATIO | corrected | places << PLACES_SHIFT, quotient, power]);
            }
        }
        plan::write(&self.numbers, &self.plan, work, out);
        if let Some(plan) = &self.correction_plan {
            plan::write(&self.corrections, plan, work, out);
        }
    }
}

/// The best candidate without a dictionary.
fn best_plain(values: &[f64], work: &mut Work) -> Candidate {
    let len = u32::try_from(values.len()).unwrap_or(u32::MAX);
    let (picked, picked_len) = scale::sample(values);
    let sample = &picked[..picked_len];
    let places = scale::decimal_places(sample, 0);
    let mut best = match places {
        Some(places) => best_decimal(values, places, work),
        None => Candidate::new(Image::Bits, values, work),
    };
    let endless = match best.image {
        Image::Decimal { places } => places >= ENDLESS_PLACES || best.correction_plan.is_some(),
        _ => true,
    };
    if endless {
        let rounded = match best.image {
            Image::Decimal { places } if best.correction_plan.is_none() => Some(places),
            _ => None,
        };
        if let Some(image) = scale::ratio(sample, rounded) {
            keep_cheaper(&mut best, Candidate::new(image, values, work));
        }
    }
    if best.bits > DEAR_BITS * len && best.image != Image::Bits {
        keep_cheaper(&mut best, Candidate::new(Image::Bits, values, work));
    }
    best
}

fn keep_cheaper(best: &mut Candidate, other: Candidate) {
    if other.bits < best.bits {
        *best = other;
    }
}

/// The decimals of so many places, or of more where that meets the values which these miss.
fn best_decimal(values: &[f64], places: u8, work: &mut Work) -> Candidate {
    let (mut numbers, mut corrections) = (Vec::new(), Vec::new());
    let mut image = Image::Decimal { places };
    let mut misses = image::forward(image, values, &mut numbers, &mut corrections);
    if misses > values.len() / 32 {
        let corrected = values.iter().zip(&corrections);
        let corrected = corrected.filter(|&(_, &correction)| correction != 0);
        let mut second: Vec<f64> = corrected.map(|(&value, _)| value).take(8).collect();
        let (picked, picked_len) = scale::sample(values);
        second.extend_from_slice(&picked[..picked_len]);
        if let Some(more) = scale::decimal_places(&second, 0)
            && more != places
        {
            image = Image::Decimal { places: more };
            misses = image::forward(image, values, &mut numbers, &mut corrections);
        }
    }
    Candidate::of(image, numbers, corrections, misses, work)
}

/// Different values in order, and for each value which of them it is.
struct Dictionary {
    entries: Vec<f64>,
    indices: Vec<i64>,
}

/// Slots of the hash table: a power of two, twice the entries.
const SLOTS: usize = 512;

/// The dictionary of values; `None` where too many differ.
fn dictionary(values: &[f64]) -> Option<Dictionary> {
    let limit = MAX_ENTRIES.min(values.len() / 2);
    let mut slots = [u16::MAX; SLOTS];
    let mut entries: Vec<u64> = Vec::with_capacity(limit);
    let mut ranks = Vec::with_capacity(values.len());
    for value in values {
        let bits = value.to_bits();
        let hash = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55;
        let mut slot = usize::try_from(hash).unwrap_or(0) % SLOTS;
        loop {
            match entries.get(usize::from(slots[slot])) {
                Some(&entry) if entry == bits => break,
                Some(_) => slot = (slot + 1) % SLOTS,
                None if entries.len() == limit => return None,
                None => {
                    slots[slot] = u16::try_from(entries.len()).ok()?;
                    entries.push(bits);
                    break;
                }
            }
        }
        ranks.push(slots[slot]);
    }
    let mut order: Vec<u16> = (0..u16::try_from(entries.len()).ok()?).collect();
    order.sort_unstable_by_key(|&at| image::ordered(entries[usize::from(at)].cast_signed()));
    let mut rank_of = vec![0; entries.len()];
    for (rank, &at) in (0..).zip(&order) {
        rank_of[usize::from(at)] = rank;
    }
    Some(Dictionary {
        entries: order
            .iter()
            .map(|&at| f64::from_bits(entries[usize::from(at)]))
            .collect(),
        indices: ranks.iter().map(|&at| rank_of[usize::from(at)]).collect(),
    })
}

/// Whether a sample has a value twice.
fn repeats_itself(values: &[f64]) -> bool {
    let (picked, len) = scale::sample(values);
    let mut bits = picked.map(f64::to_bits);
    bits[..len].sort_unstable();
    bits[..len]
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .count()
        > len / 16
}

/// Appends the column of at least one value to `out`.
pub(super) fn write(values: &[f64], work: &mut Work, out: &mut Vec<u8>) {
    let best = best_plain(values, work);
    let len = u32::try_from(values.len()).unwrap_or(u32::MAX);
    if best.bits > DICTIONARY_BITS * len
        && repeats_itself(values)
        && let Some(dictionary) = dictionary(values)
    {
        let entries = best_plain(&dictionary.entries, work);
        let plan = plan::plan(&dictionary.indices, Content::Values, work);
        if 16 + entries.bits + plan.bits < best.bits {
            let last = u32::try_from(dictionary.entries.len() - 1).unwrap_or(0);
            out.extend([DICTIONARY, low_byte(last)]);
            entries.write(work, out);
            plan::write(&dictionary.indices, &plan, work, out);
            return;
        }
    }
    best.write(work, out);
}

/// Fills `values` from their column.
pub(super) fn read(reader: &mut Reader, values: &mut [f64]) -> Result<()> {
    let tag = reader.byte()?;
    if tag & KIND_MASK == DICTIONARY {
        if tag != DICTIONARY {
            return Err(Error::Corrupt { what: "image" });
        }
        return read_dictionary(reader, values);
    }
    read_plain(tag, reader, values)
}

fn read_plain(tag: u8, reader: &mut Reader, values: &mut [f64]) -> Result<()> {
    let places = tag >> PLACES_SHIFT;
    let image = match tag & KIND_MASK {
        BITS if places == 0 => Image::Bits,
        DECIMAL => Image::Decimal { places },
        RATIO => Image::Ratio {
            quotient: reader.byte()?,
            power: reader.byte()?,
            places: (places != NOT_ROUNDED).then_some(places),
        },
        _ => return Err(Error::Corrupt { what: "image" }),
    };
    column::read(&Target::of(image)?, reader, values)?;
    if tag & CORRECTED != 0 {
        column::correct(reader, values)?;
    }
    Ok(())
}

fn read_dictionary(reader: &mut Reader, values: &mut [f64]) -> Result<()> {
    let mut entries = [0.0; MAX_ENTRIES];
    let len = usize::from(reader.byte()?) + 1;
    let tag = reader.byte()?;
    read_plain(tag, reader, &mut entries[..len])?;
    let target = Target::Entries(Entries {
        values: &entries,
        len,
    });
    column::read(&target, reader, values)
}
