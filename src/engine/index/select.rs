//! Finding the series that a selector matches.
//!
//! ```text
//! groups, cheapest first:   region=r3   a=b   name~x*     dev!=33
//!                           start     ->  &  ->  filter  ->  -
//! ```
//!
//! The smallest postings begin, the other groups narrow what is left, and negated ones come last.
//! A pattern is tried once on each value, however many series have it; but where fewer series are
//! left than there are values, on the value of each.

use roaring::RoaringBitmap;

use super::super::error::Result;
use super::label::Label;
use super::postings::{Postings, Union};
use super::selector::{Limits, Matcher, Predicate, Selector};
use super::{IdSet, Index};

impl Index {
    /// The series that match; those of an empty selector are all.
    ///
    /// Costs the sizes of the postings that are named, and a walk over the values of a label for
    /// each pattern.
    ///
    /// # Errors
    /// `TooManySeries` if more match than the limits allow.
    pub fn select(&self, selector: &Selector, limits: Limits) -> Result<IdSet> {
        let mut groups: Vec<&[Matcher]> = selector.groups().collect();
        groups.sort_by_cached_key(|group| self.cost(group));
        let mut left = None;
        for group in groups {
            let found = match &left {
                None => self.start(group),
                Some(left) => self.narrow(left, group),
            };
            if found.is_empty() {
                return Ok(IdSet::default());
            }
            left = Some(found);
        }
        let found = left.unwrap_or_else(|| self.all.clone());
        limits.check(found.len())?;
        Ok(IdSet(found))
    }

    /// What a group is ordered by: those without negation first, then by the work.
    fn cost(&self, group: &[Matcher]) -> (bool, u64) {
        let work = |matcher: &Matcher| {
            let label = self.labels.get(&matcher.label);
            label.map_or(0, |label| self.work(label, &matcher.predicate))
        };
        let is_negated = group.iter().any(|matcher| matcher.negated);
        (is_negated, group.iter().map(work).sum())
    }

    /// About how many ids are touched for a predicate.
    fn work(&self, label: &Label, predicate: &Predicate) -> u64 {
        /// What trying a pattern costs, in ids.
        const PATTERN: u64 = 8;
        match predicate {
            Predicate::Present => label.present().len(),
            Predicate::In(values) => {
                let postings = values
                    .iter()
                    .filter_map(|value| label.postings(value, &self.hasher));
                postings.map(Postings::len).sum()
            }
            Predicate::Glob(_) | Predicate::Regex(_) | Predicate::Number(..) => {
                label.present().len() + PATTERN * label.len() as u64
            }
        }
    }

    /// The series of the first group.
    fn start(&self, group: &[Matcher]) -> RoaringBitmap {
        if group.iter().any(|matcher| matcher.negated) {
            return self.narrow(&self.all, group);
        }
        let mut found = RoaringBitmap::new();
        for matcher in group {
            if let Some(label) = self.labels.get(&matcher.label) {
                found |= self.matching(label, &matcher.predicate, None);
            }
        }
        found
    }

    /// Those of `left` for which one of the group holds.
    fn narrow(&self, left: &RoaringBitmap, group: &[Matcher]) -> RoaringBitmap {
        let mut found = RoaringBitmap::new();
        for matcher in group {
            found |= self.narrow_by(left, matcher);
        }
        found
    }

    fn narrow_by(&self, left: &RoaringBitmap, matcher: &Matcher) -> RoaringBitmap {
        let Some(label) = self.labels.get(&matcher.label) else {
            return if matcher.negated {
                left.clone()
            } else {
                RoaringBitmap::new()
            };
        };
        match (&matcher.predicate, matcher.negated) {
            (Predicate::Present, false) => left & label.present(),
            (Predicate::Present, true) => left - label.present(),
            (Predicate::In(values), true) => {
                let mut left = left.clone();
                for value in values.iter() {
                    if let Some(postings) = label.postings(value, &self.hasher) {
                        postings.subtract(&mut left);
                    }
                }
                left
            }
            (predicate, false) => self.matching(label, predicate, Some(left)),
            (predicate, true) => left - self.matching(label, predicate, Some(left)),
        }
    }

    /// The series, or those of `within`, whose value is as the predicate says.
    fn matching(
        &self,
        label: &Label,
        predicate: &Predicate,
        within: Option<&RoaringBitmap>,
    ) -> RoaringBitmap {
        let mut union = Union::default();
        match predicate {
            Predicate::Present => {
                let present = label.present();
                return within.map_or_else(|| present.clone(), |within| within & present);
            }
            Predicate::In(values) => {
                for value in values.iter() {
                    if let Some(postings) = label.postings(value, &self.hasher) {
                        union.add(postings, within);
                    }
                }
            }
            _ => match within.and_then(|within| label.values_by_id(within, label.len() as u64)) {
                Some(pairs) => pairs
                    .filter(|(_, value)| predicate.matches(value))
                    .for_each(|(id, _)| union.push(id)),
                None => label
                    .values()
                    .filter(|(value, _)| predicate.matches(value))
                    .for_each(|(_, postings)| union.add(postings, within)),
            },
        }
        union.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::error::Error;
    use super::super::super::labels::Labels;
    use super::super::{Glob, Values};
    use super::*;

    fn matcher(label: &str, predicate: Predicate, negated: bool) -> Matcher {
        Matcher {
            label: label.as_bytes().into(),
            predicate,
            negated,
        }
    }

    fn is(label: &str, value: &str) -> Matcher {
        let values = Values::new([value.as_bytes()]);
        matcher(label, Predicate::In(values), false)
    }

    /// 1000 series: all of one region, ten to a site.
    fn index() -> Index {
        let mut index = Index::new();
        for number in 0..1000 {
            let site = (number / 10).to_string();
            let pairs = [("region", "eu"), ("site", &site)];
            let pairs = pairs.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            let key = number.to_string();
            index.insert(key.as_bytes(), &Labels::new(pairs).unwrap());
        }
        index
    }

    fn select(index: &Index, groups: Vec<Vec<Matcher>>, max_series: u64) -> Result<u64> {
        let mut selector = Selector::default();
        for group in groups {
            selector.push(group);
        }
        let found = index.select(&selector, Limits { max_series })?;
        Ok(found.len())
    }

    #[test]
    fn the_cheapest_group_comes_first_and_negated_ones_last() {
        let index = index();
        let glob = || Predicate::Glob(Glob::new(b"9*").unwrap());
        let rising = [
            vec![is("none", "x")],
            vec![is("site", "7")],
            vec![is("site", "7"), is("site", "8")],
            vec![is("region", "eu")],
            vec![matcher("site", glob(), false)],
            vec![matcher("site", Predicate::Present, true)],
            vec![is("site", "7"), matcher("site", glob(), true)],
        ];
        let costs: Vec<_> = rising.iter().map(|group| index.cost(group)).collect();
        assert!(costs.is_sorted(), "{costs:?}");
    }

    #[test]
    fn a_limit_is_on_what_matches() {
        let index = index();
        let site = || vec![is("site", "7")];
        let absent = || vec![matcher("site", Predicate::Present, true)];
        assert_eq!(select(&index, vec![site()], 10), Ok(10));
        let refusal = Error::TooManySeries { series: 10, max: 9 };
        assert_eq!(select(&index, vec![site()], 9), Err(refusal));
        assert_eq!(select(&index, vec![site(), absent()], 0), Ok(0));
        assert_eq!(select(&index, vec![], 1000), Ok(1000));
        assert!(select(&index, vec![], 999).is_err());
    }
}
