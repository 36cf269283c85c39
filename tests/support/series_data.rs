//! Sensor series of our own making, for tests and benches; and the reader of recorded ones.
//!
//! Each series imitates what one kind of device reports: how it rounds, how its clock slips, and
//! how often nothing changes. Those three decide what a codec can save. The same seed gives the
//! same samples on every machine: only +, -, *, / and `round` are used, which are exact everywhere.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Samples in a generated series.
pub(crate) const SAMPLES: usize = 8_192;
/// 2024-01-01 00:00:00 UTC.
const START_MS: i64 = 1_704_067_200_000;

const SEED_TEMPERATURE: u64 = 0x7465_6d70;
const SEED_HUMIDITY: u64 = 0x6875_6d69;
const SEED_COUNTER: u64 = 0x636f_756e;
const SEED_STATE: u64 = 0x7374_6174;
const SEED_BATTERY: u64 = 0x6261_7474;
const SEED_LATITUDE: u64 = 0x6c61_7469;
const SEED_WALK: u64 = 0x7761_6c6b;
const SEED_SPARSE: u64 = 0x7370_6172;

/// A named series, a column each for times (strictly rising) and values.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    /// What it is, in one word.
    pub(crate) name: String,
    /// Milliseconds since 1970.
    pub(crate) times: Vec<i64>,
    /// One value a time.
    pub(crate) values: Vec<f64>,
}

/// `SplitMix64` (Steele, Lea, Flood 2014): ten lines, and every seed is a good one.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    /// The stream of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Uniform in `0..bound`, for a `bound` of 1 or more far below 2^64.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }

    /// Uniform in `-spread..=spread`.
    pub(crate) fn jitter(&mut self, spread: u32) -> i64 {
        let width = 2 * u64::from(spread) + 1;
        i64::try_from(self.below(width)).unwrap_or(0) - i64::from(spread)
    }

    /// Bell-shaped around 0 with deviation 1: twelve uniforms less their mean, no `ln` or `cos`.
    pub(crate) fn bell(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// Uniform in 0..1, 32 bits fine.
    fn unit(&mut self) -> f64 {
        let high = u32::try_from(self.next_u64() >> 32).unwrap_or(0);
        f64::from(high) / 4_294_967_296.0
    }
}

/// The eight generated series.
pub(crate) fn generated() -> Vec<Recording> {
    vec![
        temperature(),
        humidity(),
        counter(),
        state(),
        battery(),
        latitude(),
        walk(),
        sparse(),
    ]
}

/// The recorded series in the folder named by `IOT_DATA`, or else in `../shared/data` beside the
/// crate; sorted by name. `None` where there is no such folder.
///
/// A file is little-endian: `i64 n`, then n times `i64`, then n values `f64`.
///
/// # Errors
/// Where the folder exists and cannot be read.
pub(crate) fn recorded() -> io::Result<Option<(PathBuf, Vec<Recording>)>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = env::var_os("IOT_DATA").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        return Ok(None);
    }
    let mut recordings = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "bin") {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let (times, values) =
                columns_of(&fs::read(&path)?).ok_or(io::ErrorKind::InvalidData)?;
            recordings.push(Recording {
                name,
                times,
                values,
            });
        }
    }
    recordings.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Some((folder, recordings)))
}

fn columns_of(bytes: &[u8]) -> Option<(Vec<i64>, Vec<f64>)> {
    let (words, _) = bytes.as_chunks::<8>();
    let (count, rest) = words.split_first()?;
    let count = usize::try_from(i64::from_le_bytes(*count)).ok()?;
    let (times, values) = rest.split_at_checked(count)?;
    let times = times.iter().map(|&word| i64::from_le_bytes(word)).collect();
    let values: Vec<f64> = values
        .iter()
        .map(|&word| f64::from_le_bytes(word))
        .collect();
    (values.len() == count).then_some((times, values))
}

