//! The model of questions to many series: what each reply should be, in both protocols. Numbers are
//! doubles in either.

use std::collections::BTreeMap;

use redis::Value;

use super::aggregation::{self, Query, Sample};
use super::client::Protocol;
use super::filters::{Filter, Pairs, value_of};
use super::notation::{TOLERANCE, near, number};

/// A series of the model.
pub(crate) struct Member {
    pub(crate) labels: Pairs,
    pub(crate) samples: Vec<Sample>,
}

impl Member {
    /// Forgets what is older than the newest sample by more than this; 0 keeps all.
    pub(crate) fn retain(&mut self, retention_ms: i64) {
        if let Some(&(newest, _)) = self.samples.last()
            && retention_ms > 0
        {
            self.samples
                .retain(|&(time, _)| time >= newest - retention_ms);
        }
    }
}

/// Which labels are shown.
#[derive(Clone)]
pub(crate) enum Shown {
    Nothing,
    All,
    Selected(Vec<Vec<u8>>),
}

/// What `IOT.MRANGE` is asked.
pub(crate) struct Question {
    pub(crate) query: Query,
    pub(crate) filters: Vec<Filter>,
    pub(crate) shown: Shown,
    pub(crate) exclude_empty: bool,
    pub(crate) grouping: Option<(Vec<&'static [u8]>, &'static str)>,
    pub(crate) top: Option<(usize, &'static str)>,
    pub(crate) limit: Option<(usize, usize)>,
}

pub(crate) type Rows = Vec<(i64, Vec<f64>)>;

/// A key and its series.
type Found<'m> = (&'m Vec<u8>, &'m Member);

/// All series, and the protocol of the replies.
pub(crate) struct Model {
    pub(crate) protocol: Protocol,
    pub(crate) members: BTreeMap<Vec<u8>, Member>,
}

pub(crate) fn bulk(bytes: impl AsRef<[u8]>) -> Value {
    Value::BulkString(bytes.as_ref().to_vec())
}

pub(crate) fn integer(count: usize) -> Value {
    Value::Int(count.try_into().unwrap())
}

impl Model {
    pub(crate) fn found(&self, filters: &[Filter]) -> Vec<Found<'_>> {
        let all = self.members.iter();
        all.filter(|(_, member)| Filter::all_hold(filters, &member.labels))
            .collect()
    }

