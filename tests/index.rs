//! The label index and its filters against a naive model: a list of keys and labels that is
//! searched from end to end.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/filters.rs"]
mod filters;
#[path = "support/seeds.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod seeds;

use std::collections::BTreeSet;

use filters::{Filter, Pairs, Vocabulary, quoted};
use proptest::prelude::*;
use redis_iot::command::filter;
use redis_iot::engine::Error;
use redis_iot::engine::index::{IdSet, Index, Limits, Predicate, Values};
use redis_iot::engine::labels::Labels;
use seeds::Random;

/// The seed of the random operations.
const OPERATIONS_SEED: u64 = 0x10D5_0020;
/// The seed of the index with many series.
const MANY_SEED: u64 = 0x10D5_0021;

/// The labels there are; a value is one of so many.
const LABELS: [(&[u8], i64); 6] = [
    (b"site", 2),
    (b"floor", 5),
    (b"zone of a building, by a long name", 40),
    (b"serial", 100_000),
    (b"t", 12),
    (b"rare", 3),
];

fn value(random: &mut Random, label: usize) -> Vec<u8> {
    let number = random.within(0..LABELS[label].1);
    let value = match label {
        // Numbers in several notations, and what is none.
        4 if number == 0 => "warm".to_owned(),
        4 if number % 3 == 0 => format!("{}.5e1", number - 6),
        4 => (number - 6).to_string(),
        2 => format!("a value beyond what lies inside {number}"),
        _ => format!("v{number}"),
    };
    value.into_bytes()
}

const VOCABULARY: Vocabulary = Vocabulary {
    names: &[
        LABELS[0].0,
        LABELS[1].0,
        LABELS[2].0,
        LABELS[3].0,
        LABELS[4].0,
        LABELS[5].0,
    ],
    value,
};

fn pairs(random: &mut Random) -> Pairs {
    VOCABULARY.pairs(random, |label| if label == 5 { 5 } else { 80 })
}

fn labels(pairs: &Pairs) -> Labels {
    let bytes = pairs.iter();
    Labels::new(bytes.map(|(name, value)| (&name[..], &value[..]))).unwrap()
}

/// An index and its model.
#[derive(Default)]
struct Pair {
    index: Index,
    model: Vec<(String, Pairs)>,
}

impl Pair {
    fn place(&self, key: &str) -> Option<usize> {
        self.model.iter().position(|(other, _)| other == key)
    }

    /// The labels of a series as somebody may hand them in: now and then the wrong ones.
    fn labels_of(&self, key: &str, random: &mut Random) -> Labels {
        match self.place(key) {
            Some(at) if random.chance(85) => labels(&self.model[at].1),
            _ => labels(&pairs(random)),
        }
    }

    fn change(&mut self, random: &mut Random) {
        let key = key(random);
        let place = self.place(&key);
        match random.index(10) {
            0..=4 => {
                let pairs = pairs(random);
                self.index.insert(key.as_bytes(), &labels(&pairs));
                if let Some(at) = place {
                    self.model.remove(at);
                }
                self.model.push((key, pairs));
            }
            5..=6 => {
                let given = self.labels_of(&key, random);
                let removed = self.index.remove(key.as_bytes(), &given);
                assert_eq!(removed, place.is_some());
                if let Some(at) = place {
                    self.model.swap_remove(at);
                }
            }
            7 => self.rename(&key, random),
            _ => {
                let pairs = pairs(random);
                let old = self.labels_of(&key, random);
                let found = self.index.relabel(key.as_bytes(), &old, &labels(&pairs));
                assert_eq!(found, place.is_some());
                if let Some(at) = place {
                    self.model[at].1 = pairs;
                }
            }
        }
    }

    fn rename(&mut self, key: &str, random: &mut Random) {
        let new_key = self::key(random);
        let found = self.index.rename(key.as_bytes(), new_key.as_bytes());
        assert_eq!(found, self.place(key).is_some());
        if found && key != new_key {
            self.model.retain(|(other, _)| *other != new_key);
            let at = self.place(key).unwrap();
            self.model[at].0 = new_key;
        }
    }

