//! `IOT.POLICY`: rules for series by their labels.
//!
//! ```text
//! IOT.POLICY SET name FILTER filter [filter ...]
//!                RULES {agg bucket [RETENTION duration] [ALIGN ms] [TZ zone]} ...
//!                [DESTINATION template] [BACKFILL]
//! IOT.POLICY GET name
//! IOT.POLICY LIST
//! IOT.POLICY DEL name
//! ```
//!
//! A policy is a key of a type of its own, so it is stored, copied, renamed and protected like any
//! other. Replicas get the policy as it came, and what it has made beside it.

mod apply;
mod compaction;

use triomphe::Arc;

use super::Command;
use super::args::Args;
use super::creation::set;
use super::duration;
use super::error::{Error, Result, Token};
use super::filter;
use super::host::{Host, Key, Later, Purpose, Reply};
use super::number;
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine;
use crate::engine::persist::{Buffer, Source, read_policy, write_policy};
use crate::engine::policy::{DEFAULT_TEMPLATE, MAX_POLICIES, MAX_POLICY_RULES, Policy, PolicyRule};
use crate::engine::query::Zone;
use crate::engine::rule::Cut;

pub(super) use apply::fit;
use apply::{Begin, Counts};
pub use compaction::read as read_compaction;

/// What there is to say of the command that the others are parts of.
pub const CONTAINER: Spec = Spec {
    name: "IOT.POLICY",
    arity: -2,
    effect: Effect::Write,
    fast: false,
    keys: Keys::None,
    access: Access::Update,
    summary: "Downsampling rules for series by their labels",
    since: "0.1.0",
    complexity: "Depends on the subcommand",
    args: &[],
};

/// A policy as a client gave it.
struct Given {
    policy: Policy,
    begin: Begin,
}

fn parse(args: &mut Args<'_>) -> Result<Given> {
    if !args.keyword("FILTER") {
        return Err(Error::MissingValue("FILTER"));
    }
    let mut filters = Vec::new();
    while let Some(filter) = args.peek()
        && !filter.eq_ignore_ascii_case(b"RULES")
    {
        filters.push(args.take("FILTER")?);
    }
    let selector = filter::parse(&filters)?;
    if !args.keyword("RULES") {
        return Err(Error::MissingValue("RULES"));
    }
    let mut rules = Vec::new();
    let (mut template, mut begin) = (None, None);
    while !args.is_empty() {
        if args.keyword("DESTINATION") {
            set(&mut template, "DESTINATION", args.take("DESTINATION")?)?;
        } else if args.keyword("BACKFILL") {
            set(&mut begin, "BACKFILL", Begin::Start)?;
        } else if template.is_some() || begin.is_some() {
            args.finish()?;
        } else {
            if rules.len() == MAX_POLICY_RULES {
                return Err(Error::limit("rules of a policy", MAX_POLICY_RULES));
            }
            rules.push(rule(args)?);
        }
    }
    let template = template.unwrap_or(DEFAULT_TEMPLATE);
    Ok(Given {
        policy: Policy::new(&filters, selector, rules, template)?,
        begin: begin.unwrap_or(Begin::Open),
    })
}

/// Reads one rule.
fn rule(args: &mut Args<'_>) -> Result<PolicyRule> {
    let text = args.take("aggregator")?;
    let aggregator = number::aggregator(text)
        .ok_or_else(|| Error::Invalid("unknown aggregation type", Token::from(text)))?;
    let text = args.take("bucketDuration")?;
    let span = duration::span(text)
        .ok_or_else(|| Error::Invalid("Couldn't parse bucketDuration", Token::from(text)))?;
    if span.is_zero() {
        return Err(Error::Conflict("bucketDuration must be greater than zero"));
    }
    let (mut retention_ms, mut align_ms, mut zone) = (None, None, None);
    loop {
        if args.keyword("RETENTION") {
            let text = args.take("RETENTION")?;
            let ms = duration::milliseconds(text)
                .ok_or_else(|| Error::Invalid("Couldn't parse RETENTION", Token::from(text)))?;
            set(&mut retention_ms, "RETENTION", ms)?;
        } else if args.keyword("ALIGN") {
            let text = args.take("ALIGN")?;
            let ms = number::whole(text)
                .ok_or_else(|| Error::Invalid("Couldn't parse ALIGN", Token::from(text)))?;
            set(&mut align_ms, "ALIGN", ms)?;
        } else if args.keyword("TZ") {
            let text = args.take("TZ")?;
            let known = Zone::by_name(text)
                .ok_or_else(|| Error::Invalid("unknown time zone", Token::from(text)))?;
            set(&mut zone, "TZ", known)?;
        } else {
            break;
        }
    }
    if align_ms.is_some() && (zone.is_some() || span.milliseconds().is_none()) {
        return Err(Error::Conflict(
            "ALIGN cannot be used with buckets by the calendar, which are where it says",
        ));
    }
    Ok(PolicyRule {
        aggregator,
        cut: Cut::new(span, zone, align_ms.unwrap_or(0))?,
        retention_ms: retention_ms.unwrap_or(0),
    })
}

