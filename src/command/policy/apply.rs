//! What policies make of a series: rules and their destinations.
//!
//! ```text
//! source       made by a command         found by IOT.POLICY SET
//! begins       with the first sample     with the open bucket, or the first sample (BACKFILL)
//!              but always behind the samples that a destination has already
//! adopts       its former destinations   any series that the user may write
//! ```
//!
//! So nothing that is stored is changed. Only a master does all this: what comes of it is sent as
//! `IOT.CREATE` and `IOT.CREATERULE`.

use super::super::creation::Creation;
use super::super::derived;
use super::super::effect;
use super::super::error::{Error, Result};
use super::super::host::{Host, Reply, Slot, Writer};
use super::super::rule;
use crate::engine::options::Options;
use crate::engine::policy::{Policy, PolicyRule};
use crate::engine::rule::{MAX_KEY_BYTES, MAX_RULES, Rule};
use crate::engine::{Series, Timestamp};

/// With which bucket the rules of a policy begin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// The one that is open.
    Open,
    /// The first of the source.
    Start,
}

/// What became of the rules of a policy.
#[derive(Default)]
pub(super) struct Counts {
    /// Series that match.
    matched: i64,
    /// Rules made.
    created: i64,
    /// Rules that could not be made.
    skipped: i64,
}

impl Counts {
    pub(super) fn reply(&self, reply: &impl Reply) {
        let counts = [
            (&b"matched"[..], self.matched),
            (b"created", self.created),
            (b"skipped", self.skipped),
        ];
        reply.map(counts.len());
        for (name, count) in counts {
            reply.bulk(name);
            reply.integer(count);
        }
    }
}

/// Whether the user may write what a policy would make.
///
/// # Errors
/// `NoPermission`.
pub(super) fn check_rights<H: Host>(host: &H, policy: &Policy, found: &[H::Found]) -> Result<()> {
    let in_cluster = host.is_cluster();
    let destinations = found.iter().flat_map(|source| {
        let rules = policy.rules().iter();
        rules.filter_map(move |rule| policy.destination(source.as_ref(), rule, in_cluster))
    });
    if host.may_update(found.len(), destinations) {
        Ok(())
    } else {
        Err(Error::NoPermission)
    }
}

/// Gives a series the rules of all policies that it matches. It was made, or has other labels.
/// No key may be open.
#[inline]
pub(in super::super) fn fit<H: Host>(host: &H, key: &[u8], is_new: bool) {
    if host.has_policies() {
        fit_all(host, key, is_new);
    }
}

#[cold]
fn fit_all<H: Host>(host: &H, key: &[u8], is_new: bool) {
    if host.is_replay() {
        return;
    }
    let Slot::Open(series) = host.read_found(&host.found(key)) else {
        return;
    };
    let labels = series.options().labels.clone();
    drop(series);
    let begin = if is_new { Begin::Start } else { Begin::Open };
    for (name, policy) in host.policies_for(&labels) {
        let mut counts = Counts::default();
        let maker = Maker {
            host,
            source: key,
            begin,
            may_adopt: false,
        };
        maker.apply(&policy, &mut counts);
        if counts.skipped > 0 {
            host.log_skipped(&name, key);
        }
    }
}

/// Gives a series the rules of one policy, for a user who may write them all.
pub(super) fn apply<H: Host>(
    host: &H,
    source: &[u8],
    policy: &Policy,
    begin: Begin,
    counts: &mut Counts,
) {
    let maker = Maker {
        host,
        source,
        begin,
        may_adopt: true,
    };
    maker.apply(policy, counts);
}

/// What gives one series rules.
struct Maker<'m, H> {
    host: &'m H,
    source: &'m [u8],
    begin: Begin,
    /// Whether a destination may be a series that was another's, or nobody's.
    may_adopt: bool,
}

/// What became of one rule.
enum Outcome {
    Created,
    /// It is there already.
    Present,
    Skipped,
}

/// A rule that can be made.
struct Plan {
    rule: Rule,
    /// The options of the destination, where there is none yet.
    options: Option<Options>,
}

