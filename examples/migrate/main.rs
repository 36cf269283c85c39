//! Copies series from RedisTimeSeries to redis-iot: `make migrate ARGS=--help`.
//!
//! ```text
//!   source                                             target
//!     TS.QUERYINDEX, or SCAN         keys
//!     TS.INFO                        options, labels -->  IOT.CREATE
//!     TS.RANGE from + COUNT page     samples         -->  IOT.ADDBULK PACKED
//!     TS.RANGE AGGREGATION ...       compared with        IOT.RANGE AGGREGATION ...
//!     TS.INFO                        rules           -->  IOT.CREATERULE, when all series are there
//! ```
//!
//! Pages are written in order of time, so that a copy that was stopped goes on behind the newest sample of
//! the target. A series that fails is named, and the others go on.

mod copy;
mod options;
mod progress;
mod series;
mod server;

use std::error::Error;
use std::process::ExitCode;

use copy::{Copy, Step};
use options::{HELP, Options};
use progress::Progress;
use series::Info;
use server::Server;

type Failure = Box<dyn Error + Send + Sync>;

/// What was done.
#[derive(Debug, Default)]
struct Done {
    series: usize,
    complete: usize,
    samples: i64,
    rules: usize,
    failed: usize,
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => return refuse(&error),
    };
    match run(&options) {
        Ok(done) => {
            report(&done, options.is_dry);
            if done.failed > 0 {
                return ExitCode::FAILURE;
            }
            ExitCode::SUCCESS
        }
        Err(error) => refuse(&error.to_string()),
    }
}

fn refuse(error: &str) -> ExitCode {
    eprintln!("migrate: {error}");
    ExitCode::FAILURE
}

fn report(done: &Done, is_dry: bool) {
    let Done {
        series,
        complete,
        samples,
        rules,
        failed,
    } = done;
    let would = if is_dry { "would be " } else { "" };
    println!(
        "{series} series with {samples} samples {would}copied, {complete} were complete, \
         {rules} rules {would}made, {failed} failed"
    );
}

fn run(options: &Options) -> Result<Done, Failure> {
    let mut copy = Copy {
        source: Server::connect("source", &options.from, "TS")?,
        target: Server::connect("target", &options.to, "IOT")?,
        options,
    };
    let keys = copy.source.keys(&options.filters)?;
    let mut progress = Progress::begin(keys.len(), options.is_quiet);
    let mut done = Done::default();
    let mut infos = Vec::new();
    for key in keys {
        match series(&mut copy, &key, &mut progress, &mut done) {
            Ok(info) => infos.extend(info.map(|info| (key, info))),
            Err(error) => fail(&key, &error, &progress, &mut done),
        }
        progress.series();
    }
    if !options.leaves_rules {
        rules(&mut copy, &infos, &progress, &mut done);
    }
    progress.clear();
    Ok(done)
}

fn fail(key: &[u8], error: &Failure, progress: &Progress, done: &mut Done) {
    progress.clear();
    eprintln!("migrate: {}: {error}", key.escape_ascii());
    done.failed += 1;
}

/// One series; `None` if it has gone meanwhile.
fn series(
    copy: &mut Copy<'_>,
    key: &[u8],
    progress: &mut Progress,
    done: &mut Done,
) -> Result<Option<Info>, Failure> {
    let Some(info) = copy.source.info(key)? else {
        return Ok(None);
    };
    let step = copy.step(key, &info)?;
    let added = if copy.options.is_dry {
        announce(key, &info, step)
    } else {
        copy.perform(key, &info, step, progress)?
    };
    match step {
        Step::Create | Step::Resume { .. } => {
            done.series += 1;
            done.samples += added;
        }
        Step::Compare | Step::Leave => done.complete += 1,
    }
    Ok(Some(info))
}

/// Says what would be done with a series. Returns how many samples that would be.
fn announce(key: &[u8], info: &Info, step: Step) -> i64 {
    let (what, samples) = match step {
        Step::Create => ("create".to_owned(), info.samples),
        Step::Resume { from_ms, has } => (
            format!("go on at {from_ms}"),
            info.samples.saturating_sub(has).max(0),
        ),
        Step::Compare => ("compare, the target has its newest sample".into(), 0),
        Step::Leave => ("leave, a rule writes it at the target".into(), 0),
    };
    println!("{}: {what}, {samples} samples", key.escape_ascii());
    samples
}

/// All rules, when all series are there.
fn rules(copy: &mut Copy<'_>, infos: &[(Vec<u8>, Info)], progress: &Progress, done: &mut Done) {
    for (key, info) in infos {
        for rule in &info.rules {
            match copy.make_rule(key, rule) {
                Ok(is_new) => done.rules += usize::from(is_new),
                Err(error) => {
                    let destination = rule.destination.escape_ascii();
                    let error = format!("the rule to {destination}: {error}").into();
                    fail(key, &error, progress, done);
                }
            }
        }
    }
}
