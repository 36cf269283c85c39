//! Many series at once against the naive model: random series, filters and queries, and the same
//! answers in both protocols, wherever a query runs.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use redis::Value;
use support::aggregation::{self, AGGREGATORS, Buckets, Query, Sample, Stamp};
use support::client::{Client, Protocol};
use support::filters::{Filter, Vocabulary};
use support::many::{Member, Model, Question, Shown, bulk, integer, row, same};
use support::notation::{packed, quoted, render, words};
use support::seeds::{MANY_SEED, Random};
use support::server::Server;

/// Sets of series for each protocol.
const SETS: usize = 24;
/// Questions to each set of series.
const QUESTIONS: usize = 60;
/// Series of a set.
const SERIES: usize = 36;
/// The first time; larger than every bucket, so that none starts before zero.
const START_MS: i64 = 1_000_000;
const STEP_MS: i64 = 100;

const VOCABULARY: Vocabulary = Vocabulary {
    names: &[
        b"site",
        b"floor",
        b"a label with blanks",
        b"k=v!~<>",
        b"q\"uo\\te",
        b"bin\x00\xff\n",
        b"Site",
    ],
    value,
};

fn value(random: &mut Random, label: usize) -> Vec<u8> {
    const VALUES: [&[&[u8]]; 7] = [
        &[b"eu", b"us", b"eu west", b"EU"],
        &[
            b"1", b"2", b"-3.5", b"4e0", b"+6", b"roof", b"inf", b"nan", b"1e400",
        ],
        &[b"x,y", b"(x)", b"a OR b", b"(a OR b)", b"x"],
        &[b"=", b"a=b", b"!=", b"~*", b"a\\b", b"[a]", b"a?b*"],
        &[b"\"", b"\"quoted\"", b"\\", b"it's", b" "],
        &[b"\x00", b"\xff\xfe", b"\n", b"caf\xc3\xa9", b"\r\n\x80"],
        &[b"FILTER", b"WITHLABELS", b"eu"],
    ];
    random.pick(VALUES[label]).to_vec()
}

/// Where a command runs.
#[derive(Clone, Copy, Debug)]
enum Place {
    Client,
    Transaction,
    Script,
}

/// A server and its model.
struct World {
    client: Client,
    place: Place,
    random: Random,
    model: Model,
    /// Queries that found something.
    hits: usize,
}

impl World {
    fn fill(&mut self) {
        self.client.expect("FLUSHALL", "+OK");
        self.model.members.clear();
        let random = &mut self.random;
        for at in 0..SERIES {
            let odd: &[u8] = random.pick(&[b":", b" k\x00\xff", b":\"", b","]);
            let key = [format!("{}", at % 7).as_bytes(), odd, &[b'A' + byte(at)]].concat();
            let labels = VOCABULARY.pairs(random, |_| 60);
            let len = if random.chance(15) { 0 } else { 60 };
            let samples: Vec<Sample> = (0..random.within(0..len + 1))
                .filter_map(|step| {
                    let value: f64 = random.within(-40..41).to_string().parse().unwrap();
                    let value = if random.chance(15) { f64::NAN } else { value };
                    (!random.chance(30)).then_some((START_MS + step * STEP_MS, value / 4.0))
                })
                .collect();
            let mut create = words("IOT.CREATE");
            create.extend([key.clone()]);
            create.extend(words(random.pick(&["CHUNK_SIZE 48", "ENCODING GORILLA"])));
            let retention = [0, 0, 2_500][random.index(3)];
            create.extend(words(&format!("RETENTION {retention}")));
            create.push(b"LABELS".to_vec());
            create.extend(
                labels
                    .iter()
                    .flat_map(|(name, value)| [name.clone(), value.clone()]),
            );
            assert_eq!(self.client.call(&create), Value::Okay);
            if !samples.is_empty() {
                let add = [
                    b"IOT.ADDBULK",
                    &key[..],
                    b"PACKED",
                    &packed(samples.iter().copied()),
                ];
                self.client.call(&add);
            }
            let mut member = Member { labels, samples };
            member.retain(retention);
            self.model.members.insert(key, member);
        }
    }