/// The arguments behind the name with which `IOT.POLICY SET` makes a policy.
pub fn words(policy: &Policy) -> Vec<Vec<u8>> {
    let mut words = vec![b"FILTER".to_vec()];
    words.extend(policy.filters().map(<[u8]>::to_vec));
    words.push(b"RULES".to_vec());
    for rule in policy.rules() {
        words.push(rule.aggregator.to_string().into_bytes());
        words.push(rule.bucket_text().into_bytes());
        words.push(b"RETENTION".to_vec());
        words.push(rule.retention_ms.to_string().into_bytes());
        if rule.cut.align_ms() != 0 {
            words.push(b"ALIGN".to_vec());
            words.push(rule.cut.align_ms().to_string().into_bytes());
        }
        if let Some(zone) = rule.cut.zone() {
            words.push(b"TZ".to_vec());
            words.push(zone.name().as_bytes().to_vec());
        }
    }
    words.push(b"DESTINATION".to_vec());
    words.push(policy.template().to_vec());
    words
}

/// Reads a policy that was stored: one that [`words`] could not say would make an append-only file
/// that cannot be loaded.
///
/// # Errors
/// `Corrupt`, and those of [`read_policy`].
pub fn read_stored(source: &mut impl Source, version: u32) -> engine::Result<Policy> {
    let policy = read_policy(source, version, |filters| filter::parse(filters).ok())?;
    let words = words(&policy);
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let record = |policy: &Policy| {
        let mut record = Buffer::default();
        write_policy(policy, &mut record);
        record.bytes
    };
    match parse(&mut Args::behind_name(&words)) {
        Ok(said) if record(&said.policy) == record(&policy) => Ok(policy),
        _ => Err(engine::Error::Corrupt {
            what: "policy, which no command could make",
        }),
    }
}

/// `IOT.POLICY SET`.
#[derive(Debug)]
pub struct PolicySet;

impl Command for PolicySet {
    const SPEC: Spec = Spec {
        name: "IOT.POLICY|SET",
        arity: -8,
        effect: Effect::Write,
        fast: false,
        keys: Keys::Second,
        access: Access::Update,
        summary: "Gives downsampling rules to series that match, now and later",
        since: "0.1.0",
        complexity: "O(S) where S is the number of series that match; O(N) with BACKFILL, where N \
                     is the number of their samples",
        args: &[
            Arg::named_key("name"),
            Arg::value("filter", ArgKind::String)
                .after("FILTER")
                .repeated(),
            Arg::block(
                "rule",
                &[
                    Arg::value("aggregator", ArgKind::String),
                    Arg::value("bucket-duration", ArgKind::String),
                    Arg::option("RETENTION", "retention", ArgKind::String),
                    Arg::option("ALIGN", "align-timestamp", ArgKind::Integer),
                    Arg::option("TZ", "time-zone", ArgKind::String),
                ],
            )
            .after("RULES")
            .repeated(),
            Arg::option("DESTINATION", "template", ArgKind::String),
            Arg::flag("BACKFILL"),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        args.take("subcommand")?;
        let key = args.key()?;
        let Given { policy, begin } = parse(&mut args)?;
        let is_new = host.policy(key)?.is_none();
        let policy = Arc::new(policy);
        if host.is_replay() {
            host.set_policy(key, &policy);
            host.replicate_verbatim();
            Counts::default().reply(host.reply());
            return Ok(());
        }
        if is_new && host.policy_count() >= MAX_POLICIES {
            return Err(Error::limit("policies of a database", MAX_POLICIES));
        }
        if !host.is_cluster() {
            return set_policy(host, key, &policy, begin);
        }
        // A command that names a key is at home in the slot of that key, and there are servers
        // that look for all keys there as long as it runs. Its reply is not bound to a slot.
        if !host.may_wait() {
            return Err(Error::Conflict(
                "in a cluster, IOT.POLICY SET cannot be part of a transaction or a script",
            ));
        }
        host.later(Unbound {
            key: key.index,
            policy,
            begin,
        })
    }
}

/// A policy that is set where a command is not bound to the slot of its key.
struct Unbound {
    /// Where the key stands among the arguments.
    key: usize,
    policy: Arc<Policy>,
    begin: Begin,
}

impl Later for Unbound {
    fn work(&mut self) {}

