//! A range query over many series, and its answer: a result a series, or one a group.
//!
//! ```text
//! series  --query-->  rows  --GROUPBY-->  rows a group  --EXCLUDEEMPTY, TOP, LIMIT-->  reply
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::error::Result;
use super::host::{Query, Reply, Run};
use super::rows;
use super::shown::{Shown, some_value};
use crate::engine::Series;
use crate::engine::aggregate::Aggregator;
use crate::engine::labels::Labels;
use crate::engine::query::{Cost, RangeQuery, Rows, check_filled, reduce, summary};
use crate::engine::series::Order;

/// One of the series.
pub(super) struct Member<'s> {
    pub(super) name: Box<[u8]>,
    pub(super) series: Cow<'s, Series>,
}

/// How series are put together.
pub(super) struct Grouping {
    pub(super) labels: Vec<Box<[u8]>>,
    pub(super) reducer: Aggregator,
}

/// Which results are wanted: those that are greatest by an aggregator over the values shown.
pub(super) struct Top {
    pub(super) count: usize,
    pub(super) by: Aggregator,
}

/// A range query over many series.
pub(super) struct SeriesQuestion<'s> {
    pub(super) members: Vec<Member<'s>>,
    pub(super) query: RangeQuery,
    pub(super) shown: Shown,
    pub(super) exclude_empty: bool,
    pub(super) grouping: Option<Grouping>,
    pub(super) top: Option<Top>,
    /// How many results to pass over, and how many to give.
    pub(super) limit: Option<(usize, usize)>,
}

/// One result, before it is sent.
struct Answer {
    rows: Rows,
    about: About,
}

/// What a result is about.
enum About {
    /// A series, by its place.
    Series(usize),
    /// A group: its labels, and the places of its series.
    Group(Labels, Vec<usize>),
}

impl Query for SeriesQuestion<'_> {
    type Detached = SeriesQuestion<'static>;

    fn cost(&self, enough: u64) -> Cost {
        let (query, mut cost) = (self.series_query(), Cost::default());
        for member in &self.members {
            if cost.total() > enough {
                break;
            }
            cost += query.cost(&member.series, enough);
            // To look at it at all.
            cost.blocks += 1;
        }
        cost
    }

    fn detach(self) -> SeriesQuestion<'static> {
        let detached = |member: Member<'_>| Member {
            name: member.name,
            series: Cow::Owned(member.series.into_owned()),
        };
        SeriesQuestion {
            members: self.members.into_iter().map(detached).collect(),
            query: self.query,
            shown: self.shown,
            exclude_empty: self.exclude_empty,
            grouping: self.grouping,
            top: self.top,
            limit: self.limit,
        }
    }

    fn answer(&self, run: &impl Run, reply: &impl Reply) -> Result<()> {
        let cost = self.cost(u64::MAX);
        run.admit(cost)?;
        let answers = self.chosen(self.answers(cost, run)?);
        let values = answers.iter().map(|answer| rows::values(&answer.rows));
        run.admit_reply(values.sum())?;
        self.send(answers, run, reply);
        Ok(())
    }
}

