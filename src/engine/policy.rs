//! Policies: rules that series get because of their labels.
//!
//! ```text
//! policy: kind=temp  -> avg 1h, max 1d       series matches      its rules
//!                                         -> temp:1           -> temp:1:avg:1h, temp:1:max:1d
//! ```
//!
//! What a policy makes has the labels of its source and two more, `aggregation` and `bucket`. A
//! series that has both is never matched, so that no policy takes hold of what one has made, also
//! where its source is gone.

use super::aggregate::Aggregator;
use super::index::{Matcher, Predicate, Selector};
use super::labels::Labels;
use super::query::Span;
use super::rule::Cut;
use super::{Error, Result, Timestamp};

/// Most rules of one policy.
pub const MAX_POLICY_RULES: usize = 16;
/// Most policies of one database.
pub const MAX_POLICIES: usize = 256;
/// Longest template of a destination's key, in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 1024;
/// The template where none is given.
pub const DEFAULT_TEMPLATE: &[u8] = b"{key}:{agg}:{bucket}";

/// The label that says how a destination was aggregated.
pub const AGGREGATION_LABEL: &[u8] = b"aggregation";
/// The label that says how long the buckets of a destination are.
pub const BUCKET_LABEL: &[u8] = b"bucket";

/// One rule that series get.
#[derive(Clone, Debug)]
pub struct PolicyRule {
    /// How a bucket becomes one number.
    pub aggregator: Aggregator,
    /// How time is cut into buckets.
    pub cut: Cut,
    /// Retention of the destination in milliseconds; 0 keeps all.
    pub retention_ms: Timestamp,
}

/// A policy.
#[derive(Clone, Debug)]
pub struct Policy {
    filters: Box<[Box<[u8]>]>,
    selector: Selector,
    rules: Box<[PolicyRule]>,
    template: Box<[u8]>,
}

impl Policy {
    /// A policy of filters, as texts and as what was read from them.
    ///
    /// # Errors
    /// `Limit`, and `Policy` where two rules would have one destination or a rule its source.
    pub fn new(
        filters: &[&[u8]],
        mut selector: Selector,
        rules: Vec<PolicyRule>,
        template: &[u8],
    ) -> Result<Self> {
        selector.push([AGGREGATION_LABEL, BUCKET_LABEL].map(is_missing).to_vec());
        Error::within(rules.len(), "rules of a policy", MAX_POLICY_RULES)?;
        Error::within(template.len(), "bytes in DESTINATION", MAX_TEMPLATE_BYTES)?;
        let policy = Self {
            filters: filters.iter().map(|&filter| filter.into()).collect(),
            selector,
            rules: rules.into(),
            template: template.into(),
        };
        policy.check()?;
        Ok(policy)
    }

    fn check(&self) -> Result<()> {
        let refuse = |what| Err(Error::Policy { what });
        if self.rules.is_empty() {
            return refuse("a policy needs a rule");
        }
        if !self.template.windows(KEY.len()).any(|part| part == KEY) {
            return refuse("DESTINATION must have {key} in it, or all series would share one");
        }
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for rule in &self.rules {
            let key = self.render(b"k", rule);
            if key == b"k" {
                return refuse("DESTINATION must be another key than that of the source");
            }
            if keys.contains(&key) {
                return refuse("two rules of the policy have the same destination");
            }
            keys.push(key);
        }
        Ok(())
    }

    /// The filters as they were given.
    pub fn filters(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.filters.iter().map(|filter| &**filter)
    }

    /// What series it is for.
    pub const fn selector(&self) -> &Selector {
        &self.selector
    }

    /// The rules.
    pub fn rules(&self) -> &[PolicyRule] {
        &self.rules
    }

    /// The template of a destination's key.
    pub fn template(&self) -> &[u8] {
        &self.template
    }

    /// Whether it is for a series with these labels.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.selector.matches(|name| labels.get(name))
    }

    /// The key of the destination of one of its rules. In a cluster it must lie in the slot of its
    /// source; `None` where no key of the template does.
    pub fn destination(
        &self,
        source: &[u8],
        rule: &PolicyRule,
        in_cluster: bool,
    ) -> Option<Vec<u8>> {
        let plain = self.render(source, rule);
        if !in_cluster || hashed(&plain) == hashed(source) {
            return Some(plain);
        }
        let tagged = self.render(&[b"{", source, b"}"].concat(), rule);
        (hashed(&tagged) == hashed(source)).then_some(tagged)
    }

    fn render(&self, source: &[u8], rule: &PolicyRule) -> Vec<u8> {
        let aggregator = rule.aggregator.to_string();
        let bucket = rule.bucket_text();
        let upper = aggregator.to_ascii_uppercase();
        let milliseconds = rule.cut.span().milliseconds();
        let milliseconds = milliseconds.map_or_else(|| bucket.clone(), |ms| ms.to_string());
        let values = [
            (KEY, source),
            (b"{agg}", aggregator.as_bytes()),
            (b"{AGG}", upper.as_bytes()),
            (b"{bucket}", bucket.as_bytes()),
            (b"{ms}", milliseconds.as_bytes()),
        ];
        let (mut key, mut rest) = (Vec::new(), &*self.template);
        while let Some((&byte, after)) = rest.split_first() {
            let value = values.iter().find(|(name, _)| rest.starts_with(name));
            if let Some((name, value)) = value {
                key.extend_from_slice(value);
                rest = &rest[name.len()..];
            } else {
                key.push(byte);
                rest = after;
            }
        }
        key
    }

    /// Bytes on the heap, about: the selector is as large as the texts that it was read from.
    pub fn heap_bytes(&self) -> usize {
        let texts: usize = self.filters().map(|filter| 2 * filter.len() + 64).sum();
        texts + size_of_val(&*self.rules) + self.template.len()
    }
}

