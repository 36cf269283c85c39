//! One command on the server in memory.

use std::cell::{Ref, RefCell, RefMut};
use std::ffi::CStr;
use std::ops::{Deref, DerefMut};

use redis_iot::command::args::Args;
use redis_iot::command::counter::Counter;
use redis_iot::command::error::{Error, Result};
use redis_iot::command::geo::Limits;
use redis_iot::command::host::{
    Figure, Host, IndexReport, Key, Later, Name, Purpose, Query, Settings, Slot, Value,
    ValueWriter, Writer,
};
use redis_iot::command::read::Reading;
use redis_iot::engine::index::{self, Selector};
use redis_iot::engine::labels::Labels;
use redis_iot::engine::policy::Policy;
use redis_iot::engine::{Series, Timestamp};
use triomphe::Arc;

use super::reply::Structure;
use super::run::Hasty;
use super::{Agendas, Content, Memory, Words};

/// How large things may become.
const LIMITS: Limits = Limits {
    vertices: 1_000,
    fences: 100,
    devices: 100,
    results: 1_000,
};
/// Most series that a filter may find.
const MAX_SERIES: u64 = 100;

/// One command.
pub struct Request<'r, 'a> {
    memory: &'r Memory<'a>,
    words: &'r [&'r [u8]],
    is_replay: bool,
    reply: Structure,
    sent: RefCell<Vec<Words>>,
}

impl<'r, 'a> Request<'r, 'a> {
    pub fn new(memory: &'r Memory<'a>, words: &'r [&'r [u8]], is_replay: bool) -> Self {
        Self {
            memory,
            words,
            is_replay,
            reply: Structure::default(),
            sent: RefCell::default(),
        }
    }

    pub fn reply_structure(&self) -> &Structure {
        &self.reply
    }

    pub fn into_sent(self) -> Vec<Words> {
        self.sent.into_inner()
    }

    fn open<'h, V: Value>(&'h self, name: Name<'_>, cell: &'h RefCell<V>) -> OpenValue<'h, V> {
        OpenValue {
            value: cell.borrow_mut(),
            name: name.bytes().into(),
            agendas: &self.memory.agendas,
        }
    }

    fn policies(&self) -> Vec<(Box<[u8]>, Arc<Policy>)> {
        let keys = self.memory.keys.borrow();
        let policies = keys.iter().filter_map(|(name, content)| match content {
            Content::Policy(policy) => Some((name.clone(), policy.clone())),
            Content::Value(_) | Content::Foreign => None,
        });
        policies.collect()
    }
}

/// A series open for writing.
pub struct OpenSeries<'h>(RefMut<'h, Series>);

impl Deref for OpenSeries<'_> {
    type Target = Series;

    fn deref(&self) -> &Series {
        &self.0
    }
}

impl DerefMut for OpenSeries<'_> {
    fn deref_mut(&mut self) -> &mut Series {
        &mut self.0
    }
}

impl Writer for OpenSeries<'_> {
    fn written(&mut self) {}

    fn stays(&mut self) {}

    fn relabelled(&mut self, _old: &Labels) {}
}

/// A value open for writing; says on drop what is to be known of it.
pub struct OpenValue<'h, V: Value> {
    value: RefMut<'h, V>,
    name: Box<[u8]>,
    agendas: &'h Agendas,
}

impl<V: Value> Deref for OpenValue<'_, V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}

impl<V: Value> DerefMut for OpenValue<'_, V> {
    fn deref_mut(&mut self) -> &mut V {
        &mut self.value
    }
}

impl<V: Value> ValueWriter<V> for OpenValue<'_, V> {
    fn changed(&mut self) {}
}

impl<V: Value> Drop for OpenValue<'_, V> {
    fn drop(&mut self) {
        if let Some(agenda) = self.value.take_agenda() {
            let name = self.name.clone();
            self.agendas.borrow_mut().insert(name, agenda);
        }
    }
}

fn reading<'h, V>(slot: Slot<&'h RefCell<V>>) -> Slot<Ref<'h, V>> {
    match slot {
        Slot::Missing => Slot::Missing,
        Slot::Foreign => Slot::Foreign,
        Slot::Open(cell) => Slot::Open(cell.borrow()),
    }
}

