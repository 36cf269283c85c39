//! What a command may ask of the server. `crate::host` answers it with a real one.
//!
//! All methods take `&self`: a command holds an open series while it replies, and a server context
//! is a handle, not a thing to be borrowed exclusively.

use std::ffi::CStr;
use std::ops::{Deref, DerefMut};

use triomphe::Arc;

use super::args::Args;
use super::counter::Counter;
use super::error::{Error, Result};
use super::geo::Limits;
use super::read::Reading;
use crate::engine::index::Selector;
use crate::engine::labels::Labels;
use crate::engine::options::{DuplicatePolicy, Encoding, Ignore};
use crate::engine::policy::Policy;
use crate::engine::query::{Cost, Watch};
use crate::engine::{Series, Timestamp};

/// A key named by the client.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// Its bytes.
    pub name: &'a [u8],
    /// Where it stands in the argument vector (the command's name is at 0).
    pub index: usize,
}

/// A key by its name.
#[derive(Clone, Copy, Debug)]
pub enum Name<'a> {
    /// An argument of the client.
    Argument(Key<'a>),
    /// A name of our own: a binding's, or a timer's.
    Own(&'a [u8]),
}

impl<'a> Name<'a> {
    /// Its bytes.
    pub const fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Argument(key) => key.name,
            Self::Own(name) => name,
        }
    }
}

impl<'a> From<Key<'a>> for Name<'a> {
    fn from(key: Key<'a>) -> Self {
        Self::Argument(key)
    }
}

/// A value of a type of ours that is stored at a key, other than a series.
pub trait Value: Sized + 'static {
    /// Its type; no other value has it.
    const TYPE: ValueType;

    /// What the server's timer has to know of it, where that has changed since this was last asked.
    fn take_agenda(&mut self) -> Option<Agenda>;
    /// How many parts it has, of up to three kinds, for statistics. O(1).
    fn parts_of_value(&self) -> [u64; 3];
}

/// The types of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// Devices that move.
    Fleet,
    /// A set of fences.
    Fences,
}

/// What is to be done for a value when no command comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agenda {
    /// When something is due by the server's clock.
    pub due_ms: Option<Timestamp>,
    /// The sets of fences that a fleet is bound to.
    pub fences: Vec<Box<[u8]>>,
    /// The fleets that it roams among.
    pub others: Vec<Box<[u8]>>,
}

/// What a key holds.
#[derive(Debug)]
pub enum Slot<S> {
    /// Nothing.
    Missing,
    /// A value of some other type.
    Foreign,
    /// A value of the type that was asked for, open for as long as this lives.
    Open(S),
}

impl<S> Slot<S> {
    /// The value of a command that needs one.
    ///
    /// # Errors
    /// `NoSuchKey`, `WrongType`.
    pub fn required(self) -> Result<S> {
        match self {
            Self::Open(value) => Ok(value),
            Self::Missing => Err(Error::NoSuchKey),
            Self::Foreign => Err(Error::WrongType),
        }
    }

    /// The value, or nothing where there is none.
    ///
    /// # Errors
    /// `WrongType`.
    pub fn optional(self) -> Result<Option<S>> {
        match self {
            Self::Open(value) => Ok(Some(value)),
            Self::Missing => Ok(None),
            Self::Foreign => Err(Error::WrongType),
        }
    }
}

/// The server's settings for series that say nothing of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Retention of new series in milliseconds; 0 keeps all.
    pub retention_ms: Timestamp,
    /// Policy of series that have none.
    pub duplicate_policy: DuplicatePolicy,
    /// Encoding of new series.
    pub encoding: Encoding,
    /// `CHUNK_SIZE` of new series, in bytes.
    pub chunk_bytes: u32,
    /// `IGNORE` of new series.
    pub ignore: Ignore,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retention_ms: 0,
            duplicate_policy: DuplicatePolicy::Block,
            encoding: Encoding::Compressed,
            chunk_bytes: crate::engine::options::DEFAULT_CHUNK_BYTES,
            ignore: Ignore::default(),
        }
    }
}

/// A figure of the statistics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// A whole number.
    Count(u64),
    /// A fraction.
    Ratio(f64),
}

/// What found series are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Their names are shown; those that the user may not read are left out.
    List,
    /// Each is opened for reading, in which one that is gone is noticed.
    Read,
    /// Each is opened, and samples of it are deleted.
    Delete,
    /// Each is opened, and its options are changed.
    Alter,
}

