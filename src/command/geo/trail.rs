//! `IOT.TRAIL`: where a device was.
//!
//! ```text
//! IOT.TRAIL fleet device from to [SIMPLIFY m] [COUNT n] [GEOJSON]
//! ```
//!
//! Distance and duration are those of the whole trail in the range; `SIMPLIFY` leaves out points that
//! are within so many metres of the line without them, and `COUNT` all but the newest.

use super::fields::{Fields, shortest};
use super::metres;
use super::paging::Paging;
use crate::command::Command;
use crate::command::args::Args;
use crate::command::creation::set;
use crate::command::error::{Error, Result, Token};
use crate::command::host::{Host, Name, Query, Reply, Run};
use crate::command::number;
use crate::command::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::fleet::{Fleet, Past, Position};
use crate::engine::geo::{Point, distance_m, simplify};
use crate::engine::query::{Cost, Halted, Watch};
use crate::engine::{TimeRange, Timestamp};

/// `IOT.TRAIL`.
#[derive(Debug)]
pub struct Trail;

impl Command for Trail {
    const SPEC: Spec = Spec {
        name: "IOT.TRAIL",
        arity: -5,
        effect: Effect::Read,
        fast: false,
        keys: Keys::First,
        access: Access::Read,
        summary: "The positions of a device in a range of times, with distance and duration",
        since: "0.1.0",
        complexity: "O(N) where N is the number of positions; O(N * log(N)) with SIMPLIFY",
        args: &[
            Arg::named_key("fleet"),
            Arg::value("device", ArgKind::String),
            Arg::value("from", ArgKind::String),
            Arg::value("to", ArgKind::String),
            Arg::option("SIMPLIFY", "metres", ArgKind::Double),
            Arg::option("COUNT", "count", ArgKind::Integer),
            Arg::flag("GEOJSON"),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = args.key()?;
        let device = args.take("device")?;
        let from = time(args.take("from")?, b"-", Timestamp::MIN)?;
        let to = time(args.take("to")?, b"+", Timestamp::MAX)?;
        let (mut tolerance_m, mut paging, mut is_geojson) = (None, Paging::default(), false);
        while !args.is_empty() {
            if args.keyword("SIMPLIFY") {
                const INVALID: &str = "SIMPLIFY must be a number of metres of at least 0";
                set(
                    &mut tolerance_m,
                    "SIMPLIFY",
                    metres(&mut args, "SIMPLIFY", INVALID)?,
                )?;
            } else if args.keyword("GEOJSON") {
                is_geojson = true;
            } else if !paging.take_count(&mut args)? {
                args.finish()?;
            }
        }
        let fleet = host.read_value::<Fleet>(Name::from(key)).optional()?;
        let number = fleet.as_ref().and_then(|fleet| fleet.number(device));
        let (Some(fleet), Some(number)) = (fleet.as_deref(), number) else {
            host.reply().null();
            return Ok(());
        };
        host.answer(Question {
            device: device.into(),
            past: fleet.past(number, TimeRange::new(from, to)),
            tolerance_m,
            most: paging.most(i64::MAX, &host.limits()),
            is_geojson,
        })
    }
}

/// A part of a trail, and how it is to be told.
struct Question<'f> {
    device: Box<[u8]>,
    past: Past<'f>,
    tolerance_m: Option<f64>,
    most: usize,
    is_geojson: bool,
}

/// What is told of a trail.
struct Told {
    shown: Vec<Position>,
    distance_m: f64,
    duration_ms: i64,
}

impl Question<'_> {
    fn told(&self, watch: &impl Watch) -> Result<Told, Halted> {
        let mut shown = self.past.positions(watch)?;
        let distance_m = length_m(&shown, watch)?;
        let duration_ms = match (shown.first(), shown.last()) {
            (Some(first), Some(last)) => last.time_ms.saturating_sub(first.time_ms),
            _ => 0,
        };
        if let Some(tolerance_m) = self.tolerance_m {
            let points: Vec<Point> = shown.iter().map(|position| position.point).collect();
            let kept = simplify(&points, tolerance_m, watch)?;
            shown = kept.into_iter().map(|place| shown[place]).collect();
        }
        shown.drain(..shown.len().saturating_sub(self.most));
        Ok(Told {
            shown,
            distance_m,
            duration_ms,
        })
    }
}

/// The sum of the steps between positions.
fn length_m(all: &[Position], watch: &impl Watch) -> Result<f64, Halted> {
    /// Steps between two questions to the watch.
    const STRETCH: usize = 512;
    let mut length_m = 0.0;
    for (at, pair) in all.windows(2).enumerate() {
        if at % STRETCH == 0 && !watch.permits(STRETCH.min(all.len() - at)) {
            return Err(Halted);
        }
        length_m += distance_m(pair[0].point, pair[1].point);
    }
    Ok(length_m)
}

impl Query for Question<'_> {
    type Detached = Question<'static>;

    fn cost(&self, _enough: u64) -> Cost {
        // Decoded and measured; and gone through some times.
        let times = if self.tolerance_m.is_some() { 8 } else { 2 };
        Cost {
            samples: (self.past.cost() * times) as u64,
            blocks: 0,
            ..Cost::default()
        }
    }

    fn detach(self) -> Question<'static> {
        Question {
            past: self.past.detached(),
            device: self.device,
            tolerance_m: self.tolerance_m,
            most: self.most,
            is_geojson: self.is_geojson,
        }
    }

    fn answer(&self, run: &impl Run, reply: &impl Reply) -> Result<()> {
        run.admit(self.cost(u64::MAX))?;
        let told = self.told(run).map_err(|Halted| run.why_halted())?;
        if self.is_geojson {
            reply.bulk(geojson(&self.device, &told).as_bytes());
        } else {
            reply_rows(reply, &told);
        }
        Ok(())
    }
}

fn time(text: &[u8], open: &[u8], end: Timestamp) -> Result<Timestamp> {
    if text == open {
        return Ok(end);
    }
    number::whole(text)
        .ok_or_else(|| Error::Invalid("not a time in milliseconds, - or +", Token::from(text)))
}

fn reply_rows(reply: &impl Reply, told: &Told) {
    reply.map(3);
    reply.bulk(b"points");
    reply.array(told.shown.len());
    for position in &told.shown {
        reply.row(
            position.time_ms,
            &[position.point.lon(), position.point.lat()],
        );
    }
    reply.bulk(b"distance");
    reply.number(told.distance_m);
    reply.bulk(b"duration");
    reply.integer(told.duration_ms);
}

/// A feature: a line, or a point where there is but one position, with the times beside.
fn geojson(device: &[u8], told: &Told) -> String {
    let pair = |position: &Position| {
        let (lon, lat) = (position.point.lon(), position.point.lat());
        format!("[{},{}]", shortest(lon), shortest(lat))
    };
    let pairs: Vec<String> = told.shown.iter().map(pair).collect();
    let geometry = match &pairs[..] {
        [] => "null".to_owned(),
        [one] => format!("{{\"type\":\"Point\",\"coordinates\":{one}}}"),
        line => format!(
            "{{\"type\":\"LineString\",\"coordinates\":[{}]}}",
            line.join(",")
        ),
    };
    let times: Vec<String> = told
        .shown
        .iter()
        .map(|position| position.time_ms.to_string())
        .collect();
    let mut properties = Fields::default();
    properties.text("device", device);
    properties.number("distance", told.distance_m);
    properties.integer("duration", told.duration_ms);
    properties.numbers("times", &times);
    format!(
        "{{\"type\":\"Feature\",\"geometry\":{geometry},\"properties\":{}}}",
        properties.to_json()
    )
}