    /// Sends a command from where commands come from.
    fn send(&mut self, args: &[Vec<u8>]) -> Value {
        match self.place {
            Place::Client => self.client.call(args),
            Place::Transaction => {
                self.client.expect("MULTI", "+OK");
                self.client.call(args);
                match self.client.run("EXEC") {
                    Value::Array(mut replies) if replies.len() == 1 => replies.remove(0),
                    other => panic!("EXEC replied {}", render(&other)),
                }
            }
            Place::Script => {
                let script = words("EVAL \"return redis.call(unpack(ARGV))\" 0");
                self.client.call(&[&script[..], args].concat())
            }
        }
    }

    #[track_caller]
    fn expect(&mut self, args: &[Vec<u8>], want: &Value) {
        let have = self.send(args);
        if !same(want, &have, self.model.protocol) {
            let line: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
            panic!(
                "{}\n  model:  {}\n  server: {}\n  {:?} {:?}",
                line.join(" "),
                render(want),
                render(&have),
                self.place,
                self.client.protocol
            );
        }
    }

    fn filters(&mut self) -> Vec<Filter> {
        let filters = Filter::several(&mut self.random, &VOCABULARY);
        if self.random.chance(30) {
            filters[..1].to_vec()
        } else {
            filters
        }
    }

    fn shown(&mut self) -> (Shown, Vec<Vec<u8>>) {
        match self.random.index(3) {
            0 => (Shown::Nothing, Vec::new()),
            1 => (Shown::All, words("WITHLABELS")),
            _ => {
                let mut names: Vec<Vec<u8>> = vec![b"none".to_vec(), b"SITE".to_vec()];
                for _ in 0..self.random.index(3) {
                    names.push(self.random.pick(VOCABULARY.names).to_vec());
                }
                let text = [&words("SELECTED_LABELS")[..], &names].concat();
                (Shown::Selected(names), text)
            }
        }
    }

    fn ask(&mut self) {
        match self.random.index(12) {
            0 => self.ask_mget(),
            1 => self.ask_index(),
            2 => self.ask_labels(),
            3 => self.ask_mdel(),
            4 => self.ask_malter(),
            _ => self.ask_range(),
        }
    }

    fn ask_mget(&mut self) {
        let filters = self.filters();
        let (shown, text) = self.shown();
        let found = self.model.found(&filters).into_iter();
        let results = found.map(|(key, member)| {
            let newest = member.samples.last();
            let sample = newest.map_or(Vec::new(), |&(time, value)| row(time, &[value]));
            let labels = self.model.labels(&shown, &member.labels);
            (bulk(key), vec![labels, Value::Array(sample)])
        });
        let want = self.model.results(results.collect());
        let filter = with_filters("FILTER", &filters);
        let args = shuffled(&mut self.random, vec![text, filter, words("LATEST")]);
        self.expect(&[words("IOT.MGET"), args].concat(), &want);
    }

    fn ask_index(&mut self) {
        let filters = self.filters();
        let found = self.model.found(&filters);
        let (want, count) = (
            self.model.set(found.iter().map(|(key, _)| key)),
            found.len(),
        );
        self.expect(&with_filters("IOT.QUERYINDEX", &filters), &want);
        self.expect(&with_filters("IOT.CARD FILTER", &filters), &integer(count));
    }

    fn ask_labels(&mut self) {
        let filters = self.filters();
        let filters = if self.random.chance(30) {
            Vec::new()
        } else {
            filters
        };
        let name = *self.random.pick(&[
            &VOCABULARY.names[0],
            &VOCABULARY.names[1],
            &VOCABULARY.names[5],
        ]);
        let found = self.model.found(&filters);
        let pairs = || found.iter().flat_map(|(_, member)| &member.labels);
        let names: BTreeSet<&[u8]> = pairs().map(|(name, _)| &name[..]).collect();
        let values = pairs().filter(|(other, _)| other == name);
        let values: BTreeSet<&[u8]> = values.map(|(_, value)| &value[..]).collect();
        let (names, values) = (self.model.set(names), self.model.set(values));
        let filter = if filters.is_empty() {
            Vec::new()
        } else {
            with_filters("FILTER", &filters)
        };
        let listed = words("IOT.QUERYLABELS LABELS");
        self.expect(&[listed, filter.clone()].concat(), &names);
        let mut listed = words("IOT.QUERYLABELS VALUES");
        listed.push(name.to_vec());
        self.expect(&[listed, filter].concat(), &values);
    }

