//! A random mix of all that may happen between a fleet and its fences.
//!
//! ```text
//! fleet cars  --> zones   z0 .. z9   plain fences, so that what is inside is a matter of places alone
//!             --> areas   a0 .. a7   fences with options
//!                 spare   z0 .. z9   changes places with zones, or takes its place
//! both bound to the stream events
//! ```

use std::collections::BTreeSet;

use redis::Value;

use super::client::Client;
use super::fences_events::{Law, check_state, fences_of, items_of, text_of};
use super::notation::render;
use super::seeds::Random;
use super::server::await_that;

/// Devices of the mix.
const DEVICES: usize = 12;
/// Commands of the mix that a failure shows.
const SHOWN: usize = 40;
/// The world is so many steps wide and high; each is a hundredth of a degree.
const WORLD: i64 = 40;

/// The mix, and what is known of what it did.
#[derive(Debug)]
pub(crate) struct Mix {
    /// Where the randomness comes from.
    pub(crate) random: Random,
    /// The events so far.
    pub(crate) law: Law,
    /// The commands so far.
    pub(crate) log: Vec<String>,
    now_ms: i64,
}

impl Mix {
    /// A mix, and its bindings.
    pub(crate) fn new(seed: u64, client: &mut Client) -> Self {
        let mut mix = Self {
            random: Random::new(seed),
            law: Law::default(),
            log: Vec::new(),
            now_ms: 1_700_000_000_000,
        };
        mix.bind(client, "zones");
        mix.bind(client, "areas");
        for set in ["zones", "spare"] {
            for _ in 0..6 {
                mix.add_plain(client, set);
            }
        }
        for _ in 0..4 {
            mix.add_with_options(client);
        }
        mix
    }

    /// The names of the devices.
    pub(crate) fn devices() -> Vec<String> {
        (0..DEVICES).map(|number| format!("d{number}")).collect()
    }

    /// Does something.
    #[track_caller]
    pub(crate) fn step(&mut self, client: &mut Client) {
        match self.random.index(100) {
            0..=54 => self.track(client),
            55..=62 => self.track_many(client),
            63..=66 => {
                let line = format!("IOT.UNTRACK cars {} {}", self.device(), self.device());
                self.run(client, &line);
            }
            67..=74 => self.add_plain(client, "zones"),
            75..=80 => self.add_with_options(client),
            81..=84 => {
                let line = format!("IOT.FENCE DEL zones z{0} z{1}", self.digit(), self.digit());
                self.run(client, &line);
            }
            85..=86 => {
                let line = format!("IOT.FENCE DEL areas a{}", self.digit());
                self.run(client, &line);
            }
            87..=88 => self.add_plain(client, "spare"),
            89 => self.bind(client, "areas"),
            90 => {
                let set = self.random.pick(&["zones", "areas"]);
                self.run(client, &format!("IOT.FENCE UNBIND cars {set}"));
                if self.random.chance(50) {
                    self.track(client);
                }
                self.bind(client, set);
            }
            91..=92 => {
                for line in ["RENAME zones t", "RENAME spare zones", "RENAME t spare"] {
                    self.run(client, line);
                }
            }
            93 => {
                self.run(client, "COPY spare zones REPLACE");
            }
            94 => {
                let line = self
                    .random
                    .pick(&["DEL zones", "SET zones 1", "PEXPIRE zones 3"]);
                self.run(client, line);
                self.track(client);
                self.run(client, "COPY spare zones REPLACE");
            }
            95..=96 => self.together(client),
            _ => {
                let script = "for _ = 1, 2 do redis.call('IOT.TRACK', KEYS[1], ARGV[1], ARGV[2], \
                              ARGV[3], 'TS', ARGV[4]) end";
                let (device, point, time) = (self.device(), self.point(), self.time());
                let line = format!("EVAL \"{script}\" 1 cars {device} {point} {time}");
                self.run(client, &line);
            }
        }
    }

    /// Several commands in a transaction.
    fn together(&mut self, client: &mut Client) {
        client.expect("MULTI", "+OK");
        self.track(client);
        self.add_plain(client, "zones");
        let line = format!("IOT.UNTRACK cars {}", self.device());
        self.run(client, &line);
        self.track(client);
        client.expect("EXEC", "_");
    }

