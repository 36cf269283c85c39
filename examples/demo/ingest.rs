//! Writes what the vans report into the server, as a gateway would: a pipeline a second.

use redis::{Cmd, Connection, Pipeline, RedisResult, cmd, pipe};

use crate::city;
use crate::seen::{EVENTS, FENCES, FLEET, series};
use crate::simulation::{READING_EVERY_S, Simulation};
use crate::zones;

/// The history is sent in parts of so many seconds.
const PART_S: i64 = 300;
/// So much of the history has positions too, one every `POSITION_EVERY_S` seconds.
const TRAIL_S: i64 = 3_600;
const POSITION_EVERY_S: i64 = 5;
/// Positions that the fleet remembers of each van.
const TRAIL: i64 = TRAIL_S / POSITION_EVERY_S;
/// Events that the stream keeps.
const EVENTS_KEPT: usize = 10_000;

/// A connection that writes.
pub(crate) struct Ingest {
    connection: Connection,
}

/// How much of the history is in the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) samples: usize,
    pub(crate) positions: usize,
    /// Samples when all are there.
    pub(crate) of: usize,
    /// The simulated time up to which they are.
    pub(crate) time_ms: i64,
}

impl Ingest {
    /// Writes through a connection.
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Removes what an earlier demo has left, and creates the fleet, its fences and its series.
    pub(crate) fn prepare(&mut self, simulation: &Simulation) -> RedisResult<()> {
        let mut batch = pipe();
        batch.cmd("UNLINK").arg(&[FLEET, FENCES, EVENTS]).ignore();
        for name in simulation.names() {
            batch.cmd("UNLINK").arg(series(name)).ignore();
        }
        batch.cmd("IOT.FLEET").arg(&["CREATE", FLEET]);
        batch.arg("TRAIL").arg(TRAIL).ignore();
        for name in simulation.names() {
            batch.cmd("IOT.CREATE").arg(series(name)).arg("LABELS");
            batch.arg(&["vehicle", name, "kind", "cargo", "city", city::NAME]);
            batch.ignore();
        }
        for fence in zones::fences() {
            batch.cmd("IOT.FENCE").arg(&["ADD", FENCES]).arg(fence);
            batch.ignore();
        }
        batch.query(&mut self.connection)
    }

    /// Simulates `history_s` seconds and loads their temperatures, and the last positions. Says how
    /// far it is after each part, and ends early if the answer is `false`.
    pub(crate) fn load(
        &mut self,
        simulation: &mut Simulation,
        history_s: i64,
        mut go_on: impl FnMut(Loaded) -> bool,
    ) -> RedisResult<Loaded> {
        let each = usize::try_from(history_s / READING_EVERY_S).unwrap_or_default();
        let mut loaded = Loaded {
            of: each * simulation.names().count(),
            ..Loaded::default()
        };
        for part in 0..history_s / PART_S {
            if !go_on(loaded) {
                return Ok(loaded);
            }
            let has_trail = (part + 1) * PART_S > history_s - TRAIL_S;
            let recorded = Part::record(simulation, has_trail);
            recorded.batch().query::<()>(&mut self.connection)?;
            loaded.samples += recorded.samples.iter().map(Vec::len).sum::<usize>();
            loaded.positions += recorded.positions;
            loaded.time_ms = simulation.time_ms();
        }
        go_on(loaded);
        Ok(loaded)
    }

    /// Has events written to the stream from now on.
    pub(crate) fn watch(&mut self) -> RedisResult<()> {
        cmd("IOT.FENCE")
            .arg(&["BIND", FLEET, FENCES, "STREAM", EVENTS])
            .arg("MAXLEN")
            .arg(EVENTS_KEPT)
            .exec(&mut self.connection)
    }

    /// Lets a second pass and sends what the vans report.
    pub(crate) fn second(&mut self, simulation: &mut Simulation) -> RedisResult<()> {
        simulation.step();
        let time_ms = simulation.time_ms();
        let mut batch = pipe();
        for report in simulation.reports() {
            let [lon, lat] = report.fix.place.degrees();
            batch.cmd("IOT.TRACK").arg(FLEET).arg(report.name);
            batch.arg(lon).arg(lat).arg("TS").arg(time_ms);
            batch.arg("SPEED").arg(tenths(report.fix.speed_mps));
            batch.arg("HEADING").arg(tenths(report.fix.heading));
            let doors = i32::from(report.fix.doors_are_open);
            batch.arg(&["FIELDS", "1", "doors"]).arg(doors).ignore();
            if let Some(reading) = report.reading {
                batch.cmd("IOT.ADD").arg(series(report.name));
                batch.arg(time_ms).arg(reading).ignore();
            }
        }
        batch.query(&mut self.connection)
    }
}

/// A part of the history, ready to be sent.
struct Part {
    keys: Vec<String>,
    /// For each van, its times and temperatures.
    samples: Vec<Vec<(i64, f64)>>,
    track: Cmd,
    positions: usize,
}

impl Part {
    fn record(simulation: &mut Simulation, has_trail: bool) -> Self {
        let keys: Vec<String> = simulation.names().map(series).collect();
        let mut part = Self {
            samples: vec![Vec::new(); keys.len()],
            keys,
            track: cmd("IOT.MTRACK"),
            positions: 0,
        };
        part.track.arg(FLEET);
        for second in 0..PART_S {
            simulation.step();
            let time_ms = simulation.time_ms();
            let is_tracked = has_trail && second % POSITION_EVERY_S == 0;
            for (report, samples) in simulation.reports().zip(&mut part.samples) {
                samples.extend(report.reading.map(|reading| (time_ms, reading)));
                if is_tracked {
                    let [lon, lat] = report.fix.place.degrees();
                    part.track.arg(report.name).arg(lon).arg(lat).arg(time_ms);
                    part.positions += 1;
                }
            }
        }
        part
    }

    fn batch(&self) -> Pipeline {
        let mut batch = pipe();
        for (key, samples) in self.keys.iter().zip(&self.samples) {
            batch.cmd("IOT.ADDBULK").arg(key).arg("SAMPLES");
            for (time_ms, value) in samples {
                batch.arg(time_ms).arg(value);
            }
            batch.ignore();
        }
        if self.positions > 0 {
            batch.add_command(self.track.clone()).ignore();
        }
        batch
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