    fn finish<H: Host>(self, host: &H, args: Args<'_>) -> Result<()> {
        let key = args.key_at(self.key).ok_or(Error::MissingValue("key"))?;
        set_policy(host, key, &self.policy, self.begin)
    }
}

/// Stores a policy and gives rules to the series that match.
fn set_policy<H: Host>(host: &H, key: Key<'_>, policy: &Arc<Policy>, begin: Begin) -> Result<()> {
    // It may have become another type, where the command had to wait.
    host.policy(key)?;
    let found = host.find(policy.selector(), Purpose::Alter)?;
    apply::check_rights(host, policy, &found)?;
    host.set_policy(key, policy);
    host.replicate_verbatim();
    host.notify(c"iot.policy.set", key);
    let mut counts = Counts::default();
    for source in &found {
        apply::apply(host, source.as_ref(), policy, begin, &mut counts);
    }
    counts.reply(host.reply());
    Ok(())
}

/// `IOT.POLICY GET`.
#[derive(Debug)]
pub struct PolicyGet;

impl Command for PolicyGet {
    const SPEC: Spec = Spec {
        name: "IOT.POLICY|GET",
        arity: 3,
        effect: Effect::Read,
        fast: true,
        keys: Keys::Second,
        access: Access::Read,
        summary: "What a policy says",
        since: "0.1.0",
        complexity: "O(1)",
        args: &[Arg::named_key("name")],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        args.take("subcommand")?;
        let key = args.key()?;
        args.finish()?;
        let policy = host.policy(key)?.ok_or(Error::NoSuchKey)?;
        let reply = host.reply();
        reply.map(3);
        reply.bulk(b"filters");
        reply.array(policy.filters().len());
        policy.filters().for_each(|filter| reply.bulk(filter));
        reply.bulk(b"rules");
        reply.array(policy.rules().len());
        for rule in policy.rules() {
            reply.map(5);
            reply.bulk(b"aggregation");
            reply.bulk(rule.aggregator.to_string().as_bytes());
            reply.bulk(b"bucket");
            reply.bulk(rule.bucket_text().as_bytes());
            reply.bulk(b"retention");
            reply.integer(rule.retention_ms);
            reply.bulk(b"align");
            reply.integer(rule.cut.align_ms());
            reply.bulk(b"tz");
            match rule.cut.zone() {
                Some(zone) => reply.bulk(zone.name().as_bytes()),
                None => reply.null(),
            }
        }
        reply.bulk(b"destination");
        reply.bulk(policy.template());
        Ok(())
    }
}

/// `IOT.POLICY LIST`.
#[derive(Debug)]
pub struct PolicyList;

impl Command for PolicyList {
    const SPEC: Spec = Spec {
        name: "IOT.POLICY|LIST",
        arity: 2,
        effect: Effect::Read,
        fast: false,
        keys: Keys::None,
        access: Access::Read,
        summary: "The names of the policies that the user may read",
        since: "0.1.0",
        complexity: "O(P) where P is the number of policies",
        args: &[],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        args.take("subcommand")?;
        args.finish()?;
        let names = host.list_policies();
        host.reply().array(names.len());
        for name in &names {
            host.reply().bulk(name);
        }
        Ok(())
    }
}

/// `IOT.POLICY DEL`.
#[derive(Debug)]
pub struct PolicyDel;

impl Command for PolicyDel {
    const SPEC: Spec = Spec {
        name: "IOT.POLICY|DEL",
        arity: 3,
        effect: Effect::Free,
        fast: true,
        keys: Keys::Second,
        access: Access::Delete,
        summary: "Ends a policy; the rules and the series that it has made stay",
        since: "0.1.0",
        complexity: "O(1)",
        args: &[Arg::named_key("name")],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        args.take("subcommand")?;
        let key = args.key()?;
        args.finish()?;
        let is_there = host.policy(key)?.is_some();
        if is_there {
            host.remove_policy(key);
            host.replicate_verbatim();
            host.notify(c"iot.policy.del", key);
        }
        host.reply().integer(is_there.into());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::query::Span;

    fn stored(span: Span) -> engine::Result<Policy> {
        let rule = PolicyRule {
            aggregator: number::aggregator(b"timein(-0.5)").unwrap(),
            cut: Cut::new(span, None, 0)?,
            retention_ms: i64::MAX,
        };
        let filters: [&[u8]; 1] = [b"(a=1 OR b!=)"];
        let selector = filter::parse(&filters).unwrap();
        let policy = Policy::new(&filters, selector, vec![rule], b"{key}\0 \xff")?;
        let mut record = Buffer::default();
        write_policy(&policy, &mut record);
        read_stored(&mut &record.bytes[..], engine::persist::POLICY_VERSION)
    }

    #[test]
    fn what_is_stored_can_be_said() {
        for span in [
            Span::Milliseconds(1),
            Span::Milliseconds(90_001),
            Span::Milliseconds(86_400_000),
            Span::Weeks(3),
            Span::Months(12),
        ] {
            let policy = stored(span).unwrap();
            assert_eq!(policy.rules()[0].cut.span(), span);
        }
        for span in [
            Span::Weeks(i64::MAX),
            Span::Weeks(-1),
            Span::Milliseconds(-5),
            Span::Months(-1),
            Span::Months(0),
        ] {
            assert!(stored(span).is_err(), "{span:?}");
        }
    }
}
