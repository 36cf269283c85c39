//! One series: what is missing at the target, the copy of it, and the comparison afterwards.

use redis::cmd;

use crate::Failure;
use crate::options::Options;
use crate::progress::Progress;
use crate::series::{Info, Rule};
use crate::server::{Sample, Server, Totals};

/// By how much two sums may differ, in relation to the largest value times their number: both sides
/// add up in an order of their own.
const SUM_TOLERANCE: f64 = 1e-9;

/// What is to be done with a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The target does not have it.
    Create,
    /// The target has so many samples, and is to be read on from a time.
    Resume { from_ms: i64, has: i64 },
    /// The target has its newest sample.
    Compare,
    /// A rule writes it at the target already.
    Leave,
}

/// Both servers.
pub(crate) struct Copy<'a> {
    pub(crate) source: Server,
    pub(crate) target: Server,
    pub(crate) options: &'a Options,
}

impl Copy<'_> {
    /// What is to be done with a series.
    pub(crate) fn step(&mut self, key: &[u8], info: &Info) -> Result<Step, Failure> {
        let there = self.target.info(key);
        let Some(there) = there.map_err(|error| format!("at the target: {error}"))? else {
            return Ok(Step::Create);
        };
        let has = there.samples;
        let is_there = info.samples == 0 || (has > 0 && there.last_ms >= info.last_ms);
        Ok(if there.source.is_some() {
            Step::Leave
        } else if self.options.reads_all {
            Step::Resume { from_ms: 0, has }
        } else if is_there {
            Step::Compare
        } else {
            let from_ms = there.last_ms;
            Step::Resume { from_ms, has }
        })
    }

    /// Does it. Returns how many samples the target has got.
    pub(crate) fn perform(
        &mut self,
        key: &[u8],
        info: &Info,
        step: Step,
        progress: &mut Progress,
    ) -> Result<i64, Failure> {
        let from_ms = match step {
            Step::Leave => return Ok(0),
            Step::Compare => None,
            Step::Resume { from_ms, .. } => Some(from_ms),
            Step::Create => {
                let mut create = self.target.command("CREATE");
                create.arg(key);
                info.add_options(&mut create);
                create.exec(&mut self.target.connection)?;
                Some(0)
            }
        };
        let added = match from_ms {
            Some(from_ms) => self.copy(key, from_ms, progress)?,
            None => 0,
        };
        // A write would begin the time to live of IDLE_TTL anew.
        if info.idle_ttl_ms == 0
            && let Some(left_ms) = self.source.time_to_live(key)?
        {
            let mut expire = cmd("PEXPIRE");
            expire.arg(key).arg(left_ms);
            expire.exec(&mut self.target.connection)?;
        }
        if !self.options.trusts {
            let [source, target] = [self.source.totals(key)?, self.target.totals(key)?];
            compare(&source, &target)?;
        }
        Ok(added)
    }

    fn copy(
        &mut self,
        key: &[u8],
        mut from_ms: i64,
        progress: &mut Progress,
    ) -> Result<i64, Failure> {
        let mut added = 0;
        loop {
            let page = self.source.page(key, from_ms, self.options.page)?;
            let Some(&(last_ms, _)) = page.last() else {
                return Ok(added);
            };
            added += self.write(key, &page)?;
            progress.samples(page.len());
            if page.len() < self.options.page || last_ms == i64::MAX {
                return Ok(added);
            }
            from_ms = last_ms + 1;
        }
    }

    /// Writes samples, of which those at a time that the target has are left out. With `FIRST` the
    /// `IGNORE` of a series does not count: what the source has stored is stored.
    fn write(&mut self, key: &[u8], page: &[Sample]) -> Result<i64, Failure> {
        let packed: Vec<u8> = page
            .iter()
            .flat_map(|(time_ms, value)| [time_ms.to_le_bytes(), value.to_le_bytes()].concat())
            .collect();
        let mut bulk = self.target.command("ADDBULK");
        bulk.arg(key).arg(&["ON_DUPLICATE", "FIRST", "PACKED"]);
        bulk.arg(packed);
        let counts: Vec<(String, i64)> = bulk.query(&mut self.target.connection)?;
        let added = counts.into_iter().find(|(name, _)| name == "added");
        Ok(added.map_or(0, |(_, count)| count))
    }

    /// Makes a rule at the target, if it is not there. Returns whether it was made.
    ///
    /// The destination is computed anew as far as the source still has all samples of a bucket: so late
    /// samples are followed there, and it does not matter that the two were read at different moments.
    pub(crate) fn make_rule(&mut self, source: &[u8], rule: &Rule) -> Result<bool, Failure> {
        let there = self.target.info(source)?.unwrap_or_default();
        let is_there = |have: &Rule| have.destination == rule.destination;
        if there.rules.iter().any(is_there) {
            return Ok(false);
        }
        if self.options.is_dry {
            return Ok(true);
        }
        let destination = self.target.info(&rule.destination)?;
        let destination = destination.ok_or("the destination was not copied")?;
        let mut create = self.target.command("CREATERULE");
        create.arg(source).arg(&rule.destination);
        create.arg("AGGREGATION").arg(&rule.aggregator);
        create.arg(&rule.bucket);
        if rule.align_ms != 0 {
            create.arg(rule.align_ms);
        }
        if destination.samples > 0 {
            let from_ms = first_whole(&there, rule, &destination);
            create.arg(&["BACKFILL", "FROM"]).arg(from_ms);
        }
        create.exec(&mut self.target.connection)?;
        Ok(true)
    }
}

