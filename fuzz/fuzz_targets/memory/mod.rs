//! A server in memory: keys with values, and a clock that moves when it is told to. It is what fuzz
//! targets run whole commands on, thousands a second; what only a real server can do is
//! tested against real ones.

mod reply;
mod request;
mod run;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use redis_iot::command::host::{Agenda, Slot};
use redis_iot::command::{self, attend, error};
use redis_iot::engine::fence::FenceSet;
use redis_iot::engine::fleet::Fleet;
use redis_iot::engine::index::Index;
use redis_iot::engine::persist::{self, Buffer};
use redis_iot::engine::policy::Policy;
use redis_iot::engine::{Series, Timestamp};
use triomphe::Arc;
use typed_arena::Arena;

use request::Request;

/// Where the values of a server live, so that they stay open while keys change.
pub type Values = Arena<Box<dyn Any>>;

/// The words of a command.
pub type Words = Vec<Vec<u8>>;

/// What a key holds.
#[derive(Clone)]
enum Content<'a> {
    /// A `RefCell` of a series, a fleet or a set of fences.
    Value(&'a dyn Any),
    Policy(Arc<Policy>),
    /// A value of the server's own.
    Foreign,
}

/// The server.
pub struct Memory<'a> {
    values: &'a Values,
    keys: RefCell<BTreeMap<Box<[u8]>, Content<'a>>>,
    /// What is to be known of fleets and sets of fences while one is open.
    agendas: Agendas,
    now_ms: Cell<Timestamp>,
}

/// The agendas of values by their keys.
type Agendas = RefCell<BTreeMap<Box<[u8]>, Agenda>>;

/// What came of a request.
pub struct Outcome {
    /// What the command returned.
    pub result: error::Result<()>,
    /// What it sent to replicas.
    pub sent: Vec<Words>,
}

impl<'a> Memory<'a> {
    /// A server with one key, `text`, that holds nothing of ours.
    pub fn new(values: &'a Values) -> Self {
        let memory = Self {
            values,
            keys: RefCell::default(),
            agendas: RefCell::default(),
            now_ms: Cell::new(1_700_000_000_000),
        };
        let text = Box::from(&b"text"[..]);
        memory.keys.borrow_mut().insert(text, Content::Foreign);
        memory
    }

    /// Moves the clock.
    pub fn set_clock(&self, now_ms: Timestamp) {
        self.now_ms.set(now_ms);
    }

    /// Runs a command; `None` where the words name none. A reply is one whole element, a refusal none.
    pub fn run(&self, words: &[&[u8]], is_replay: bool) -> Option<Outcome> {
        let request = Request::new(self, words, is_replay);
        let result = command::execute(&request, words)?;
        request.reply_structure().check(result.is_ok());
        Some(Outcome {
            result,
            sent: request.into_sent(),
        })
    }

    /// Does what a server's timer does with each key, and returns what is sent of it.
    pub fn attend(&self) -> Vec<Words> {
        let names: Vec<Box<[u8]>> = self.keys.borrow().keys().cloned().collect();
        let request = Request::new(self, &[], false);
        for name in names {
            let mut from = Some(0);
            while from.is_some() {
                from = attend(&request, &name, from);
            }
        }
        request.into_sent()
    }

    /// All that a replica must have, too, by keys. Each value is sound.
    pub fn digests(&self) -> BTreeMap<Box<[u8]>, Vec<u8>> {
        let keys = self.keys.borrow();
        let digests = keys.iter().map(|(name, content)| {
            let mut digest = Vec::new();
            content.digest(&mut |piece| {
                digest.extend_from_slice(&piece.len().to_le_bytes());
                digest.extend_from_slice(piece);
            });
            (name.clone(), digest)
        });
        digests.collect()
    }

    /// The index of the labels of all series.
    fn index(&self) -> Index {
        let mut index = Index::new();
        for (name, content) in &*self.keys.borrow() {
            if let Some(series) = content.cell::<Series>() {
                index.insert(name, &series.borrow().options().labels);
            }
        }
        index
    }

    /// The cell of what a key holds.
    fn slot<V: 'static>(&self, name: &[u8]) -> Slot<&'a RefCell<V>> {
        match self.keys.borrow().get(name) {
            None => Slot::Missing,
            Some(content) => content.cell().map_or(Slot::Foreign, Slot::Open),
        }
    }

    /// Stores a value at a key that holds nothing.
    fn store<V: 'static>(&self, name: &[u8], value: V) -> &'a RefCell<V> {
        let stored: &'a Box<dyn Any> = self.values.alloc(Box::new(RefCell::new(value)));
        let content = Content::Value(&**stored);
        let cell = content.cell().expect("it is of this type");
        let before = self.keys.borrow_mut().insert(name.into(), content);
        assert!(before.is_none(), "the key held something");
        cell
    }

    /// The keys whose agenda is so.
    fn keys_where(&self, is_so: impl Fn(&Agenda) -> bool) -> Vec<Box<[u8]>> {
        let agendas = self.agendas.borrow();
        let found = agendas.iter().filter(|(_, agenda)| is_so(agenda));
        found.map(|(name, _)| name.clone()).collect()
    }
}

impl<'a> Content<'a> {
    fn cell<V: 'static>(&self) -> Option<&'a RefCell<V>> {
        match self {
            Self::Value(value) => value.downcast_ref(),
            Self::Policy(_) | Self::Foreign => None,
        }
    }

    fn digest(&self, feed: &mut dyn FnMut(&[u8])) {
        if let Some(series) = self.cell::<Series>() {
            series.borrow().validate().expect("a sound series");
            series.borrow().digest(feed);
        } else if let Some(fleet) = self.cell::<Fleet>() {
            fleet.borrow().digest(feed);
        } else if let Some(fences) = self.cell::<FenceSet>() {
            fences.borrow().digest(feed);
        } else if let Self::Policy(policy) = self {
            let mut stored = Buffer::default();
            persist::write_policy(policy, &mut stored);
            feed(&stored.bytes);
        }
    }
}