const KEY: &[u8] = b"{key}";

/// A matcher for series without a label.
fn is_missing(label: &[u8]) -> Matcher {
    Matcher {
        label: label.into(),
        predicate: Predicate::Present,
        negated: true,
    }
}

/// Whether two keys are sure to lie in the same slot of a cluster.
pub fn is_same_slot(one: &[u8], other: &[u8]) -> bool {
    hashed(one) == hashed(other)
}

/// The part of a key that decides on its slot in a cluster: what stands in the first braces, or all
/// of it where nothing does.
fn hashed(key: &[u8]) -> &[u8] {
    let tag = || {
        let open = key.iter().position(|&byte| byte == b'{')?;
        let behind = &key[open + 1..];
        let len = behind.iter().position(|&byte| byte == b'}')?;
        (len > 0).then(|| &behind[..len])
    };
    tag().unwrap_or(key)
}

impl PolicyRule {
    /// The length of a bucket in the largest unit that it is a whole number of, as clients write it.
    pub fn bucket_text(&self) -> String {
        const UNITS: [(i64, &str); 4] = [
            (24 * 60 * 60 * 1000, "d"),
            (60 * 60 * 1000, "h"),
            (60 * 1000, "m"),
            (1000, "s"),
        ];
        let Span::Milliseconds(ms) = self.cut.span() else {
            return self.cut.span().to_string();
        };
        match UNITS.iter().find(|(unit_ms, _)| ms % unit_ms == 0) {
            Some((unit_ms, name)) => format!("{}{name}", ms / unit_ms),
            None => format!("{ms}ms"),
        }
    }

    /// The labels of the destination of a series with these.
    ///
    /// # Errors
    /// `Limit` where they would be too many.
    pub fn labels(&self, source: &Labels) -> Result<Labels> {
        let (aggregator, bucket) = (self.aggregator.to_string(), self.bucket_text());
        let own = [
            (AGGREGATION_LABEL, aggregator.as_bytes()),
            (BUCKET_LABEL, bucket.as_bytes()),
        ];
        let is_own = |name: &[u8]| name == AGGREGATION_LABEL || name == BUCKET_LABEL;
        Labels::new(source.iter().filter(|(name, _)| !is_own(name)).chain(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(aggregator: Aggregator, span: Span) -> PolicyRule {
        PolicyRule {
            aggregator,
            cut: Cut::new(span, None, 0).unwrap(),
            retention_ms: 0,
        }
    }

    fn policy(template: &[u8]) -> Result<Policy> {
        let hour = rule(Aggregator::Avg, Span::Milliseconds(3_600_000));
        let odd = rule(Aggregator::Max, Span::Milliseconds(90_001));
        Policy::new(&[b"a=1"], Selector::default(), vec![hour, odd], template)
    }

    #[test]
    fn destinations_are_named_by_the_template() {
        let name = |template: &[u8], source: &[u8], in_cluster| {
            let policy = policy(template).unwrap();
            policy.destination(source, &policy.rules()[0], in_cluster)
        };
        let named = |name: &[u8]| Some(name.to_vec());
        assert_eq!(name(DEFAULT_TEMPLATE, b"t:1", false), named(b"t:1:avg:1h"));
        assert_eq!(name(DEFAULT_TEMPLATE, b"t:1", true), named(b"{t:1}:avg:1h"));
        assert_eq!(name(DEFAULT_TEMPLATE, b"{t}1", true), named(b"{t}1:avg:1h"));
        assert_eq!(
            name(b"{agg}/{key}/{x}", b"{t}1", true),
            named(b"avg/{t}1/{x}")
        );
        assert_eq!(name(b"{x}{key}{agg}", b"t", true), None);
        assert_eq!(name(DEFAULT_TEMPLATE, b"a}b", true), None);
        assert_eq!(
            name(b"{key}{key}{agg}", b"{agg}", false),
            named(b"{agg}{agg}avg")
        );
    }

    #[test]
    fn templates_that_name_one_key_twice_are_refused() {
        for template in [&b"x"[..], b"{agg}", b"{key}", b"{key}:x", b"{key}:{KEY}"] {
            assert!(policy(template).is_err());
        }
        let long = [b"{key}{agg}", &[b'x'; MAX_TEMPLATE_BYTES - 10][..]].concat();
        assert!(policy(&long).is_ok());
        assert!(policy(&[&long[..], b"x"].concat()).is_err());
    }

    #[test]
    fn what_a_policy_makes_is_not_matched() {
        let policy = policy(DEFAULT_TEMPLATE).unwrap();
        let source = Labels::new([(&b"bucket"[..], &b"red"[..]), (b"a", b"1")]).unwrap();
        assert!(policy.matches(&source));
        let made = policy.rules()[1].labels(&source).unwrap();
        assert!(!policy.matches(&made));
        assert_eq!(made.get(b"bucket"), Some(&b"90001ms"[..]));
        assert_eq!(made.get(b"aggregation"), Some(&b"max"[..]));
        assert_eq!(made.len(), 3);
    }
}