fn writing(slot: Slot<&RefCell<Series>>) -> Slot<OpenSeries<'_>> {
    match slot {
        Slot::Missing => Slot::Missing,
        Slot::Foreign => Slot::Foreign,
        Slot::Open(cell) => Slot::Open(OpenSeries(cell.borrow_mut())),
    }
}

impl<'a> Host for Request<'_, 'a> {
    type Read<'h>
        = Ref<'h, Series>
    where
        Self: 'h;
    type Write<'h>
        = OpenSeries<'h>
    where
        Self: 'h;
    type ReadValue<'h, V: Value>
        = Ref<'h, V>
    where
        Self: 'h;
    type WriteValue<'h, V: Value>
        = OpenValue<'h, V>
    where
        Self: 'h;
    type Found = Box<[u8]>;
    type Reply = Structure;

    fn now_ms(&self) -> Timestamp {
        self.memory.now_ms.get()
    }

    fn settings(&self) -> Settings {
        Settings::default()
    }

    fn read(&self, key: Key<'_>) -> Slot<Self::Read<'_>> {
        reading(self.memory.slot(key.name))
    }

    fn write(&self, key: Key<'_>) -> Slot<Self::Write<'_>> {
        writing(self.memory.slot(key.name))
    }

    fn create(&self, key: Key<'_>, series: Series) -> Self::Write<'_> {
        OpenSeries(self.memory.store(key.name, series).borrow_mut())
    }

    fn read_value<V: Value>(&self, name: Name<'_>) -> Slot<Self::ReadValue<'_, V>> {
        reading(self.memory.slot(name.bytes()))
    }

    fn write_value<V: Value>(&self, name: Name<'_>) -> Slot<Self::WriteValue<'_, V>> {
        match self.memory.slot(name.bytes()) {
            Slot::Missing => Slot::Missing,
            Slot::Foreign => Slot::Foreign,
            Slot::Open(cell) => Slot::Open(self.open(name, cell)),
        }
    }

    fn create_value<V: Value>(&self, name: Name<'_>, value: V) -> Self::WriteValue<'_, V> {
        self.open(name, self.memory.store(name.bytes(), value))
    }

    fn remove_value<V: Value>(&self, name: Name<'_>) {
        if let Slot::Open(cell) = self.memory.slot::<V>(name.bytes()) {
            drop(cell.borrow_mut());
            self.memory.keys.borrow_mut().remove(name.bytes());
            self.memory.agendas.borrow_mut().remove(name.bytes());
        }
    }

    fn bound_to(&self, fences: &[u8]) -> Vec<Box<[u8]>> {
        self.memory
            .keys_where(|agenda| agenda.fences.iter().any(|one| **one == *fences))
    }

    fn roaming_among(&self, fleet: &[u8]) -> Vec<Box<[u8]>> {
        self.memory
            .keys_where(|agenda| agenda.others.iter().any(|one| **one == *fleet))
    }

    fn arrived(&self, _key: Key<'_>) {}

    fn sweep(&self, _fleet: &[u8]) {}

    fn publish(&self, _channel: &[u8], _message: &[u8]) {}

    fn append(&self, stream: &[u8], _max_len: u64, _fields: &[(&[u8], &[u8])]) -> bool {
        stream != b"text"
    }

    fn log_dropped(&self, _stream: &[u8]) {}

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn may_publish(&self, _channel: &[u8]) -> bool {
        true
    }

    fn find(&self, selector: &Selector, _purpose: Purpose) -> Result<Vec<Self::Found>> {
        let limits = index::Limits {
            max_series: MAX_SERIES,
        };
        let index = self.memory.index();
        let ids = index.select(selector, limits)?;
        let keys = index.sorted_keys(&ids).into_iter();
        Ok(keys.map(|(key, _)| key.into()).collect())
    }

    fn count_found(&self, selector: &Selector) -> u64 {
        let found = self.memory.index().select(selector, index::Limits::NONE);
        found.map_or(0, |ids| ids.len())
    }

    fn list_labels(&self, selector: &Selector, values_of: Option<&[u8]>) -> Vec<Box<[u8]>> {
        let index = self.memory.index();
        let ids = index.select(selector, index::Limits::NONE);
        let ids = ids.unwrap_or_default();
        let listed = match values_of {
            None => index.names(Some(&ids)),
            Some(name) => index.values_of(name, Some(&ids)),
        };
        listed.into_iter().map(Into::into).collect()
    }

    fn check_index(&self) -> IndexReport {
        let len = self.memory.index().len() as u64;
        IndexReport {
            series: len,
            indexed: len,
            bytes: 0,
            difference: None,
        }
    }

    fn found(&self, name: &[u8]) -> Self::Found {
        name.into()
    }

    fn read_found(&self, found: &Self::Found) -> Slot<Self::Read<'_>> {
        reading(self.memory.slot(found))
    }

    fn write_found(&self, found: &Self::Found) -> Slot<Self::Write<'_>> {
        writing(self.memory.slot(found))
    }

    fn notify_found(&self, _event: &'static CStr, _found: &Self::Found) {}

    fn create_found(&self, found: &Self::Found, series: Series) -> Self::Write<'_> {
        OpenSeries(self.memory.store(found, series).borrow_mut())
    }

    fn may_update(&self, _count: usize, _keys: impl Iterator<Item = Vec<u8>>) -> bool {
        true
    }

    fn may_wait(&self) -> bool {
        true
    }

    fn is_cluster(&self) -> bool {
        false
    }

    fn policy(&self, key: Key<'_>) -> Result<Option<Arc<Policy>>> {
        match self.memory.keys.borrow().get(key.name) {
            None => Ok(None),
            Some(Content::Policy(policy)) => Ok(Some(policy.clone())),
            Some(Content::Value(_) | Content::Foreign) => Err(Error::WrongType),
        }
    }

    fn set_policy(&self, key: Key<'_>, policy: &Arc<Policy>) {
        let content = Content::Policy(policy.clone());
        let mut keys = self.memory.keys.borrow_mut();
        keys.insert(key.name.into(), content);
    }

    fn remove_policy(&self, key: Key<'_>) {
        self.memory.keys.borrow_mut().remove(key.name);
    }

    fn policy_count(&self) -> usize {
        self.policies().len()
    }

    fn list_policies(&self) -> Vec<Box<[u8]>> {
        self.policies().into_iter().map(|(name, _)| name).collect()
    }

    fn has_policies(&self) -> bool {
        self.policy_count() > 0
    }

    fn policies_for(&self, labels: &Labels) -> Vec<(Box<[u8]>, Arc<Policy>)> {
        let mut policies = self.policies();
        policies.retain(|(_, policy)| policy.matches(labels));
        policies
    }

    fn log_skipped(&self, _policy: &[u8], _key: &[u8]) {}

    fn memory_bytes(&self, series: &Series) -> usize {
        size_of_val(series)
    }

    /// Every other query is answered from a snapshot.
    fn answer(&self, query: impl Query) -> Result<()> {
        query.cost(MAX_SERIES);
        if self.words.len().is_multiple_of(2) {
            query.answer(&Hasty::default(), &self.reply)
        } else {
            query.detach().answer(&Hasty::default(), &self.reply)
        }
    }

    fn answer_at_once(&self, query: &impl Query) -> Result<()> {
        query.answer(&Hasty::default(), &self.reply)
    }

    fn later<L: Later>(&self, mut work: L) -> Result<()> {
        work.work();
        work.finish(self, Args::new(self.words))
    }

    fn wait(&self, _reading: Reading, _timeout_ms: i64) -> Result<()> {
        self.reply.wait();
        Ok(())
    }

    fn count(&self, _counter: Counter, _by: u64) {}

    fn stats(&self) -> Vec<(&'static CStr, Figure)> {
        vec![(c"series", Figure::Count(self.memory.index().len() as u64))]
    }

    fn reply(&self) -> &Structure {
        &self.reply
    }

    fn is_replay(&self) -> bool {
        self.is_replay
    }

    fn replicate_verbatim(&self) {
        let words = self.words.iter().map(|word| word.to_vec()).collect();
        self.sent.borrow_mut().push(words);
    }

    fn replicate_stamped(&self, key: Key<'_>, time_ms: Timestamp, value: usize) {
        let time = time_ms.to_string();
        self.replicate(c"IOT.ADD", &[key.name, time.as_bytes(), self.words[value]]);
    }

    fn replicate(&self, command: &CStr, args: &[&[u8]]) {
        let mut words: Words = command
            .to_bytes()
            .split(|&byte| byte == b' ')
            .map(<[u8]>::to_vec)
            .collect();
        words.extend(args.iter().map(|arg| arg.to_vec()));
        self.sent.borrow_mut().push(words);
    }

    fn notify(&self, _event: &'static CStr, _key: Key<'_>) {}
}
