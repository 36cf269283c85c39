//! One execution of one command: the server, as commands see it.

use std::cell::Cell;
use std::ffi::{CStr, CString};

use triomphe::Arc;

use super::acl::User;
use super::agenda;
use super::context::{Context, OwnedString, ServerString};
use super::datatype::Kind;
use super::found::{self, FoundKey};
use super::index;
use super::key::{Content, Mode, OpenKey, ReadSeries, ReadValue, WriteSeries, WriteValue};
use super::policies;
use super::query;
use super::reply::ServerReply;
use super::settings;
use super::stats;
use super::waiting;
use crate::command::args::Args;
use crate::command::counter::Counter;
use crate::command::error::{Error, Result, Token};
use crate::command::geo::Limits;
use crate::command::host::{
    Figure, Host, IndexReport, Key, Later, Name, Purpose, Query, Settings, Slot, Value,
};
use crate::command::read::Reading;
use crate::engine::index::Selector;
use crate::engine::labels::Labels;
use crate::engine::policy::Policy;
use crate::engine::{Series, Timestamp};

/// The server, for one command.
pub(super) struct ServerHost<'c> {
    context: Context<'c>,
    /// The arguments in the server's form, and as bytes.
    strings: &'c [ServerString<'c>],
    args: &'c [&'c [u8]],
    reply: &'c ServerReply<'c>,
    /// The time, once someone has asked.
    now_ms: Cell<Option<Timestamp>>,
    /// Keys open at this moment.
    open_count: Cell<usize>,
}

/// What the log calls the policy of the settings.
const FOR_ALL: &[u8] = b"redis-iot.compaction-policy";

/// Arguments of a replicated command that take no vector.
const SHORT_ARGUMENTS: usize = 16;

impl<'c> ServerHost<'c> {
    #[inline]
    pub(super) const fn new(
        context: Context<'c>,
        strings: &'c [ServerString<'c>],
        args: &'c [&'c [u8]],
        reply: &'c ServerReply<'c>,
    ) -> Self {
        Self {
            context,
            strings,
            args,
            reply,
            now_ms: Cell::new(None),
            open_count: Cell::new(0),
        }
    }

    /// The context of the command.
    pub(super) const fn context(&self) -> Context<'c> {
        self.context
    }

    /// The time of a timer, which has no command.
    pub(super) fn now_ms_of_timer(&self) -> Timestamp {
        Host::now_ms(self)
    }

    /// Opens a key by whichever name.
    fn open_by(&self, name: Name<'_>, mode: Mode) -> Option<OpenKey<'_>> {
        match name {
            Name::Argument(key) => self.open(key, mode),
            Name::Own(name) => {
                let name = OwnedString::new(self.context.server(), name);
                OpenKey::by_own_name(self.context, name, mode, &self.open_count)
            }
        }
    }

    /// The name of a key in the server's form. A key's place is an argument's, by its contract;
    /// one that lies outside is a bug that ends in the guard.
    #[inline]
    fn name(&self, key: Key<'_>) -> ServerString<'c> {
        debug_assert_eq!(self.args[key.index], key.name, "a key is an argument");
        self.strings[key.index]
    }

    #[inline]
    fn open(&self, key: Key<'_>, mode: Mode) -> Option<OpenKey<'_>> {
        OpenKey::new(self.context, self.name(key), mode, &self.open_count)
    }

    /// Stores a new series at an open key.
    fn store_new<'k>(
        &self,
        open: Option<OpenKey<'k>>,
        name: &[u8],
        series: Series,
    ) -> WriteSeries<'k> {
        #[expect(
            clippy::expect_used,
            reason = "the server opens any key for writing, also one that holds nothing"
        )]
        let open = open.expect("a key opens for writing");
        let stored = open.store(series);
        let database = self.context.database();
        index::insert(database, name, &stored.borrow().options().labels);
        WriteSeries::created(open, stored)
    }

    /// # Panics
    /// Where a key is open: a subscriber is another module, which could delete it.
    #[inline]
    fn notify_string(&self, event: &'static CStr, name: ServerString<'_>) {
        assert_eq!(self.open_count.get(), 0, "a key is open while others run");
        self.context.notify(event, name);
    }

    /// Whether the command was called by its other name, which a replica need not know.
    #[inline]
    fn is_alias(&self) -> bool {
        self.args[0]
            .first()
            .is_some_and(|first| first | 0x20 == b't')
    }

    /// Sends the command as it came, by its own name.
    #[cold]
    fn replicate_renamed(&self) {
        let plain = self.args[0].get(b"TS.".len()..).unwrap_or_default();
        let name = [b"IOT.", plain].concat().to_ascii_uppercase();
        let name = CString::new(name).unwrap_or_default();
        self.context.replicate(&name, &self.strings[1..]);
    }

    /// Reads the clock. The cached one is the time at which the server began with this command,
    /// or with its script or transaction.
    fn read_clock_ms(&self) -> Timestamp {
        let table = self.context.table();
        match table.cached_microseconds {
            // SAFETY: the function has no conditions.
            Some(cached) => unsafe { cached() / 1000 },
            // SAFETY: as above.
            None => unsafe { (table.milliseconds)() },
        }
    }
}