    fn check(&self) {
        let model: Vec<(&[u8], Labels)> = self
            .model
            .iter()
            .map(|(key, pairs)| (key.as_bytes(), labels(pairs)))
            .collect();
        let series = model.iter().map(|(key, labels)| (*key, labels));
        assert_eq!(self.index.check(series), Ok(()));
        assert_eq!(self.index.len(), self.model.len());
    }

    fn query(&self, random: &mut Random) {
        let filters = Filter::several(random, &VOCABULARY);
        let texts: Vec<Vec<u8>> = filters.iter().map(Filter::text).collect();
        let arguments: Vec<&[u8]> = texts.iter().map(|text| &text[..]).collect();
        let selector = filter::parse(&arguments).unwrap();

        let holds = |pairs: &Pairs| Filter::all_hold(&filters, pairs);
        let matching = self.model.iter().filter(|(_, pairs)| holds(pairs));
        let matching: Vec<&(String, Pairs)> = matching.collect();
        let expected: BTreeSet<&[u8]> = matching.iter().map(|(key, _)| key.as_bytes()).collect();
        let found = self.index.select(&selector, Limits::NONE).unwrap();
        let keys = self.index.sorted_keys(&found);
        let keys: Vec<&[u8]> = keys.iter().map(|&(key, _)| key).collect();
        assert_eq!(keys, Vec::from_iter(expected), "{filters:?}");
        self.check_contents(&found, &matching);
        for (_, pairs) in &self.model {
            let labels = labels(pairs);
            assert_eq!(selector.matches(|name| labels.get(name)), holds(pairs));
        }
        check_limit(&self.index, &arguments, found.len());
    }

    /// Names and values of a selection.
    fn check_contents(&self, found: &IdSet, matching: &[&(String, Pairs)]) {
        let pairs = || matching.iter().flat_map(|(_, pairs)| pairs);
        let names: BTreeSet<&[u8]> = pairs().map(|(name, _)| &name[..]).collect();
        assert_eq!(self.index.names(Some(found)), Vec::from_iter(names));
        for (name, _) in LABELS {
            let values = pairs().filter(|(other, _)| other == name);
            let values: BTreeSet<&[u8]> = values.map(|(_, value)| &value[..]).collect();
            let found = self.index.values_of(name, Some(found));
            assert_eq!(found, Vec::from_iter(values));
        }
    }
}

fn key(random: &mut Random) -> String {
    let number = random.index(300);
    let long = if number.is_multiple_of(2) {
        ""
    } else {
        "a key longer than others:"
    };
    format!("{long}sensor:{number}")
}

fn check_limit(index: &Index, filters: &[&[u8]], series: u64) {
    let selector = filter::parse(filters).unwrap();
    let select = |max_series| index.select(&selector, Limits { max_series });
    assert!(select(series).is_ok());
    if let Some(max) = series.checked_sub(1) {
        assert_eq!(select(max), Err(Error::TooManySeries { series, max }));
    }
}

#[test]
fn random_operations_and_filters_agree_with_the_model() {
    let mut random = Random::new(OPERATIONS_SEED);
    let mut pair = Pair::default();
    for step in 0..4000 {
        pair.change(&mut random);
        pair.check();
        if step % 2 == 0 {
            pair.query(&mut random);
        }
    }
    while let Some((key, pairs)) = pair.model.pop() {
        assert!(pair.index.remove(key.as_bytes(), &labels(&pairs)));
        pair.check();
    }
    assert_eq!(pair.index.names(None), Vec::<&[u8]>::new());
    assert!(
        pair.index.heap_bytes() < 100,
        "an empty index holds nothing"
    );
}