    pub(crate) fn set(&self, texts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Value {
        let texts = texts.into_iter().map(bulk).collect();
        match self.protocol {
            Protocol::Resp2 => Value::Array(texts),
            Protocol::Resp3 => Value::Set(texts),
        }
    }

    /// A map of keys and what is behind them, or an array of arrays.
    pub(crate) fn results(&self, results: Vec<(Value, Vec<Value>)>) -> Value {
        match self.protocol {
            Protocol::Resp2 => {
                let flat = |(key, values): (Value, Vec<Value>)| [vec![key], values].concat();
                Value::Array(results.into_iter().map(flat).map(Value::Array).collect())
            }
            Protocol::Resp3 => {
                let pairs = results.into_iter();
                Value::Map(
                    pairs
                        .map(|(key, values)| (key, Value::Array(values)))
                        .collect(),
                )
            }
        }
    }

    pub(crate) fn labels(&self, shown: &Shown, labels: &[(Vec<u8>, Vec<u8>)]) -> Value {
        let pairs: Vec<(Value, Value)> = match shown {
            Shown::Nothing => Vec::new(),
            Shown::All => labels
                .iter()
                .map(|(name, value)| (bulk(name), bulk(value)))
                .collect(),
            Shown::Selected(names) => {
                let all = labels.to_vec();
                let any_case = |name: &[u8]| {
                    let mut all = all.iter();
                    let found = all.find(|(other, _)| other.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| &value[..])
                };
                let value = |name: &[u8]| value_of(&all, name).or(any_case(name));
                let names = names.iter();
                names
                    .map(|name| (bulk(name), value(name).map_or(Value::Nil, bulk)))
                    .collect()
            }
        };
        match self.protocol {
            Protocol::Resp2 => {
                let pair = |(name, value)| Value::Array(vec![name, value]);
                Value::Array(pairs.into_iter().map(pair).collect())
            }
            Protocol::Resp3 => Value::Map(pairs),
        }
    }

    /// What the model answers.
    pub(crate) fn answer(&self, question: &Question) -> Value {
        let found = self.found(&question.filters);
        let mut answers = match &question.grouping {
            None => {
                let rows = |member: &Member| aggregation::rows(&member.samples, &question.query);
                let found = found.into_iter();
                found
                    .map(|(key, member)| (rows(member), self.about_series(question, key, member)))
                    .collect()
            }
            Some((labels, reducer)) => self.groups(question, &found, labels, reducer),
        };
        if question.exclude_empty {
            answers.retain(|(rows, _)| !rows.is_empty());
        }
        if let Some((count, by)) = question.top {
            let rank = |rows: &Rows| {
                let mut values: Vec<f64> = rows.iter().map(|(_, values)| values[0]).collect();
                if question.query.reverse {
                    values.reverse();
                }
                let rank = aggregation::reduced(by, &values);
                if rank.is_nan() {
                    f64::NEG_INFINITY
                } else {
                    rank
                }
            };
            answers.sort_by(|one, other| rank(&other.0).total_cmp(&rank(&one.0)));
            answers.truncate(count);
        }
        if let Some((offset, count)) = question.limit {
            answers = answers.into_iter().skip(offset).take(count).collect();
        }
        let results = answers.into_iter().map(|(rows, (name, mut about))| {
            let rows = rows
                .iter()
                .map(|(time, values)| Value::Array(row(*time, values)));
            about.push(Value::Array(rows.collect()));
            (name, about)
        });
        self.results(results.collect())
    }

    /// The name of a series' result, and what stands before its rows.
    fn about_series(
        &self,
        question: &Question,
        key: &[u8],
        member: &Member,
    ) -> (Value, Vec<Value>) {
        let mut about = vec![self.labels(&question.shown, &member.labels)];
        if self.protocol == Protocol::Resp3 {
            let buckets = question.query.buckets.as_ref();
            let aggregators = buckets.map_or(&[][..], |one| &one.aggregators);
            let aggregators = aggregators.iter().map(bulk).collect();
            about.push(Value::Map(vec![(
                bulk("aggregators"),
                Value::Array(aggregators),
            )]));
        }
        (bulk(key), about)
    }

    fn groups(
        &self,
        question: &Question,
        found: &[Found<'_>],
        labels: &[&[u8]],
        reducer: &str,
    ) -> Vec<(Rows, (Value, Vec<Value>))> {
        let mut groups: BTreeMap<Vec<&[u8]>, Vec<Found<'_>>> = BTreeMap::new();
        for &(key, member) in found {
            let values = labels.iter().map(|name| value_of(&member.labels, name));
            if let Some(values) = values.collect::<Option<Vec<_>>>() {
                groups.entry(values).or_default().push((key, member));
            }
        }
        let mut answers = Vec::new();
        for (values, members) in groups {
            let query = Query {
                count: None,
                ..question.query.clone()
            };
            let mut times: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
            for (_, member) in &members {
                for (time, values) in aggregation::rows(&member.samples, &query) {
                    times.entry(time).or_default().push(values[0]);
                }
            }
            let folded = times
                .iter()
                .map(|(&time, values)| (time, vec![aggregation::reduced(reducer, values)]));
            let mut rows: Rows = folded.collect();
            if query.reverse {
                rows.reverse();
            }
            rows.truncate(question.query.count.unwrap_or(usize::MAX));
            let pairs: Pairs = labels
                .iter()
                .zip(values)
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect();
            let sources: Vec<&[u8]> = members.iter().map(|(key, _)| &key[..]).collect();
            answers.push((
                rows,
                self.about_group(&question.shown, pairs, &sources, reducer),
            ));
        }
        answers
    }

    fn about_group(
        &self,
        shown: &Shown,
        mut pairs: Pairs,
        sources: &[&[u8]],
        reducer: &str,
    ) -> (Value, Vec<Value>) {
        let named = pairs
            .iter()
            .map(|(name, value)| [name, &b"="[..], value].concat());
        let name = bulk(named.collect::<Vec<_>>().join(&b","[..]));
        let listed =
            |name: &str, texts: Vec<Value>| Value::Map(vec![(bulk(name), Value::Array(texts))]);
        if self.protocol == Protocol::Resp3 {
            let labels = self.labels(shown, &pairs);
            let sources = sources.iter().map(bulk).collect();
            return (
                name,
                vec![
                    labels,
                    listed("reducers", vec![bulk(reducer)]),
                    listed("sources", sources),
                ],
            );
        }
        if matches!(shown, Shown::All) {
            pairs.push((b"__reducer__".to_vec(), reducer.into()));
            pairs.push((b"__source__".to_vec(), sources.join(&b","[..])));
        }
        (name, vec![self.labels(shown, &pairs)])
    }
}

pub(crate) fn row(time: i64, values: &[f64]) -> Vec<Value> {
    let values = values.iter().map(|&value| Value::Double(value));
    [vec![Value::Int(time)], values.collect()].concat()
}

/// Whether a reply is what the model says, whose numbers are doubles whatever the protocol.
pub(crate) fn same(want: &Value, have: &Value, protocol: Protocol) -> bool {
    let all = |want: &[Value], have: &[Value]| {
        let mut pairs = want.iter().zip(have);
        want.len() == have.len() && pairs.all(|(want, have)| same(want, have, protocol))
    };
    match (want, have) {
        (Value::Double(want), have) => {
            number(have, protocol).is_some_and(|have| near(*want, have, TOLERANCE))
        }
        (Value::Array(want), Value::Array(have)) | (Value::Set(want), Value::Set(have)) => {
            all(want, have)
        }
        (Value::Map(want), Value::Map(have)) => {
            let mut pairs = want.iter().zip(have);
            want.len() == have.len()
                && pairs.all(|(want, have)| {
                    same(&want.0, &have.0, protocol) && same(&want.1, &have.1, protocol)
                })
        }
        (want, have) => want == have,
    }
}