impl<'c> Host for ServerHost<'c> {
    type Read<'h>
        = ReadSeries<'h>
    where
        Self: 'h;
    type Write<'h>
        = WriteSeries<'h>
    where
        Self: 'h;
    type ReadValue<'h, V: Value>
        = ReadValue<'h, V>
    where
        Self: 'h;
    type WriteValue<'h, V: Value>
        = WriteValue<'h, V>
    where
        Self: 'h;
    type Found = FoundKey;
    type Reply = ServerReply<'c>;

    #[inline]
    fn now_ms(&self) -> Timestamp {
        self.now_ms.get().unwrap_or_else(|| {
            let now_ms = self.read_clock_ms();
            self.now_ms.set(Some(now_ms));
            now_ms
        })
    }

    #[inline]
    fn settings(&self) -> Settings {
        settings::STATE.settings()
    }

    #[inline]
    fn read(&self, key: Key<'_>) -> Slot<ReadSeries<'_>> {
        self.open(key, Mode::Read).map_or(Slot::Missing, reading)
    }

    #[inline]
    fn write(&self, key: Key<'_>) -> Slot<WriteSeries<'_>> {
        self.open(key, Mode::Write).map_or(Slot::Missing, writing)
    }

    fn create(&self, key: Key<'_>, series: Series) -> WriteSeries<'_> {
        self.store_new(self.open(key, Mode::Write), key.name, series)
    }

    fn read_value<V: Value>(&self, name: Name<'_>) -> Slot<ReadValue<'_, V>> {
        let Some(open) = self.open_by(name, Mode::Read) else {
            return Slot::Missing;
        };
        match open.value_of::<V>() {
            Some(stored) => Slot::Open(ReadValue::new(open, stored)),
            None if open.is_empty() => Slot::Missing,
            None => Slot::Foreign,
        }
    }

    fn write_value<V: Value>(&self, name: Name<'_>) -> Slot<WriteValue<'_, V>> {
        let Some(open) = self.open_by(name, Mode::Write) else {
            return Slot::Missing;
        };
        match open.value_of::<V>() {
            Some(stored) => Slot::Open(WriteValue::new(open, stored)),
            None if open.is_empty() => Slot::Missing,
            None => Slot::Foreign,
        }
    }

    fn create_value<V: Value>(&self, name: Name<'_>, value: V) -> WriteValue<'_, V> {
        #[expect(
            clippy::expect_used,
            reason = "the server opens any key for writing, also one that holds nothing"
        )]
        let open = self
            .open_by(name, Mode::Write)
            .expect("a key opens for writing");
        let stored = open.store_value(value);
        WriteValue::new(open, stored)
    }

    fn remove_value<V: Value>(&self, name: Name<'_>) {
        let open = self.open_by(name, Mode::Write);
        if let Some(open) = open.filter(|open| open.value_of::<V>().is_some()) {
            open.delete();
            drop(open);
            let name = OwnedString::new(self.context.server(), name.bytes());
            self.context.signal_modified(name.as_string());
        }
    }

    fn bound_to(&self, fences: &[u8]) -> Vec<Box<[u8]>> {
        agenda::bound_to(self.context.database(), fences)
    }

    fn roaming_among(&self, fleet: &[u8]) -> Vec<Box<[u8]>> {
        agenda::roaming_among(self.context.database(), fleet)
    }

    fn arrived(&self, key: Key<'_>) {
        index::arrived(self.context, self.name(key));
    }

    fn sweep(&self, fleet: &[u8]) {
        agenda::sweep(self.context.database(), fleet);
    }

    fn publish(&self, channel: &[u8], message: &[u8]) {
        assert_eq!(self.open_count.get(), 0, "a key is open while others run");
        self.context.publish(channel, message);
        stats::count(Counter::EventPublished, 1);
    }

    fn append(&self, stream: &[u8], max_len: u64, fields: &[(&[u8], &[u8])]) -> bool {
        assert_eq!(self.open_count.get(), 0, "a key is open while others run");
        let is_appended = self.context.append(stream, max_len, fields);
        let counter = if is_appended {
            Counter::EventAppended
        } else {
            Counter::EventDropped
        };
        stats::count(counter, 1);
        is_appended
    }

    fn log_dropped(&self, stream: &[u8]) {
        self.context.log_dropped(stream, Host::now_ms(self));
    }

    fn limits(&self) -> Limits {
        settings::STATE.limits()
    }

    fn may_publish(&self, channel: &[u8]) -> bool {
        let channel = OwnedString::new(self.context.server(), channel);
        User::of(self.context, 1).may_publish(channel.as_string())
    }

    fn find(&self, selector: &Selector, purpose: Purpose) -> Result<Vec<FoundKey>> {
        found::find(self.context, selector, purpose)
    }

    fn count_found(&self, selector: &Selector) -> u64 {
        found::count(self.context, selector)
    }

    fn list_labels(&self, selector: &Selector, values_of: Option<&[u8]>) -> Vec<Box<[u8]>> {
        found::list_labels(self.context, selector, values_of)
    }

    fn check_index(&self) -> IndexReport {
        found::check_index(self.context)
    }

    fn found(&self, name: &[u8]) -> FoundKey {
        FoundKey::new(self.context.server(), name)
    }

    fn read_found(&self, found: &FoundKey) -> Slot<ReadSeries<'_>> {
        let name = found.server_string();
        OpenKey::by_own_name(self.context, name, Mode::Read, &self.open_count)
            .map_or(Slot::Missing, reading)
    }

    fn write_found(&self, found: &FoundKey) -> Slot<WriteSeries<'_>> {
        let name = found.server_string();
        OpenKey::by_own_name(self.context, name, Mode::Write, &self.open_count)
            .map_or(Slot::Missing, writing)
    }

    fn notify_found(&self, event: &'static CStr, found: &FoundKey) {
        self.notify_string(event, found.server_string().as_string());
    }

    fn create_found(&self, found: &FoundKey, series: Series) -> WriteSeries<'_> {
        let name = found.server_string();
        let open = OpenKey::by_own_name(self.context, name, Mode::Write, &self.open_count);
        self.store_new(open, found.as_ref(), series)
    }

    fn may_update(&self, count: usize, keys: impl Iterator<Item = Vec<u8>>) -> bool {
        found::may_update(self.context, count, keys)
    }

    fn may_wait(&self) -> bool {
        self.context.flags().may_wait()
    }

    fn is_cluster(&self) -> bool {
        self.context.flags().is_cluster()
    }

    fn policy(&self, key: Key<'_>) -> Result<Option<Arc<Policy>>> {
        let Some(open) = self.open(key, Mode::Read) else {
            return Ok(None);
        };
        match open.content() {
            Content::Empty => Ok(None),
            Content::Policy(stored) => Ok(Some(stored.borrow().clone())),
            Content::Foreign | Content::Series(_) => Err(Error::WrongType),
        }
    }

    fn set_policy(&self, key: Key<'_>, policy: &Arc<Policy>) {
        let Some(open) = self.open(key, Mode::Write) else {
            return;
        };
        match open.content() {
            Content::Policy(stored) => stored.borrow_mut().clone_from(policy),
            Content::Empty => {
                open.store(policy.clone());
            }
            Content::Foreign | Content::Series(_) => return,
        }
        policies::insert(self.context.database(), key.name, policy.clone());
        self.context.signal_modified(self.name(key));
    }

    fn remove_policy(&self, key: Key<'_>) {
        let open = self.open(key, Mode::Write);
        if let Some(open) = open.filter(|open| matches!(open.content(), Content::Policy(_))) {
            open.delete();
            drop(open);
            self.context.signal_modified(self.name(key));
        }
    }

    fn policy_count(&self) -> usize {
        policies::count(self.context.database())
    }

    fn list_policies(&self) -> Vec<Box<[u8]>> {
        found::readable(self.context, policies::names(self.context.database()))
    }

    #[inline]
    fn has_policies(&self) -> bool {
        policies::is_any() || settings::STATE.compaction().is_set()
    }

    fn policies_for(&self, labels: &Labels) -> Vec<(Box<[u8]>, Arc<Policy>)> {
        let mut matching = policies::matching(self.context.database(), labels);
        // One may have expired, and not be removed yet. In a cluster the key of a policy can be seen
        // from its own slot alone, so that there it is in force until it is removed.
        if !matching.is_empty() && !self.is_cluster() {
            matching.retain(|(name, _)| found::is_there(self.context, name));
        }
        let for_all = settings::STATE.compaction().get();
        let for_all = for_all.filter(|policy| policy.matches(labels));
        matching.extend(for_all.map(|policy| (FOR_ALL.into(), policy)));
        matching
    }

    fn log_skipped(&self, policy: &[u8], key: &[u8]) {
        let may_log = if policy == FOR_ALL {
            settings::STATE.compaction().may_log()
        } else {
            policies::may_log(self.context.database(), policy)
        };
        if may_log {
            let (policy, key) = (Token::from(policy), Token::from(key));
            self.context.log(format_args!(
                "policy '{policy}' could not give '{key}' all of its rules: a destination is taken, \
                 or a limit reached; this is said once of each policy"
            ));
        }
    }

    fn memory_bytes(&self, series: &Series) -> usize {
        series.memory_bytes(self.context.server())
    }

    fn answer(&self, query: impl Query) -> Result<()> {
        query::answer(self.context, self.reply, query)
    }

    fn answer_at_once(&self, query: &impl Query) -> Result<()> {
        query::answer_at_once(self.context, self.reply, query)
    }

    fn later<L: Later>(&self, work: L) -> Result<()> {
        query::later(self, Args::new(self.args), work)
    }

    fn wait(&self, reading: Reading, timeout_ms: i64) -> Result<()> {
        if !self.context.flags().may_wait() {
            return Err(Error::Conflict(
                "blocking READ (with BLOCK) is not allowed inside MULTI, EVAL, or a deny-blocking context",
            ));
        }
        waiting::wait(self.context, reading, timeout_ms);
        Ok(())
    }

    #[inline]
    fn count(&self, counter: Counter, by: u64) {
        stats::count(counter, by);
    }

    fn stats(&self) -> Vec<(&'static CStr, Figure)> {
        stats::all()
    }

    #[inline]
    fn reply(&self) -> &ServerReply<'c> {
        self.reply
    }

