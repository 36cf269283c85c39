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

/// Values under an image.
struct Draft {
    image: Image,
    numbers: Vec<i64>,
    corrections: Vec<i64>,
    /// How many corrections are not 0.
    misses: usize,
}

impl Draft {
    fn new(image: Image, values: &[f64]) -> Self {
        let mut draft = Self {
            image,
            numbers: Vec::with_capacity(values.len()),
            corrections: Vec::with_capacity(values.len()),
            misses: 0,
        };
        draft.draw(image, values);
        draft
    }

    fn draw(&mut self, image: Image, values: &[f64]) {
        self.image = image;
        self.misses = image::forward(image, values, &mut self.numbers, &mut self.corrections);
    }
}

/// A draft, and how both columns will be written.
struct Candidate {
    draft: Draft,
    plan: Plan,
    correction_plan: Option<Plan>,
    bits: u32,
}

impl Candidate {
    /// The candidate of a draft; `None` where it would take `limit` bits or more.
    fn below(limit: u32, draft: Draft, work: &mut Work) -> Option<Self> {
        let mut bits = 8;
        let mut correction_plan = None;
        // The corrections first: there is less to try.
        if draft.misses > 0 {
            let limit = limit.saturating_sub(bits);
            let plan = plan::plan_below(limit, &draft.corrections, Content::Corrections, work)?;
            bits += plan.bits;
            correction_plan = Some(plan);
        }
        let limit = limit.saturating_sub(bits);
        let plan = plan::plan_below(limit, &draft.numbers, Content::Values, work)?;
        bits += plan.bits;
        Some(Self {
            draft,
            plan,
            correction_plan,
            bits,
        })
    }

    fn write(&self, work: &mut Work, out: &mut Vec<u8>) {
        let corrected = if self.correction_plan.is_some() {
            CORRECTED
        } else {
            0
        };
        match self.draft.image {
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
        plan::write(&self.draft.numbers, &self.plan, work, out);
        if let Some(plan) = &self.correction_plan {
            plan::write(&self.draft.corrections, plan, work, out);
        }
    }
}

/// The drafts of values worth a try: decimals or bit patterns, and a ratio where digits seem not
/// to end.
struct Drafts<'v> {
    values: &'v [f64],
    first: Draft,
    ratio: Option<Draft>,
}

impl<'v> Drafts<'v> {
    fn of(values: &'v [f64]) -> Self {
        let (picked, picked_len) = scale::sample(values);
        let sample = &picked[..picked_len];
        let first = match scale::decimal_places(sample, 0) {
            Some(places) => draft_decimal(values, places),
            None => Draft::new(Image::Bits, values),
        };
        let ratio = ratio_of(sample, &first).map(|image| Draft::new(image, values));
        Self {
            values,
            first,
            ratio,
        }
    }

    /// The best candidate of them; `None` where it would take `limit` bits or more.
    fn best_below(self, limit: u32, work: &mut Work) -> Option<Candidate> {
        let Self {
            values,
            first,
            ratio,
        } = self;
        let is_bits = first.image == Image::Bits;
        let best = match ratio {
            Some(ratio) => cheaper(limit, first, ratio, work),
            None => Candidate::below(limit, first, work),
        };
        let limit = best.as_ref().map_or(limit, |best| best.bits);
        if !is_bits && limit > DEAR_BITS * len_of(values) {
            let bits = Candidate::below(limit, Draft::new(Image::Bits, values), work);
            return bits.or(best);
        }
        best
    }
}

fn len_of(values: &[f64]) -> u32 {
    u32::try_from(values.len()).unwrap_or(u32::MAX)
}

/// A ratio worth a try beside a draft, if there is one: where digits seem not to end.
fn ratio_of(sample: &[f64], draft: &Draft) -> Option<Image> {
    match draft.image {
        Image::Decimal { .. } if draft.misses > 0 => scale::ratio(sample, None),
        Image::Decimal { places } if places < ENDLESS_PLACES => None,
        Image::Decimal { places } => scale::ratio(sample, Some(places)),
        _ => scale::ratio(sample, None),
    }
}

/// The cheaper candidate of two drafts, the first where it makes no difference. What misses less
/// is planned first, since then the other is nearly always given up early.
fn cheaper(limit: u32, first: Draft, second: Draft, work: &mut Work) -> Option<Candidate> {
    if second.misses < first.misses {
        let second = Candidate::below(limit, second, work);
        let limit = second.as_ref().map_or(limit, |second| second.bits + 1);
        return Candidate::below(limit, first, work).or(second);
    }
    let first = Candidate::below(limit, first, work);
    let limit = first.as_ref().map_or(limit, |first| first.bits);
    Candidate::below(limit, second, work).or(first)
}