#[test]
fn many_series_agree_with_the_model() {
    let mut random = Random::new(MANY_SEED);
    let mut pair = Pair::default();
    for number in 0..8000 {
        let (key, pairs) = (format!("sensor:{number}"), pairs(&mut random));
        pair.index.insert(key.as_bytes(), &labels(&pairs));
        pair.model.push((key, pairs));
    }
    pair.check();
    for _ in 0..300 {
        pair.query(&mut random);
    }
    for _ in 0..7800 {
        let (key, pairs) = pair.model.swap_remove(random.index(pair.model.len()));
        assert!(pair.index.remove(key.as_bytes(), &labels(&pairs)));
    }
    pair.check();
    (0..100).for_each(|_| pair.query(&mut random));
    pair.index.clear();
    pair.model.clear();
    pair.check();
}

#[test]
fn a_check_names_what_differs() {
    let one = Labels::new([(&b"a"[..], &b"1"[..])]).unwrap();
    let two = Labels::new([(&b"a"[..], &b"2"[..])]).unwrap();
    let mut index = Index::new();
    index.insert(b"k", &one);
    let difference = |series: &[(&[u8], &Labels)]| {
        let found = index.check(series.iter().copied()).unwrap_err();
        (found.what, found.of)
    };
    let key: Box<[u8]> = b"k"[..].into();
    let expected = ("the index has a series that is not there", key.clone());
    assert_eq!(difference(&[]), expected);
    let expected = ("a label of a series is not in the index", key.clone());
    assert_eq!(difference(&[(b"k", &two)]), expected);
    let expected = ("the index has more labels than a series", key);
    assert_eq!(difference(&[(b"k", &Labels::default())]), expected);
    let expected = ("a series is not in the index", b"l"[..].into());
    assert_eq!(difference(&[(b"k", &one), (b"l", &one)]), expected);
}

#[test]
fn of_two_labels_with_one_name_the_first_counts() {
    let twice: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"b", b"x"), (b"a", b"2")];
    let labels = Labels::new(twice).unwrap();
    let mut index = Index::new();
    index.insert(b"k", &labels);
    assert_eq!(index.check([(&b"k"[..], &labels)]), Ok(()));
    assert_eq!(index.values_of(b"a", None), [b"1"]);
    index.insert(b"k", &labels);
    assert!(index.relabel(b"k", &labels, &labels));
    assert!(index.remove(b"k", &labels));
    assert_eq!(index.check([]), Ok(()));
}

proptest! {
    #[test]
    fn any_label_and_value_can_be_quoted(
        label in prop::collection::vec(any::<u8>(), 1..30),
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..30), 1..4),
    ) {
        let list: Vec<Vec<u8>> = values.iter().map(|value| quoted(value)).collect();
        let matcher = [&quoted(&label)[..], b"!=(", &list.join(&b','), b")"].concat();
        let group = [b"(a=1 OR ", &matcher[..], b" OR b=2)"].concat();
        let selector = filter::parse(&[&matcher, &group]).unwrap();
        let groups: Vec<_> = selector.groups().collect();
        prop_assert_eq!(&groups[0][0], &groups[1][1]);
        prop_assert_eq!(&*groups[0][0].label, &label[..]);
        let values = Values::new(values.iter().map(|value| &value[..]));
        prop_assert_eq!(&groups[0][0].predicate, &Predicate::In(values));
    }

    #[test]
    fn any_text_is_read_or_refused(
        filters in prop::collection::vec(r#"[(]?[\x00\xffab=!~<>()"\\,*\[\]^\-1 |]{0,24}( OR )?[^\x00]{0,8}"#, 1..4),
    ) {
        let arguments: Vec<&[u8]> = filters.iter().map(String::as_bytes).collect();
        match filter::parse(&arguments) {
            Ok(selector) => {
                prop_assert_eq!(selector.groups().count(), filters.len());
                selector.matches(|_| Some(b"ab1"));
            }
            Err(refusal) => prop_assert!(refusal.to_string().starts_with("ERR ")),
        }
    }
}