    #[track_caller]
    fn run(&mut self, client: &mut Client, line: &str) -> Value {
        self.log.push(line.to_owned());
        let reply = client.run(line);
        let may_fail = ["IOT.FENCE ADD zones", "IOT.FENCE BIND cars zones", "RENAME"];
        if matches!(reply, Value::ServerError(_))
            && !may_fail.iter().any(|begin| line.starts_with(begin))
        {
            self.fail(&format!("{line} replied {}", render(&reply)));
        }
        reply
    }

    fn device(&mut self) -> String {
        format!("d{}", self.random.index(DEVICES))
    }

    fn digit(&mut self) -> usize {
        self.random.index(8)
    }

    /// A point on the grid that fences have their corners on.
    fn point(&mut self) -> String {
        let (x, y) = (self.random.within(0..WORLD), self.random.within(0..WORLD));
        format!("13.{x:02} 52.{y:02}")
    }

    /// Mostly newer than all before; sometimes the same, or late.
    fn time(&mut self) -> i64 {
        match self.random.index(10) {
            0 => self.now_ms,
            1 => self.now_ms - self.random.within(0..20_000),
            _ => {
                self.now_ms += self.random.within(1..5_000);
                self.now_ms
            }
        }
    }

    fn track(&mut self, client: &mut Client) {
        let (device, point, time) = (self.device(), self.point(), self.time());
        let mut line = format!("IOT.TRACK cars {device} {point} TS {time}");
        match self.random.index(12) {
            0 => line = format!("{line} EXPIRE {}", self.random.within(1..200)),
            1 => line += " IFNEWER",
            2 => line = format!("{line} ACC {}", self.random.within(0..2_000)),
            3 => line += " SPEED 20 FIELDS 1 load 5",
            _ => {}
        }
        self.run(client, &line);
    }

    fn track_many(&mut self, client: &mut Client) {
        let mut line = "IOT.MTRACK cars".to_owned();
        for _ in 0..=self.random.index(6) {
            let (device, point, time) = (self.device(), self.point(), self.time());
            line = format!("{line} {device} {point} {time}");
        }
        self.run(client, &line);
    }

    fn shape(&mut self) -> String {
        let (x, y) = (self.random.within(0..WORLD), self.random.within(0..WORLD));
        let (east, north) = (
            self.random.within(x..WORLD + 1),
            self.random.within(y..WORLD + 1),
        );
        match self.random.index(3) {
            0 => format!(
                "CIRCLE 13.{x:02} 52.{y:02} {}",
                self.random.within(10..9_000)
            ),
            1 if east > x && north > y => format!(
                "POLYGON 3 13.{x:02} 52.{y:02} 13.{east:02} 52.{y:02} 13.{x:02} 52.{north:02}"
            ),
            _ => format!("BBOX 13.{x:02} 52.{y:02} 13.{east:02} 52.{north:02}"),
        }
    }

    fn add_plain(&mut self, client: &mut Client, set: &str) {
        let mut line = format!("IOT.FENCE ADD {set} z{} {}", self.digit(), self.shape());
        if self.random.chance(15) {
            line = format!("{line} EXPIRE {}", self.random.within(1..300));
        }
        self.run(client, &line);
    }

    fn add_with_options(&mut self, client: &mut Client) {
        let mut line = format!("IOT.FENCE ADD areas a{} {}", self.digit(), self.shape());
        let options = [
            " MINFIXES 2",
            " BUFFER 900",
            " GROUPS 2 red EXPIRE",
            " DEVICES 3 d0 d1 d2",
            " META 1 expire 7",
            " EXPIRE 400ms",
        ];
        // A group may have the name of an option, before and behind it.
        let from = self.random.index(options.len());
        for option in options.iter().cycle().skip(from).take(options.len() - 1) {
            if self.random.chance(25) {
                line += option;
            }
        }
        if self.random.chance(30) {
            line = format!(
                "{line} DETECT enter exit dwell DWELL {}",
                self.random.within(1..200)
            );
        }
        self.run(client, &line);
    }

    fn bind(&mut self, client: &mut Client, set: &str) {
        let group = if set == "areas" && self.random.chance(30) {
            " GROUP red"
        } else {
            ""
        };
        let line = format!("IOT.FENCE BIND cars {set}{group} STREAM events");
        let reply = self.run(client, &line);
        let is_bound = matches!(reply, Value::Okay | Value::ServerError(_))
            || matches!(&reply, Value::SimpleString(text) if text == "QUEUED");
        assert!(is_bound, "{line} replied {}", render(&reply));
    }