    #[inline]
    fn is_replay(&self) -> bool {
        self.context.flags().is_replay()
    }

    #[inline]
    fn replicate_verbatim(&self) {
        if self.is_alias() {
            self.replicate_renamed();
        } else {
            self.context.replicate_verbatim();
        }
    }

    fn replicate_stamped(&self, key: Key<'_>, time_ms: Timestamp, value: usize) {
        self.context
            .replicate_add(self.name(key), time_ms, self.strings[value]);
    }

    /// An argument that is the client's own at the same place is not copied: mostly only the time
    /// differs from what the client sent.
    fn replicate(&self, command: &CStr, args: &[&[u8]]) {
        let clients = |index: usize, text: &[u8]| {
            let same = self
                .args
                .get(index + 1)
                .is_some_and(|arg| std::ptr::eq(*arg, text));
            same.then(|| self.strings[index + 1])
        };
        let copies: Vec<OwnedString> = args
            .iter()
            .enumerate()
            .filter(|&(index, text)| clients(index, text).is_none())
            .map(|(_, text)| OwnedString::new(self.context.server(), text))
            .collect();
        let mut next_copy = copies.iter().map(OwnedString::as_string);
        let mut strings = args
            .iter()
            .enumerate()
            .filter_map(|(index, text)| clients(index, text).or_else(|| next_copy.next()));
        let Some(first) = strings.next() else {
            return self.context.replicate(command, &[]);
        };
        if args.len() > SHORT_ARGUMENTS {
            let strings: Vec<_> = std::iter::once(first).chain(strings).collect();
            return self.context.replicate(command, &strings);
        }
        let mut short = [first; SHORT_ARGUMENTS];
        for (slot, string) in short[1..].iter_mut().zip(strings) {
            *slot = string;
        }
        self.context.replicate(command, &short[..args.len()]);
    }

    #[inline]
    fn notify(&self, event: &'static CStr, key: Key<'_>) {
        self.notify_string(event, self.name(key));
    }
}

/// What an open key is for a command that reads.
#[inline]
fn reading(open: OpenKey<'_>) -> Slot<ReadSeries<'_>> {
    match open.content() {
        Content::Series(stored) => Slot::Open(ReadSeries::new(open, stored)),
        Content::Foreign | Content::Policy(_) => Slot::Foreign,
        Content::Empty => Slot::Missing,
    }
}

/// What an open key is for a command that writes.
#[inline]
fn writing(open: OpenKey<'_>) -> Slot<WriteSeries<'_>> {
    match open.content() {
        Content::Series(stored) => Slot::Open(WriteSeries::new(open, stored)),
        Content::Foreign | Content::Policy(_) => Slot::Foreign,
        Content::Empty => Slot::Missing,
    }
}