/// `SAMPLES` steps of `step`, which sees the last time and value and gives the next.
fn series(name: &str, first: f64, mut step: impl FnMut(i64) -> (i64, f64)) -> Recording {
    let mut times = vec![START_MS];
    let mut values = vec![first];
    let mut time_ms = START_MS;
    for _ in 1..SAMPLES {
        let (delta_ms, value) = step(time_ms);
        time_ms += delta_ms;
        times.push(time_ms);
        values.push(value);
    }
    Recording {
        name: name.to_owned(),
        times,
        values,
    }
}

/// As a device prints it: a whole number of `1 / scale`, and the nearest double to that.
fn rounded(value: f64, scale: f64) -> f64 {
    (value * scale).round() / scale
}

/// A room thermometer: 0.1 °C, every 10 s on the dot.
fn temperature() -> Recording {
    let mut random = SplitMix64::new(SEED_TEMPERATURE);
    let mut degrees = 21.5;
    series("temperature", 21.5, move |_| {
        degrees += 0.04 * random.bell() - 0.002 * (degrees - 21.5);
        (10_000, rounded(degrees, 10.0))
    })
}

/// A radio hygrometer: 0.01 %, every 30 s, the network late or early by up to 50 ms.
fn humidity() -> Recording {
    let mut random = SplitMix64::new(SEED_HUMIDITY);
    let (mut percent, mut slip_ms) = (55.0, 0);
    series("humidity", 55.0, move |_| {
        percent += 0.1 * random.bell() - 0.001 * (percent - 55.0);
        let old_ms = slip_ms;
        slip_ms = random.jitter(50);
        (30_000 + slip_ms - old_ms, rounded(percent, 100.0))
    })
}

/// A pulse counter, read every second.
fn counter() -> Recording {
    let mut random = SplitMix64::new(SEED_COUNTER);
    let mut pulses = 1_000_000_u32;
    series("counter", f64::from(pulses), move |_| {
        pulses += u32::try_from(random.below(12)).unwrap_or(0);
        (1_000, f64::from(pulses))
    })
}

/// A door contact, polled every second; it changes about twice in 100 polls.
fn state() -> Recording {
    let mut random = SplitMix64::new(SEED_STATE);
    let mut open = false;
    series("state", 0.0, move |_| {
        open ^= random.below(50) == 0;
        (1_000 + random.jitter(3) / 3, f64::from(u8::from(open)))
    })
}

/// A battery that drains: 1 mV of resolution, noise of 2 mV, once a minute.
fn battery() -> Recording {
    let mut random = SplitMix64::new(SEED_BATTERY);
    let mut volts = 4.15;
    series("battery", 4.15, move |_| {
        volts -= 0.000_05;
        (60_000, rounded(volts + 0.002 * random.bell(), 1e3))
    })
}

/// A vehicle's latitude: 7 decimals, about once a second.
fn latitude() -> Recording {
    let mut random = SplitMix64::new(SEED_LATITUDE);
    let (mut degrees, mut speed) = (52.520_006_6, 0.0);
    series("latitude", 52.520_006_6, move |_| {
        speed = 0.98 * speed + 0.000_02 * random.bell();
        degrees += speed;
        (1_000 + random.jitter(20), rounded(degrees, 1e7))
    })
}

/// A computed value with all its digits; nothing to save but the sign and the exponent.
fn walk() -> Recording {
    let mut random = SplitMix64::new(SEED_WALK);
    let mut value = 100.0;
    series("walk", 100.0, move |_| {
        value += 0.3 * random.bell();
        (1_000, value)
    })
}

/// A device that sleeps: 0.01 °C at about 5 min, now and then hours without a word.
fn sparse() -> Recording {
    let mut random = SplitMix64::new(SEED_SPARSE);
    let mut degrees = 8.0;
    series("sparse", 8.0, move |_| {
        degrees += 0.05 * random.bell();
        let gap_ms = if random.below(40) == 0 {
            3_600_000 * (1 + random.jitter(1).abs())
        } else {
            0
        };
        (300_000 + gap_ms, rounded(degrees, 100.0))
    })
}