    fn ask_mdel(&mut self) {
        let filters = self.filters();
        let from = START_MS + self.random.within(-500..6_000);
        let to = from + self.random.within(-100..500);
        let mut gone = Vec::new();
        for (key, member) in self.model.found(&filters) {
            let range = |sample: &&Sample| from <= sample.0 && sample.0 <= to;
            let count = member.samples.iter().filter(range).count();
            if count > 0 {
                gone.push((key.clone(), count));
            }
        }
        let series = gone.len();
        let samples = gone.iter().map(|(_, count)| count).sum::<usize>();
        let pairs = [("series", series), ("samples", samples)];
        let pairs = pairs.map(|(name, count)| (bulk(name), integer(count)));
        let want = match self.model.protocol {
            Protocol::Resp2 => {
                Value::Array(pairs.into_iter().flat_map(<[Value; 2]>::from).collect())
            }
            Protocol::Resp3 => Value::Map(pairs.into()),
        };
        let args = with_filters(&format!("IOT.MDEL {from} {to} FILTER"), &filters);
        self.expect(&[&args[..], &words("DRYRUN")].concat(), &want);
        if self.random.chance(30) {
            self.expect(&args, &want);
            for (key, _) in gone {
                let samples = &mut self.model.members.get_mut(&key).unwrap().samples;
                samples.retain(|&(time, _)| time < from || to < time);
            }
        }
    }

    fn ask_malter(&mut self) {
        let filters = self.filters();
        let labels = VOCABULARY.pairs(&mut self.random, |_| 50);
        let keys = self.model.found(&filters).into_iter();
        let keys: Vec<Vec<u8>> = keys.map(|(key, _)| key.clone()).collect();
        let want = integer(keys.len());
        let args = with_filters("IOT.MALTER FILTER", &filters);
        let texts = labels
            .iter()
            .flat_map(|(name, value)| [name.clone(), value.clone()]);
        let retention = if self.random.chance(30) {
            1_500
        } else {
            10_000
        };
        let set = words(&format!("SET RETENTION {retention} LABELS"));
        let set = [set, texts.collect()].concat();
        self.expect(&[&args[..], &words("DRYRUN"), &set].concat(), &want);
        if keys.len() < 4 {
            self.expect(&[args, set].concat(), &want);
            for key in keys {
                let member = self.model.members.get_mut(&key).unwrap();
                member.labels.clone_from(&labels);
                member.retain(retention);
            }
        }
    }

    fn ask_range(&mut self) {
        let (shown, shown_text) = self.shown();
        let mut question = Question {
            query: query(&mut self.random),
            filters: self.filters(),
            shown,
            exclude_empty: self.random.chance(30),
            grouping: None,
            top: None,
            limit: None,
        };
        let random = &mut self.random;
        let aggregators = question
            .query
            .buckets
            .as_ref()
            .map(|one| &one.aggregators[..]);
        let is_single = aggregators.is_none_or(|all| all.len() == 1);
        if is_single && random.chance(50) {
            let mut labels = vec![*random.pick(&[&VOCABULARY.names[0], &VOCABULARY.names[1]])];
            if random.chance(40) {
                labels.push(*random.pick(&[&VOCABULARY.names[2], &VOCABULARY.names[5]]));
            }
            let reducers = AGGREGATORS.map(|name| (name, ["first", "last", "twa"].contains(&name)));
            let reducers = reducers.iter().filter(|(_, is_no_reducer)| !is_no_reducer);
            let reducers: Vec<&'static str> = reducers.map(|(name, _)| *name).collect();
            question.grouping = Some((labels, random.pick(&reducers)));
            question.exclude_empty = false;
        }
        // Ranks that are equal but for rounding have no order.
        let is_exact = |name: &str| EXACT.contains(&name);
        let are_exact = aggregators.is_none_or(|all| all.iter().all(|name| is_exact(name)))
            && question
                .grouping
                .as_ref()
                .is_none_or(|(_, reducer)| is_exact(reducer));
        if is_single && are_exact && random.chance(40) {
            question.top = Some((random.index(6), random.pick(&EXACT)));
        }
        if random.chance(25) {
            question.limit = Some((random.index(4), random.index(8)));
        }
        let name = if question.query.reverse {
            "IOT.MREVRANGE"
        } else {
            "IOT.MRANGE"
        };
        let mut text = words(&aggregation::text(&question.query));
        let query_options = text.split_off(2);
        let mut options = options_of(&question);
        options.extend([shown_text, query_options]);
        let args = [words(name), text, shuffled(random, options)].concat();
        let want = self.model.answer(&question);
        self.hits += usize::from(!self.model.found(&question.filters).is_empty());
        self.expect(&args, &want);
    }
}