/// The decimals of so many places, or of more where that meets the values which these miss.
fn draft_decimal(values: &[f64], places: u8) -> Draft {
    let mut draft = Draft::new(Image::Decimal { places }, values);
    if draft.misses > values.len() / 32 {
        let corrected = values.iter().zip(&draft.corrections);
        let corrected = corrected.filter(|&(_, &correction)| correction != 0);
        let mut second: Vec<f64> = corrected.map(|(&value, _)| value).take(8).collect();
        let (picked, picked_len) = scale::sample(values);
        second.extend_from_slice(&picked[..picked_len]);
        if let Some(more) = scale::decimal_places(&second, 0)
            && more != places
        {
            draft.draw(Image::Decimal { places: more }, values);
        }
    }
    draft
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
    let ranked = entries.iter().zip(0_u16..);
    let mut order: Vec<(i64, u16)> = ranked
        .map(|(&bits, at)| (image::ordered(bits.cast_signed()), at))
        .collect();
    order.sort_unstable();
    let mut rank_of = [0; MAX_ENTRIES];
    for (rank, &(_, at)) in (0..).zip(&order) {
        rank_of[usize::from(at)] = rank;
    }
    Some(Dictionary {
        entries: order
            .iter()
            .map(|&(number, _)| f64::from_bits(image::ordered(number).cast_unsigned()))
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

/// A dictionary, and how both columns will be written.
struct DictionaryCandidate {
    entries: Candidate,
    last_entry: u8,
    indices: Vec<i64>,
    plan: Plan,
    bits: u32,
}

impl DictionaryCandidate {
    /// The dictionary of values; `None` where there is none, or it would take `limit` bits or
    /// more.
    fn below(limit: u32, values: &[f64], work: &mut Work) -> Option<Self> {
        let head_bits = 16;
        let Dictionary { entries, indices } = dictionary(values)?;
        let limit = limit.saturating_sub(head_bits);
        let plan = plan::plan_below(limit, &indices, Content::Values, work)?;
        let last_entry = low_byte(len_of(&entries) - 1);
        let entries = Drafts::of(&entries).best_below(limit - plan.bits, work)?;
        Some(Self {
            bits: head_bits + plan.bits + entries.bits,
            entries,
            last_entry,
            indices,
            plan,
        })
    }

    fn write(&self, work: &mut Work, out: &mut Vec<u8>) {
        out.extend([DICTIONARY, self.last_entry]);
        self.entries.write(work, out);
        plan::write(&self.indices, &self.plan, work, out);
    }
}

/// Appends the column of at least one value to `out`.
pub(super) fn write(values: &[f64], work: &mut Work, out: &mut Vec<u8>) {
    let drafts = Drafts::of(values);
    let cheap_bits = DICTIONARY_BITS * len_of(values);
    // A dictionary nearly always wins where digits seem not to end: the others are then given up
    // early.
    let (mut dictionary, mut limit) = (None, plan::NO_LIMIT);
    let is_first = drafts.ratio.is_some() && repeats_itself(values);
    if is_first {
        dictionary = DictionaryCandidate::below(limit, values, work);
        limit = dictionary
            .as_ref()
            .map_or(limit, |one| one.bits.max(cheap_bits) + 1);
    }
    let plain = drafts.best_below(limit, work);
    if let Some(plain) = &plain {
        // Where the dictionary came first, it has lost by now.
        let is_tried = !is_first && plain.bits > cheap_bits && repeats_itself(values);
        let below = || DictionaryCandidate::below(plain.bits, values, work);
        dictionary = is_tried.then(below).flatten();
    }
    match (dictionary, plain) {
        (Some(dictionary), _) => dictionary.write(work, out),
        (None, Some(plain)) => plain.write(work, out),
        (None, None) => unreachable!("BUG: values without limit have an image"),
    }
}

/// Appends the `count` values of a column to `out`.
pub(super) fn read(reader: &mut Reader, count: usize, out: &mut Vec<f64>) -> Result<()> {
    let tag = reader.byte()?;
    if tag & KIND_MASK == DICTIONARY {
        if tag != DICTIONARY {
            return Err(Error::Corrupt { what: "image" });
        }
        return read_dictionary(reader, count, out);
    }
    read_plain(tag, reader, count, out)
}

fn read_plain(tag: u8, reader: &mut Reader, count: usize, out: &mut Vec<f64>) -> Result<()> {
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
    let start = out.len();
    column::read(&Target::of(image)?, reader, count, out)?;
    if tag & CORRECTED != 0 {
        column::correct(reader, &mut out[start..])?;
    }
    Ok(())
}

fn read_dictionary(reader: &mut Reader, count: usize, out: &mut Vec<f64>) -> Result<()> {
    let len = usize::from(reader.byte()?) + 1;
    if len > count {
        return Err(Error::Corrupt {
            what: "more entries than values",
        });
    }
    let tag = reader.byte()?;
    // The entries are read to where the values will be, and make room for them.
    let start = out.len();
    read_plain(tag, reader, len, out)?;
    let mut entries = [0.0; MAX_ENTRIES];
    entries[..len].copy_from_slice(&out[start..]);
    out.truncate(start);
    let target = Target::Entries(Entries {
        values: &entries,
        len,
    });
    column::read(&target, reader, count, out)
}