impl SeriesQuestion<'_> {
    /// Whether the answer is bounded, before any of it is made.
    ///
    /// # Errors
    /// `Limit`.
    pub(super) fn check(&self) -> Result<()> {
        let query = self.series_query();
        let mut filled = 0_u64;
        for member in &self.members {
            filled = filled.saturating_add(query.filled_buckets(&member.series));
        }
        Ok(check_filled(filled)?)
    }

    /// The query as each series is asked. The number of rows is one of groups, where there are any.
    fn series_query(&self) -> Cow<'_, RangeQuery> {
        if self.grouping.is_none() || self.query.limit == u64::MAX {
            return Cow::Borrowed(&self.query);
        }
        Cow::Owned(RangeQuery {
            limit: u64::MAX,
            ..self.query.clone()
        })
    }

    /// The rows of each series, in order.
    fn rows(&self, cost: Cost, run: &impl Run) -> Result<Vec<Rows>> {
        let query = self.series_query();
        rows::of_each(&self.members, cost, run, |member| {
            query.rows(&member.series, run)
        })
    }

    fn answers(&self, cost: Cost, run: &impl Run) -> Result<Vec<Answer>> {
        let rows = self.rows(cost, run)?;
        let Some(grouping) = &self.grouping else {
            let about = (0..).map(About::Series);
            let answers = rows.into_iter().zip(about);
            return Ok(answers
                .map(|(rows, about)| Answer { rows, about })
                .collect());
        };
        let mut rows: Vec<Option<Rows>> = rows.into_iter().map(Some).collect();
        let mut answers = Vec::new();
        for (values, sources) in self.groups(grouping) {
            // What the rows cost is paid; putting them together takes its time too.
            run.admit(Cost::default())?;
            let rows = sources.iter().filter_map(|&at| rows[at].take()).collect();
            let order: Order = self.query.selection.order;
            let labels = grouping.labels.iter().map(|name| &**name).zip(values);
            answers.push(Answer {
                rows: reduce(rows, grouping.reducer, order, self.query.limit),
                about: About::Group(Labels::new(labels)?, sources),
            });
        }
        run.admit(Cost::default())?;
        Ok(answers)
    }

    /// The places of the series of each group, by the values of its labels. A series that lacks one
    /// of them is in none.
    fn groups(&self, grouping: &Grouping) -> BTreeMap<Vec<&[u8]>, Vec<usize>> {
        let mut groups: BTreeMap<Vec<&[u8]>, Vec<usize>> = BTreeMap::new();
        for (at, member) in self.members.iter().enumerate() {
            let labels = &member.series.options().labels;
            let values = grouping.labels.iter().map(|name| labels.get(name));
            if let Some(values) = values.collect::<Option<Vec<_>>>() {
                groups.entry(values).or_default().push(at);
            }
        }
        groups
    }

    /// The answers that are wanted, in their order.
    fn chosen(&self, mut answers: Vec<Answer>) -> Vec<Answer> {
        if self.exclude_empty {
            answers.retain(|answer| !answer.rows.is_empty());
        }
        if let Some(top) = &self.top {
            // NaN, which also is what no rows have, comes last; equal ones stay in order.
            let rank = |answer: &Answer| {
                let value = summary(&answer.rows, top.by, self.query.selection.order);
                if value.is_nan() {
                    f64::NEG_INFINITY
                } else {
                    value
                }
            };
            let mut ranked: Vec<(f64, Answer)> =
                answers.into_iter().map(|one| (rank(&one), one)).collect();
            ranked.sort_by(|(one, _), (other, _)| other.total_cmp(one));
            ranked.truncate(top.count);
            answers = ranked.into_iter().map(|(_, answer)| answer).collect();
        }
        if let Some((offset, count)) = self.limit {
            answers = answers.into_iter().skip(offset).take(count).collect();
        }
        answers
    }

    fn send(&self, answers: Vec<Answer>, run: &impl Run, reply: &impl Reply) {
        if reply.is_resp3() {
            reply.map(answers.len());
        } else {
            reply.array(answers.len());
        }
        for answer in answers {
            if run.is_in_vain() {
                return;
            }
            match (answer.about, &self.grouping) {
                (About::Group(labels, sources), Some(grouping)) => {
                    self.send_group(&labels, &sources, grouping.reducer, reply);
                }
                (About::Group(..), None) => {}
                (About::Series(at), _) => self.send_series(&self.members[at], reply),
            }
            rows::send(answer.rows, run, reply);
        }
    }

    /// All of a series' result but its rows.
    fn send_series(&self, member: &Member<'_>, reply: &impl Reply) {
        let resp3 = reply.is_resp3();
        if !resp3 {
            reply.array(3);
        }
        reply.bulk(&member.name);
        if resp3 {
            reply.array(3);
        }
        self.shown.send(&member.series.options().labels, reply);
        if resp3 {
            let aggregation = self.query.aggregation.as_ref();
            let aggregators = aggregation.map_or(&[][..], |one| &one.aggregators);
            reply.map(1);
            reply.bulk(b"aggregators");
            reply.array(aggregators.len());
            for aggregator in aggregators {
                reply.bulk(aggregator.to_string().as_bytes());
            }
        }
    }

    /// All of a group's result but its rows.
    fn send_group(
        &self,
        labels: &Labels,
        sources: &[usize],
        reducer: Aggregator,
        reply: &impl Reply,
    ) {
        let names = sources.iter().map(|&at| &*self.members[at].name);
        let pairs = labels
            .iter()
            .map(|(name, value)| [name, b"=", value].concat());
        let name = pairs.collect::<Vec<_>>().join(&b","[..]);
        let reducer = reducer.to_string();
        if reply.is_resp3() {
            reply.bulk(&name);
            reply.array(4);
            self.shown.send(labels, reply);
            reply.map(1);
            reply.bulk(b"reducers");
            reply.array(1);
            reply.bulk(reducer.as_bytes());
            reply.map(1);
            reply.bulk(b"sources");
            reply.array(sources.len());
            for name in names {
                reply.bulk(name);
            }
            return;
        }
        reply.array(3);
        reply.bulk(&name);
        if self.shown.is_all() {
            let sources = names.collect::<Vec<_>>().join(&b","[..]);
            let more: [(&[u8], &[u8]); 2] = [
                (b"__reducer__", reducer.as_bytes()),
                (b"__source__", &sources),
            ];
            let pairs = labels.iter().chain(more).map(some_value);
            reply.pairs(labels.len() + more.len(), pairs);
        } else {
            self.shown.send(labels, reply);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::error::Error;
    use crate::engine::TimeRange;
    use crate::engine::options::Options;
    use crate::engine::query::{Filter, Selection, Watch};

    /// A run whose time is up once the rows are there.
    struct Late;

    const LATE: Error = Error::TooLong {
        setting: "a test",
        max_ms: 1,
    };

    impl Watch for Late {
        fn permits(&self, _samples: usize) -> bool {
            true
        }
    }

    impl Run for Late {
        fn admit(&self, _cost: Cost) -> Result<()> {
            Err(LATE)
        }

        fn why_halted(&self) -> Error {
            Error::Cancelled
        }

        fn is_in_vain(&self) -> bool {
            false
        }

        fn has_help(&self) -> bool {
            false
        }

        fn share<T: Send>(&self, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
            (0..count).map(work).collect()
        }
    }

    #[test]
    fn putting_groups_together_takes_no_longer_than_permitted() {
        let label: (&[u8], &[u8]) = (b"kind", b"temp");
        let series = Series::new(Options {
            labels: Labels::new([label]).unwrap(),
            ..Options::default()
        });
        let selection = Selection {
            range: TimeRange::ALL,
            order: Order::Ascending,
            filter: Filter::new(None, None),
        };
        let question = SeriesQuestion {
            members: vec![Member {
                name: b"t"[..].into(),
                series: Cow::Owned(series),
            }],
            query: RangeQuery {
                selection,
                aggregation: None,
                limit: u64::MAX,
            },
            shown: Shown::Nothing,
            exclude_empty: false,
            grouping: Some(Grouping {
                labels: vec![label.0.into()],
                reducer: Aggregator::Max,
            }),
            top: None,
            limit: None,
        };
        let refusal = question.answers(Cost::default(), &Late).err();
        assert_eq!(refusal, Some(LATE));
    }
}