/// Aggregators whose results do not depend on the order in which numbers are added up.
const EXACT: [&str; 9] = [
    "sum", "min", "max", "range", "count", "first", "last", "countnan", "countall",
];

/// The options that are not those of a range, each by itself.
fn options_of(question: &Question) -> Vec<Vec<Vec<u8>>> {
    let mut options = vec![with_filters("FILTER", &question.filters)];
    if question.exclude_empty {
        options.push(words("EXCLUDEEMPTY"));
    }
    if let Some((labels, reducer)) = &question.grouping {
        let labels = labels.iter().map(|name| name.to_vec()).collect();
        options.push(
            [
                words("GROUPBY"),
                labels,
                words(&format!("REDUCE {reducer}")),
            ]
            .concat(),
        );
    }
    if let Some((count, by)) = question.top {
        options.push(words(&format!("TOP {count} BY {by}")));
    }
    if let Some((offset, count)) = question.limit {
        options.push(words(&format!("LIMIT {offset} {count}")));
    }
    options
}

fn query(random: &mut Random) -> Query {
    let from = START_MS + random.within(-1_000..6_000);
    let to = from + random.within(-10..7_000);
    let buckets = random.chance(60).then(|| {
        let len = if random.chance(75) {
            1
        } else {
            1 + random.index(4)
        };
        Buckets {
            aggregators: (0..len).map(|_| AGGREGATORS[random.index(15)]).collect(),
            duration: [100, 250, 1_000, 7_777][random.index(4)],
            align: [0, 33, from][random.index(3)],
            stamp: [Stamp::Start, Stamp::Mid, Stamp::End][random.index(3)],
            empty: random.chance(40),
        }
    });
    let step = |random: &mut Random| START_MS + STEP_MS * random.within(0..60);
    Query {
        from,
        to,
        times: random
            .chance(15)
            .then(|| (0..20).map(|_| step(random)).collect()),
        values: random.chance(25).then(|| (-5.0, 4.5)),
        buckets,
        count: random.chance(25).then(|| 1 + random.index(6)),
        reverse: random.chance(50),
    }
}

fn byte(at: usize) -> u8 {
    at.try_into().unwrap()
}

fn with_filters(words_before: &str, filters: &[Filter]) -> Vec<Vec<u8>> {
    let mut args = words(words_before);
    args.extend(filters.iter().map(Filter::text));
    args
}

/// Options in any order.
fn shuffled(random: &mut Random, mut options: Vec<Vec<Vec<u8>>>) -> Vec<Vec<u8>> {
    let mut args = Vec::new();
    while !options.is_empty() {
        args.extend(options.swap_remove(random.index(options.len())));
    }
    args
}

fn check(place: Place, off_thread: bool, seed: u64) {
    let inline = if off_thread { "0" } else { "1000000000" };
    let server = Server::start_with(&[
        "--redis-iot.inline-samples",
        inline,
        "--redis-iot.threads",
        "2",
    ]);
    for (round, protocol) in (0..).zip(Protocol::BOTH) {
        let mut world = World {
            client: server.connect(protocol),
            place,
            random: Random::new(seed + round),
            model: Model {
                // A script sees the older protocol, unless it asks for the other.
                protocol: match place {
                    Place::Script => Protocol::Resp2,
                    Place::Client | Place::Transaction => protocol,
                },
                members: BTreeMap::new(),
            },
            hits: 0,
        };
        for _ in 0..SETS {
            world.fill();
            (0..QUESTIONS).for_each(|_| world.ask());
        }
        assert!(
            world.hits > SETS * QUESTIONS / 4,
            "many queries find something"
        );
        let ended = support::queries::stat(&mut world.client, "queries_ended");
        assert_eq!(ended > 0, off_thread, "queries run where they should");
    }
}

#[test]
fn questions_on_the_main_thread_are_answered_as_the_model_does() {
    check(Place::Client, false, MANY_SEED);
}

#[test]
fn questions_beside_the_main_thread_are_answered_as_the_model_does() {
    check(Place::Client, true, MANY_SEED + 100);
}

#[test]
fn questions_in_a_transaction_are_answered_as_the_model_does() {
    check(Place::Transaction, false, MANY_SEED + 200);
}

#[test]
fn questions_in_a_script_are_answered_as_the_model_does() {
    check(Place::Script, false, MANY_SEED + 300);
}