    /// Checks that the events keep the law, and that the state is what they say.
    #[track_caller]
    pub(crate) fn check(&mut self, client: &mut Client) {
        let checked = check_state(client, &mut self.law, ("cars", "events"), &Self::devices());
        if let Err(broken) = checked {
            self.fail(&broken);
        }
    }

    /// Waits until the devices are in what they must be in by their places, and checks.
    #[track_caller]
    pub(crate) fn settle(&mut self, client: &mut Client) {
        let mut difference = None;
        let begun = std::time::Instant::now();
        await_that("states are settled", || {
            difference = unsettled(client);
            difference.is_none() || begun.elapsed().as_secs() > 10
        });
        if let Some(difference) = difference {
            self.fail(&difference);
        }
        self.check(client);
    }

    /// Ends everything: each enter must have its exit.
    #[track_caller]
    pub(crate) fn end(&mut self, client: &mut Client) {
        self.run(
            client,
            &format!("IOT.UNTRACK cars {}", Self::devices().join(" ")),
        );
        self.check(client);
        if self.law.open() > 0 {
            self.fail(&format!("{} enters have no exit", self.law.open()));
        }
    }

    /// Fails with the last commands.
    #[track_caller]
    pub(crate) fn fail(&self, difference: &str) -> ! {
        let from = self.log.len().saturating_sub(SHOWN);
        panic!(
            "{difference}\nlast commands:\n{}",
            self.log[from..].join("\n")
        );
    }
}

/// A device that is not in the zones that it must be in.
fn unsettled(client: &mut Client) -> Option<String> {
    let bindings = render(&client.run("IOT.FENCE BINDINGS cars"));
    if !bindings.contains("\"zones\"") {
        return None;
    }
    for device in Mix::devices() {
        client.expect("MULTI", "+OK");
        client.run(&format!("IOT.POSITION cars {device}"));
        client.run("TYPE zones");
        let reply = client.run("EXEC");
        let position = &items_of(&items_of(&reply)[0])[0];
        let Some(mut fences) = fences_of(position) else {
            continue;
        };
        for fence in fences.iter().filter(|fence| fence.starts_with('a')) {
            if client.run(&format!("IOT.FENCE GET areas {fence}")) == Value::Nil {
                return Some(format!("{device} is in {fence}, which is gone"));
            }
        }
        fences.retain(|fence| fence.starts_with('z'));
        let fields = items_of(position);
        let (lon, lat) = (text_of(&fields[1]), text_of(&fields[3]));
        let wanted = if text_of(&items_of(&reply)[1]) == "iotfences" {
            let reply = client.run(&format!("IOT.FENCE AT zones {lon} {lat}"));
            items_of(&reply).iter().map(text_of).collect()
        } else {
            BTreeSet::new()
        };
        if fences != wanted {
            return Some(format!(
                "{device} at {lon} {lat} is in {fences:?} and not in {wanted:?}"
            ));
        }
    }
    None
}

/// Keys of the mix.
const KEYS: [&str; 5] = ["cars", "zones", "areas", "spare", "events"];

/// Compares all keys of replicas with those of their master, once nothing goes on there: its timers may
/// change something between two looks.
#[track_caller]
pub(crate) fn check_equal(mix: &Mix, master: &mut Client, replicas: &mut [&mut Client]) {
    await_that("nothing goes on", || {
        let before = master.digest();
        // A replica of a replica is behind, perhaps, for longer than the master knows.
        master.expect("WAIT 1 30000", "1");
        let offset = master.info("replication", "master_repl_offset");
        for replica in replicas.iter_mut() {
            await_that("the replica has everything", || {
                replica.info("replication", "slave_repl_offset") >= offset
            });
        }
        let theirs: Vec<String> = replicas.iter_mut().map(|one| one.digest()).collect();
        if master.digest() != before {
            return false;
        }
        if theirs.iter().all(|one| *one == before) {
            return true;
        }
        let mut differences = Vec::new();
        for key in KEYS {
            let ours = master.digest_of(key);
            for replica in replicas.iter_mut() {
                if replica.digest_of(key) != ours {
                    let line = format!("IOT.POSITION cars {}", Mix::devices().join(" "));
                    let shown = [render(&master.run(&line)), render(&replica.run(&line))];
                    differences.push(format!("{key} differs: {shown:#?}"));
                }
            }
        }
        mix.fail(&differences.join("\n"));
    });
}
