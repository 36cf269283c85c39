//! The law of downsampling rules: for every closed bucket that a rule governs its destination holds
//! what the same aggregation over the source gives, and nothing else.

use redis::Value;

use super::aggregation::{self, Buckets, Query, Sample};
use super::client::Client;
use super::notation::{TOLERANCE, near, number, render};
use super::rules::{Mix, Rule};

/// Rules of which one is compared with the naive model at each check.
const ONE_IN: u64 = 8;

impl Mix {
    /// Compares every destination with the aggregation over its source.
    #[track_caller]
    pub(crate) fn check(&mut self, client: &mut Client) {
        for rule in self.rules.clone() {
            let naive = self.random.chance(100 / ONE_IN);
            let checked = self.check_rule(client, &rule, naive);
            self.compared += checked.unwrap_or_else(|difference| self.fail(&rule, &difference));
        }
    }

    #[track_caller]
    fn fail(&self, rule: &Rule, difference: &str) -> ! {
        let from = self.log.len().saturating_sub(30);
        let (rule, ends) = (
            format!(
                "{} -> {}: {} {} {} delay {} since {}",
                rule.source,
                rule.destination,
                rule.aggregator,
                rule.cut.text,
                rule.cut.align,
                rule.delay,
                rule.since
            ),
            [&rule.source, &rule.destination].map(|key| &self.series[key]),
        );
        panic!(
            "{difference}\n{rule}\n{ends:?}\nlast commands:\n{}",
            self.log[from..].join("\n")
        );
    }

    fn check_rule(&self, client: &mut Client, rule: &Rule, naive: bool) -> Result<usize, String> {
        let (source, kept) = (&self.series[&rule.source], &self.series[&rule.destination]);
        let samples = rows(client, &format!("IOT.RANGE {} - +", rule.source));
        let stored = rows(client, &format!("IOT.RANGE {} - +", rule.destination));
        // Where the rule has to do with it, from a bucket on that has lost nothing.
        let from = rule.since.max(rule.cut.start_from(source.lost)).max(0);
        let passed = samples.last().map_or(-1, |newest| newest.0 - rule.delay);
        let closed = if passed < 0 {
            0
        } else {
            rule.cut.start(passed)
        };
        let mut wanted = if from < closed {
            rows(client, &query(rule, from, closed - 1))
        } else {
            Vec::new()
        };
        if naive && from < closed {
            same(&modelled(rule, &samples, from, closed), &wanted)
                .map_err(|difference| format!("RANGE is not the model's: {difference}"))?;
        }
        let from = from.max(kept.lost);
        let mut stored: Vec<Sample> = stored.into_iter().filter(|row| row.0 >= from).collect();
        wanted.retain(|row| row.0 >= from);
        if ["twa", "timein"]
            .iter()
            .any(|name| rule.aggregator.starts_with(name))
            && source.lost > 0
        {
            // What stands before these buckets may have been there when they were computed.
            let number = samples
                .iter()
                .find(|(time, value)| *time >= source.lost && !value.is_nan());
            let known = number.map_or(i64::MAX, |number| number.0);
            for row in wanted.iter_mut().chain(&mut stored) {
                if row.0 <= known {
                    row.1 = 0.0;
                }
            }
        }
        same(&wanted, &stored)?;
        if naive && let Some(row) = stored.last() {
            // A bucket by itself.
            let end = rule.cut.start_from(row.0 + 1) - 1;
            let alone = rows(client, &query(rule, row.0, end));
            let known = wanted.last().map(|row| row.1);
            if known != Some(0.0) {
                same(&alone, &[*row]).map_err(|difference| format!("alone: {difference}"))?;
            }
        }
        Ok(stored.len())
    }
}

fn query(rule: &Rule, from: i64, to: i64) -> String {
    let align = if rule.cut.edges.is_empty() {
        format!(" ALIGN {}", rule.cut.align)
    } else {
        String::new()
    };
    format!(
        "IOT.RANGE {} {from} {to}{align} AGGREGATION {} {}",
        rule.source, rule.aggregator, rule.cut.text
    )
}

fn modelled(rule: &Rule, samples: &[Sample], from: i64, closed: i64) -> Vec<Sample> {
    let query = Query {
        from,
        to: closed - 1,
        times: None,
        values: None,
        buckets: Some(Buckets {
            aggregators: vec![rule.aggregator],
            duration: rule.cut.width,
            align: rule.cut.align,
            edges: rule.cut.edges.to_vec(),
            ..Buckets::default()
        }),
        count: None,
        reverse: false,
    };
    let rows = aggregation::rows(samples, &query).into_iter();
    rows.map(|(time, values)| (time, values[0])).collect()
}

fn same(wanted: &[Sample], have: &[Sample]) -> Result<(), String> {
    let is_same =
        |(want, have): (&Sample, &Sample)| want.0 == have.0 && near(want.1, have.1, TOLERANCE);
    if wanted.len() == have.len() && wanted.iter().zip(have).all(is_same) {
        return Ok(());
    }
    let only = |these: &[Sample], those: &[Sample]| -> Vec<Sample> {
        let is_there = |one: &&Sample| those.iter().any(|other| is_same((*one, other)));
        let mut rest: Vec<Sample> = these.iter().filter(|one| !is_there(one)).copied().collect();
        rest.truncate(6);
        rest
    };
    Err(format!(
        "wanted {:?} and not {:?}",
        only(wanted, have),
        only(have, wanted)
    ))
}

fn rows(client: &mut Client, line: &str) -> Vec<Sample> {
    let protocol = client.protocol;
    let reply = client.run(line);
    let Value::Array(rows) = &reply else {
        panic!("{line}: {}", render(&reply));
    };
    let row = |row: &Value| match row {
        Value::Array(row) => match &row[..] {
            [Value::Int(time), value] => (*time, number(value, protocol).unwrap()),
            _ => panic!("{line}: no sample"),
        },
        _ => panic!("{line}: no sample"),
    };
    rows.iter().map(row).collect()
}