/// A time in the first bucket of a destination that its source has in whole.
fn first_whole(source: &Info, rule: &Rule, destination: &Info) -> i64 {
    if source.retention_ms == 0 {
        return destination.first_ms;
    }
    match rule.bucket.parse::<i64>() {
        Ok(bucket_ms) => source
            .first_ms
            .saturating_add(bucket_ms)
            .max(destination.first_ms),
        // Months and weeks have no width here; the newest bucket is there in whole.
        Err(_) => destination.last_ms,
    }
}

/// Says where two copies differ.
fn compare(source: &Totals, target: &Totals) -> Result<(), Failure> {
    let is_same = |a: f64, b: f64| a.to_bits() == b.to_bits() || a == b || a.is_nan() && b.is_nan();
    let is_same_sample = |a: Option<Sample>, b: Option<Sample>| match (a, b) {
        (Some(a), Some(b)) => a.0 == b.0 && is_same(a.1, b.1),
        (a, b) => a.is_none() && b.is_none(),
    };
    let differ = |what: &str, source: String, target: String| {
        let text = format!("{what}: {source} at the source, {target} at the target");
        Err(format!("the copy differs in its {text}; is it written meanwhile?").into())
    };
    for (what, a, b) in [
        ("first sample", source.first, target.first),
        ("newest sample", source.last, target.last),
    ] {
        if !is_same_sample(a, b) {
            return differ(what, shown(a), shown(b));
        }
    }
    let largest = source.min.abs().max(source.max.abs());
    let tolerance = SUM_TOLERANCE * largest * source.count;
    let is_sum_same =
        is_same(source.sum, target.sum) || (source.sum - target.sum).abs() <= tolerance;
    for (what, is_same, a, b) in [
        (
            "number of samples",
            source.count == target.count,
            source.count,
            target.count,
        ),
        (
            "smallest value",
            is_same(source.min, target.min),
            source.min,
            target.min,
        ),
        (
            "greatest value",
            is_same(source.max, target.max),
            source.max,
            target.max,
        ),
        ("sum", is_sum_same, source.sum, target.sum),
    ] {
        if !is_same {
            return differ(what, a.to_string(), b.to_string());
        }
    }
    Ok(())
}

fn shown(sample: Option<Sample>) -> String {
    match sample {
        Some((time_ms, value)) => format!("{value} at {time_ms}"),
        None => "none".into(),
    }
}
