//! Every way of packing a block is chosen where it fits, and its bytes stay as they are.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use redis_iot::engine::codec::Columns;
use redis_iot::engine::codec::packed::{self, Scratch};

#[path = "support/series_data.rs"]
#[allow(dead_code, reason = "shared with benches and other tests")]
mod series_data;
use series_data::SplitMix64;

const SEED_SHAPES: u64 = 0x7368_6170;
/// 2024-01-01 00:00:00 UTC.
const START_MS: i64 = 1_704_067_200_000;

fn encode(times: &[i64], values: &[f64]) -> Vec<u8> {
    packed::encode(times, values, &mut Scratch::default())
}

/// A named series that one way of packing fits best.
struct Shape {
    name: &'static str,
    times: Vec<i64>,
    values: Vec<f64>,
    /// How its times and its values are packed, as [`describe`] tells.
    packing: (&'static str, &'static str),
}

fn times_of(mut step: impl FnMut(i64) -> i64) -> Vec<i64> {
    let mut time_ms = START_MS;
    (0..512)
        .map(|index| {
            time_ms += step(index);
            time_ms
        })
        .collect()
}

fn values_of(mut value: impl FnMut(i32) -> f64) -> Vec<f64> {
    (0..512).map(&mut value).collect()
}

fn regular() -> Vec<i64> {
    times_of(|_| 10_000)
}

/// A walk in steps of -`spread`..=`spread`.
fn walk(random: &SplitMix64, start: i32, spread: u32) -> impl FnMut() -> i32 + use<> {
    let mut random = random.clone();
    let mut level = start;
    move || {
        level += i32::try_from(random.jitter(spread)).unwrap();
        level
    }
}

fn shapes() -> Vec<Shape> {
    let mut shapes = shapes_of_times();
    shapes.extend(shapes_of_decimals());
    shapes.extend(shapes_of_images());
    shapes
}

fn shapes_of_times() -> Vec<Shape> {
    let mut random = SplitMix64::new(SEED_SHAPES);
    let constant = values_of(|_| 21.5);
    let mut slip_ms = 0;
    let jitter = times_of(|_| {
        let old_ms = slip_ms;
        slip_ms = random.jitter(50);
        30_000 + slip_ms - old_ms
    });
    let irregular = times_of(|_| 1 + i64::try_from(random.below(9_000)).unwrap());
    let seconds = times_of(|_| 1_000 * (1 + i64::try_from(random.below(40)).unwrap()));
    let slower = times_of(|index| 1_000 + index / 4 * 100);
    let gaps = times_of(|index| if index % 97 == 50 { 3_600_123 } else { 5_000 });
    let shape = |name, times, packing| Shape {
        name,
        times,
        values: constant.clone(),
        packing: (packing, "decimal last constant"),
    };
    vec![
        shape("times-regular", regular(), "last constant"),
        shape("times-jitter", jitter, "line packed"),
        shape("times-irregular", irregular, "last packed"),
        shape("times-seconds", seconds, "last packed divided"),
        shape("times-slower", slower, "trend sparse divided"),
        shape("times-gaps", gaps, "last packed"),
    ]
}

fn shapes_of_decimals() -> Vec<Shape> {
    let mut random = SplitMix64::new(SEED_SHAPES + 1);
    let shape = |name, values, packing| Shape {
        name,
        times: regular(),
        values,
        packing: ("last constant", packing),
    };
    let mut level = walk(&random, 2_000, 40);
    let drifting = values_of(|_| f64::from(level()) / 100.0);
    let noise = values_of(|_| f64::from(i32::try_from(random.jitter(3_000)).unwrap()) / 10.0);
    let mut level = walk(&random, 2_000, 9);
    let spikes = values_of(|index| {
        let spike = if index % 40 == 7 { 1_000_000 } else { 0 };
        f64::from(level() + spike) / 100.0
    });
    let mut level = walk(&random, 100, 5);
    let mut position = 0;
    let smooth = values_of(|_| {
        position += 100_000 + level();
        f64::from(position) / 1e7
    });
    let mut level = walk(&random, 300, 15);
    let sixteenths = values_of(|_| f64::from(level()) / 16.0);
    let mut meter = 0;
    let sparse_meter = values_of(|index| {
        if index % 5 == 0 {
            meter += 1 + i32::try_from(random.below(100_000)).unwrap();
        }
        f64::from(meter)
    });
    let mut state = 0.0;
    let set_point = values_of(|_| {
        if random.below(4) == 0 {
            state = f64::from(u32::try_from(random.below(60_000)).unwrap()) / 10.0;
        }
        state
    });
    let large = values_of(|index| 4.0e15 + 2.0 * f64::from(index * index % 1_000));
    vec![
        shape("decimal-drifting", drifting, "decimal last packed"),
        shape("decimal-noise", noise, "decimal none packed"),
        shape("decimal-spikes", spikes, "decimal last packed"),
        shape("decimal-smooth", smooth, "decimal trend packed"),
        shape(
            "decimal-sixteenths",
            sixteenths,
            "decimal last packed divided",
        ),
        shape("decimal-meter", sparse_meter, "decimal last sparse"),
        shape("decimal-set-point", set_point, "decimal none sparse"),
        shape(
            "decimal-ramp",
            values_of(|i| f64::from(7 * i) / 10.0),
            "decimal last constant",
        ),
        shape("integers-large", large, "bits trend packed divided"),
    ]
}