/// What a comparison of the index of labels with the keys of the database has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexReport {
    /// Series in the database.
    pub series: u64,
    /// Series in the index.
    pub indexed: u64,
    /// Bytes that the index takes.
    pub bytes: usize,
    /// The first difference, in words; `None` where there is none.
    pub difference: Option<String>,
}

/// A series open for writing.
pub trait Writer: DerefMut<Target = Series> {
    /// Says that something was written that is sent on: clients that watch the key are told, and the
    /// time until which a series with an `IDLE_TTL` stays begins anew.
    fn written(&mut self);
    /// Says that the series has lost its `IDLE_TTL` and stays.
    fn stays(&mut self);
    /// Says that the series had other labels.
    fn relabelled(&mut self, old: &Labels);
}

/// A value open for writing.
pub trait ValueWriter<V>: DerefMut<Target = V> {
    /// Says that something was changed: clients that watch the key are told.
    fn changed(&mut self);
}

/// One execution of one command by the server.
pub trait Host {
    /// A series open for reading; closed on drop.
    type Read<'h>: Deref<Target = Series>
    where
        Self: 'h;
    /// A series open for writing; closed, and reported as changed if it was, on drop.
    type Write<'h>: Writer
    where
        Self: 'h;
    /// A value open for reading; closed on drop.
    type ReadValue<'h, V: Value>: Deref<Target = V>
    where
        Self: 'h;
    /// A value open for writing; closed, and reported as changed if it was, on drop.
    type WriteValue<'h, V: Value>: ValueWriter<V>
    where
        Self: 'h;
    /// The name of a key that a filter has found.
    type Found: AsRef<[u8]>;
    /// Where the reply goes.
    type Reply: Reply;