impl<H: Host> Maker<'_, H> {
    fn apply(&self, policy: &Policy, counts: &mut Counts) {
        if self.is_destination() {
            return;
        }
        counts.matched += 1;
        let in_cluster = self.host.is_cluster();
        for rule in policy.rules() {
            let destination = policy.destination(self.source, rule, in_cluster);
            let outcome = destination.map_or(Outcome::Skipped, |key| self.make(rule, &key));
            match outcome {
                Outcome::Created => counts.created += 1,
                Outcome::Present => {}
                Outcome::Skipped => counts.skipped += 1,
            }
        }
    }

    /// Whether the source is gone, or is what a rule writes to.
    fn is_destination(&self) -> bool {
        let Slot::Open(series) = self.host.read_found(&self.host.found(self.source)) else {
            return true;
        };
        let from = series.links().source.clone();
        drop(series);
        from.is_some_and(|from| derived::is_tied(self.host, &from, self.source))
    }

    /// Makes one rule, if that is possible.
    fn make(&self, rule: &PolicyRule, destination: &[u8]) -> Outcome {
        if let Some(is_same) = self.present(rule, destination) {
            return if is_same {
                Outcome::Present
            } else {
                Outcome::Skipped
            };
        }
        let Some(plan) = self.plan(rule, destination) else {
            return Outcome::Skipped;
        };
        let host = self.host;
        let key = host.found(destination);
        if let Some(options) = plan.options {
            effect::send_creation(host, destination, &options);
            host.create_found(&key, Series::new(options)).written();
            host.notify_found(c"iot.create", &key);
        }
        if !self.tie(&plan.rule) {
            return Outcome::Skipped;
        }
        rule::send(host, self.source, &plan.rule);
        let source = host.found(self.source);
        host.notify_found(c"iot.createrule:src", &source);
        host.notify_found(c"iot.createrule:dest", &key);
        if self.begin == Begin::Start {
            let refresh = match host.read_found(&source) {
                Slot::Open(series) => Some(plan.rule.backfill(&series)),
                Slot::Missing | Slot::Foreign => None,
            };
            derived::apply(host, self.source, refresh.into_iter().collect());
        }
        Outcome::Created
    }

    /// Whether the rule that leads to a destination already, if there is one, says the same.
    fn present(&self, rule: &PolicyRule, destination: &[u8]) -> Option<bool> {
        match self.host.read_found(&self.host.found(self.source)) {
            Slot::Open(series) => series
                .links()
                .rule_to(destination)
                .map(|present| present.aggregator == rule.aggregator && *present.cut() == rule.cut),
            Slot::Missing | Slot::Foreign => None,
        }
    }

    /// The rule, and the destination to be made for it; `None` where it cannot be.
    fn plan(&self, rule: &PolicyRule, destination: &[u8]) -> Option<Plan> {
        let host = self.host;
        if self.source == destination || self.source.len().max(destination.len()) > MAX_KEY_BYTES {
            return None;
        }
        let key = host.found(self.source);
        let Slot::Open(series) = host.read_found(&key) else {
            return None;
        };
        if series.links().rules().len() >= MAX_RULES {
            return None;
        }
        let retention_ms = series.options().retention_ms;
        rule::check_retention(retention_ms, rule.cut.longest_ms()).ok()?;
        let labels = rule.labels(&series.options().labels).ok()?;
        let newest_ms = series.newest().map(|newest| newest.time_ms);
        drop(series);
        let made = |since_ms| {
            let cut = rule.cut.clone();
            Rule::new(destination.into(), rule.aggregator, cut, 0, since_ms)
        };
        let since_ms = match self.begin {
            Begin::Start => 0,
            Begin::Open => made(0).closed_until_ms(newest_ms).max(0),
        };
        match host.read_found(&host.found(destination)) {
            Slot::Foreign => None,
            Slot::Missing => Some(Plan {
                rule: made(since_ms),
                options: Some(Options {
                    retention_ms: rule.retention_ms,
                    labels,
                    ..Creation::default().options(&host.settings())
                }),
            }),
            Slot::Open(other) => {
                let last_ms = other.newest().map(|newest| newest.time_ms);
                let from = other.links().source.clone();
                drop(other);
                self.may_take(destination, from.as_deref())?;
                let behind_ms = last_ms.map_or(0, |last_ms| end_ms(&made(0), last_ms));
                Some(Plan {
                    rule: made(since_ms.max(behind_ms)),
                    options: None,
                })
            }
        }
    }

    /// Whether a series that is there may become the destination.
    fn may_take(&self, destination: &[u8], from: Option<&[u8]>) -> Option<()> {
        let was_ours = from == Some(self.source);
        let is_free = from.is_none_or(|from| !derived::is_tied(self.host, from, destination));
        if !is_free || !(was_ours || self.may_adopt) {
            return None;
        }
        rule::check_circle(self.host, self.source, destination).ok()
    }

    /// Ties both ends; says whether both are there.
    fn tie(&self, rule: &Rule) -> bool {
        let host = self.host;
        let (source, destination) = (host.found(self.source), host.found(&rule.destination));
        let Slot::Open(mut other) = host.write_found(&destination) else {
            return false;
        };
        let Slot::Open(mut series) = host.write_found(&source) else {
            return false;
        };
        other.relink(|from, _| *from = Some(self.source.into()));
        other.written();
        series.relink(|_, rules| rules.push(rule.clone()));
        series.written();
        true
    }
}

/// The end of the bucket that holds a time.
fn end_ms(rule: &Rule, time_ms: Timestamp) -> Timestamp {
    rule.bucket(time_ms).end_ms
}