fn shapes_of_images() -> Vec<Shape> {
    let mut random = SplitMix64::new(SEED_SHAPES + 2);
    let shape = |name, values, packing| Shape {
        name,
        times: regular(),
        values,
        packing: ("last constant", packing),
    };
    let mut level = walk(&random, 2_000, 30);
    let multiplied = values_of(|_| f64::from(level()) * 0.01);
    let mut level = walk(&random, 2_000, 30);
    let holes = values_of(|index| match index % 50 {
        3 => f64::NAN,
        17 => -0.0,
        29 => f64::INFINITY,
        _ => f64::from(level()) / 10.0,
    });
    let mut level = walk(&random, 60_000, 900);
    let thirds = values_of(|_| f64::from(level()) / 300.0);
    let mut level = walk(&random, 30_000, 900);
    let printed_thirds = values_of(|_| {
        let digits = (f64::from(level()) * 1e11 / 3.0).round();
        digits / 1e13
    });
    let full = values_of(|_| f64::from_bits(0x4050_0000_0000_0000 | random.next_u64() >> 14));
    let codes = [17.25, -3.875e9, 0.1, 6.02e23, 1e-9, f64::NAN];
    let dictionary = values_of(|_| codes[usize::try_from(random.below(6)).unwrap()]);
    let mut code = 0;
    let slow_dictionary = values_of(|_| {
        if random.below(5) == 0 {
            code = usize::try_from(random.below(6)).unwrap();
        }
        codes[code]
    });
    vec![
        shape(
            "corrected-multiplied",
            multiplied,
            "decimal corrected last packed",
        ),
        shape("corrected-holes", holes, "decimal corrected last packed"),
        shape("ratio-thirds", thirds, "ratio last packed"),
        shape("ratio-printed", printed_thirds, "ratio rounded last packed"),
        shape("bits-full", full, "bits none packed"),
        shape("dictionary", dictionary, "dictionary"),
        shape("dictionary-slow", slow_dictionary, "dictionary"),
    ]
}

/// How a block is packed, read from its bytes as the format says: times, values.
fn describe(block: &[u8]) -> (String, String) {
    // Behind the first value.
    let (size, rest) = match &block[8..] {
        [low, high, rest @ ..] if low & 0x80 != 0 => {
            (usize::from(low & 0x7f) | usize::from(*high) << 7, rest)
        }
        [low, rest @ ..] => (usize::from(*low), rest),
        [] => panic!("a block of no bytes"),
    };
    let (times, values) = rest.split_at(size);
    let tag = values[0];
    let corrected = if tag & 4 != 0 { " corrected" } else { "" };
    let values = match tag & 3 {
        0 => format!("bits{corrected} {}", describe_column(&values[1..])),
        1 => format!("decimal{corrected} {}", describe_column(&values[1..])),
        2 => {
            let rounded = if tag >> 3 == 31 { "" } else { " rounded" };
            format!(
                "ratio{rounded}{corrected} {}",
                describe_column(&values[3..])
            )
        }
        _ => "dictionary".to_owned(),
    };
    (describe_column(times), values)
}

fn describe_column(column: &[u8]) -> String {
    let predictor = ["none", "last", "trend", "line"][usize::from(column[0] & 3)];
    let layout = ["packed", "constant", "sparse", "holes"][usize::from(column[0] >> 2 & 3)];
    let divided = if column[0] & 16 != 0 { " divided" } else { "" };
    format!("{predictor} {layout}{divided}")
}

#[test]
fn every_way_of_packing_is_chosen_where_it_fits() {
    for shape in shapes() {
        let block = encode(&shape.times, &shape.values);
        let mut columns = Columns::default();
        packed::decode(&block, shape.times.len(), &mut columns).unwrap();
        assert_eq!(columns.times, shape.times, "{}", shape.name);
        let bits = |values: &[f64]| {
            values
                .iter()
                .map(|value| value.to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(bits(&columns.values), bits(&shape.values), "{}", shape.name);
        let (times, values) = describe(&block);
        assert_eq!(
            (times.as_str(), values.as_str()),
            shape.packing,
            "{}",
            shape.name
        );
    }
}

/// The format must not change silently: stored blocks are read by later releases, and on other
/// processors. One line of hexadecimal digits for each shape.
#[test]
fn the_bytes_of_every_shape_stay_as_they_are() {
    let mut lines = String::new();
    for shape in shapes() {
        lines.push_str(shape.name);
        lines.push(' ');
        for byte in encode(&shape.times, &shape.values) {
            write!(lines, "{byte:02x}").unwrap();
        }
        lines.push('\n');
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/packed_shapes.hex");
    if std::env::var_os("IOT_WRITE_GOLDEN").is_some() && !file.exists() {
        fs::write(&file, &lines).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), lines);
}