    /// The server's clock, the same for the whole command. Milliseconds.
    fn now_ms(&self) -> Timestamp;
    /// The settings as they are now.
    fn settings(&self) -> Settings;
    /// Opens a key for reading.
    fn read(&self, key: Key<'_>) -> Slot<Self::Read<'_>>;
    /// Opens a key for writing.
    fn write(&self, key: Key<'_>) -> Slot<Self::Write<'_>>;
    /// Stores a new series at a key that holds nothing, and opens it.
    fn create(&self, key: Key<'_>, series: Series) -> Self::Write<'_>;
    /// Opens the value at a key for reading.
    fn read_value<V: Value>(&self, name: Name<'_>) -> Slot<Self::ReadValue<'_, V>>;
    /// Opens the value at a key for writing.
    fn write_value<V: Value>(&self, name: Name<'_>) -> Slot<Self::WriteValue<'_, V>>;
    /// Stores a new value at a key that holds nothing, and opens it.
    fn create_value<V: Value>(&self, name: Name<'_>, value: V) -> Self::WriteValue<'_, V>;
    /// Deletes a key that holds such a value, which nobody has open.
    fn remove_value<V: Value>(&self, name: Name<'_>);
    /// The fleets of the database that are bound to a set of fences.
    fn bound_to(&self, fences: &[u8]) -> Vec<Box<[u8]>>;
    /// The fleets of the database that roam among another.
    fn roaming_among(&self, fleet: &[u8]) -> Vec<Box<[u8]>>;
    /// Says that a value was brought to a key by a command, not by the server: what follows from that
    /// is done as where the server brings one.
    fn arrived(&self, key: Key<'_>);
    /// Has the server's timer compare all devices of a fleet with their fences, a part at a time.
    fn sweep(&self, fleet: &[u8]);
    /// Sends a message to whoever listens to a channel, here and at replicas. No key may be open.
    fn publish(&self, channel: &[u8], message: &[u8]);
    /// Appends an entry to a stream, here and at replicas, and has it keep `max_len` entries, about;
    /// 0 keeps all. Says whether it could: the key may hold something else. No key may be open.
    fn append(&self, stream: &[u8], max_len: u64, fields: &[(&[u8], &[u8])]) -> bool;
    /// Notes in the log that an event found no stream at its key; once a minute at most.
    fn log_dropped(&self, stream: &[u8]);
    /// How large fleets and fences may become.
    fn limits(&self) -> Limits;
    /// Whether the user may publish on a channel.
    fn may_publish(&self, channel: &[u8]) -> bool;
    /// Finds series of the database by their labels, in order of their names.
    ///
    /// # Errors
    /// `NoPermission` where there are some that the user may not touch so; `TooManySeries`.
    fn find(&self, selector: &Selector, purpose: Purpose) -> Result<Vec<Self::Found>>;
    /// The number of series of the database that match, whoever may read them.
    fn count_found(&self, selector: &Selector) -> u64;
    /// The labels in use, or the values of one of them, in order, among the series that match and
    /// that the user may read.
    fn list_labels(&self, selector: &Selector, values_of: Option<&[u8]>) -> Vec<Box<[u8]>>;
    /// Compares the index of labels with all keys of the database.
    fn check_index(&self) -> IndexReport;
    /// A key by a name of our own.
    fn found(&self, name: &[u8]) -> Self::Found;
    /// Opens a found key for reading.
    fn read_found(&self, found: &Self::Found) -> Slot<Self::Read<'_>>;
    /// Opens a found key for writing.
    fn write_found(&self, found: &Self::Found) -> Slot<Self::Write<'_>>;
    /// As [`Host::notify`], for a found key.
    fn notify_found(&self, event: &'static CStr, found: &Self::Found);
    /// Stores a new series at a found key that holds nothing, and opens it.
    fn create_found(&self, found: &Self::Found, series: Series) -> Self::Write<'_>;
    /// Whether the user may change these keys, which belong to so many others.
    fn may_update(&self, count: usize, keys: impl Iterator<Item = Vec<u8>>) -> bool;
    /// Whether there is a client that can be made to wait.
    fn may_wait(&self) -> bool;
    /// Whether keys are spread over the servers of a cluster.
    fn is_cluster(&self) -> bool;
    /// The policy at a key, if there is anything.
    ///
    /// # Errors
    /// `WrongType`.
    fn policy(&self, key: Key<'_>) -> Result<Option<Arc<Policy>>>;
    /// Stores a policy at a key that holds none, or another one.
    fn set_policy(&self, key: Key<'_>, policy: &Arc<Policy>);
    /// Deletes a key that holds a policy.
    fn remove_policy(&self, key: Key<'_>);
    /// The number of policies of the database.
    fn policy_count(&self) -> usize;
    /// The names of the policies of the database that the user may read, in order.
    fn list_policies(&self) -> Vec<Box<[u8]>>;
    /// Whether any database has a policy; cheap.
    fn has_policies(&self) -> bool;
    /// The policies of the database that match labels, with their names and in their order.
    fn policies_for(&self, labels: &Labels) -> Vec<(Box<[u8]>, Arc<Policy>)>;
    /// Notes in the log, once a policy, that it could not give a series all of its rules.
    fn log_skipped(&self, policy: &[u8], key: &[u8]);
    /// Bytes of memory the open series takes, by the server's allocator.
    fn memory_bytes(&self, series: &Series) -> usize;
    /// Answers a query: at once, or later and on another thread where it is a long one and the
    /// client can wait. It is the last that a command does.
    ///
    /// # Errors
    /// Those of the query, and `TooManyQueries`.
    fn answer(&self, query: impl Query) -> Result<()>;
    /// Answers a query on the main thread, under the same limits: for a client that has waited
    /// already.
    ///
    /// # Errors
    /// Those of the query.
    fn answer_at_once(&self, query: &impl Query) -> Result<()>;
    /// Does work beside the main thread, where the client can wait, and finishes it on the main
    /// thread; all at once otherwise. It is the last that a command does.
    ///
    /// # Errors
    /// Those of the work, and `TooManyQueries`.
    fn later<L: Later>(&self, work: L) -> Result<()>;
    /// Has the client wait until a reading is possible, or for so many milliseconds; 0 is for ever.
    /// It is the last that a command does.
    ///
    /// # Errors
    /// `Conflict` in a place that cannot wait.
    fn wait(&self, reading: Reading, timeout_ms: i64) -> Result<()>;
    /// Counts something that has happened so many times.
    fn count(&self, counter: Counter, by: u64);
    /// All figures of the statistics with their names, in order.
    fn stats(&self) -> Vec<(&'static CStr, Figure)>;
    /// The reply.
    fn reply(&self) -> &Self::Reply;
    /// Whether the command comes from a master or from the append-only file: it is then an effect
    /// that was decided already, to be applied as it is.
    fn is_replay(&self) -> bool;
    /// Sends the command as it came to replicas and the append-only file.
    fn replicate_verbatim(&self);
    /// Sends `IOT.ADD key time value` instead, for a sample that the client left to be stamped by
    /// us: the common case of [`Host::replicate`], at half its price. `value` is the place of an
    /// argument of the client.
    fn replicate_stamped(&self, key: Key<'_>, time_ms: Timestamp, value: usize);
    /// Sends another command instead. Several calls are applied as one unit.
    fn replicate(&self, command: &CStr, args: &[&[u8]]);
    /// Tells subscribers of keyspace events. No key may be open.
    fn notify(&self, event: &'static CStr, key: Key<'_>);
}

/// A question about values that takes long to answer, perhaps. Answering it changes nothing and
/// needs nothing but what it holds, so it can be done anywhere.
pub trait Query {
    /// The same question about a snapshot of the values.
    type Detached: Query + Send + 'static;

    /// What there is to do, counted until the total is above `enough`. One that cannot tell but by doing
    /// it may do so much, and keep the answer.
    fn cost(&self, enough: u64) -> Cost;
    /// Takes a snapshot. The values may change or go away afterwards.
    fn detach(self) -> Self::Detached;
    /// Answers: everything is computed before the reply begins, so a query that has to end early
    /// ends with an error and never with half a reply.
    ///
    /// # Errors
    /// `TooManySamples`, `TooLong`, `Cancelled`, and what the query refuses itself.
    fn answer(&self, run: &impl Run, reply: &impl Reply) -> Result<()>;
}

/// Work that takes long, and whose result changes something.
pub trait Later: Send + 'static {
    /// Works, on any thread. Changes nothing but itself.
    fn work(&mut self);
    /// Puts the result where it belongs and replies; on the main thread. Keys may have changed
    /// since the work began. `args` are those of the command.
    ///
    /// # Errors
    /// A refusal; nothing has changed.
    fn finish<H: Host>(self, host: &H, args: Args<'_>) -> Result<()>;
}

/// What a query is run with: limits, and hands.
pub trait Run: Watch + Sync {
    /// Lets a query begin.
    ///
    /// # Errors
    /// `TooManySamples` where it costs more than one may.
    fn admit(&self, cost: Cost) -> Result<()>;
    /// Lets a reply of so many values be written, or refuses it where that would take too long.
    ///
    /// # Errors
    /// `TooLong`.
    fn admit_reply(&self, _values: u64) -> Result<()> {
        Ok(())
    }

    /// Why the watch has stopped the query.
    fn why_halted(&self) -> Error;
    /// Whether nobody waits for the reply any more.
    fn is_in_vain(&self) -> bool;
    /// Whether sharing the work would help: there are idle threads.
    fn has_help(&self) -> bool;
    /// Does a number of works, on this thread and on idle ones; returns their results in order.
    fn share<T: Send>(&self, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T>;
}

/// A reply, written element by element: exactly one element a command, where a container counts
/// as one and is followed by its own elements.
pub trait Reply {
    /// `OK`.
    fn ok(&self);
    /// An integer.
    fn integer(&self, value: i64);
    /// A number: a double in RESP3, a simple string of the shortest round-trip form in RESP2.
    fn number(&self, value: f64);
    /// Bytes.
    fn bulk(&self, text: &[u8]);
    /// A short word of ours, as a simple string.
    fn simple(&self, text: &'static CStr);
    /// Nothing.
    fn null(&self);
    /// An array of `len` elements, which follow.
    fn array(&self, len: usize);
    /// A map of `len` pairs, which follow; a flat array of twice the length in RESP2.
    fn map(&self, len: usize);
    /// A set of `len` elements, which follow; an array in RESP2.
    fn set(&self, len: usize);
    /// Whether the client speaks RESP3.
    fn is_resp3(&self) -> bool;
    /// A row: an array of a time and values.
    fn row(&self, time_ms: Timestamp, values: &[f64]) {
        self.array(1 + values.len());
        self.integer(time_ms);
        for &value in values {
            self.number(value);
        }
    }
    /// An array of texts.
    fn texts<'a>(&self, texts: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.array(texts.len());
        for text in texts {
            self.bulk(text);
        }
    }
    /// Names with values, which may be missing: a map in RESP3, an array of two-element arrays in
    /// RESP2.
    fn pairs<'a>(&self, len: usize, pairs: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>);
    /// An error, as an element like any other.
    fn error(&self, error: &Error);
}
