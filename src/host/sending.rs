//! Events on their way: messages on channels, entries of streams.
//!
//! ```text
//!            here                       replicas                          append-only file
//! publish    subscribers, the cluster   PUBLISH; in a cluster its bus     nothing
//! append     XADD, run as a command     XADD with the id that it got      the same
//! ```
//!
//! `XADD` is run rather than the API's own function for streams, so that clients that wait for the
//! stream are woken, keyspace events are sent, and what is replicated is what the server makes of it.
//! All of it becomes one unit with the command that has caused it.

use std::ffi::{CStr, c_int};
use std::sync::atomic::{AtomicI64, Ordering};

use redis_module::raw;

use super::api;
use super::context::{Context, OwnedString, ServerString};
use crate::command::error::Token;
use crate::engine::Timestamp;

impl Context<'_> {
    /// Sends a message to subscribers of a channel, here, in the cluster, and at replicas.
    pub(super) fn publish(self, channel: &[u8], message: &[u8]) {
        let [channel, message] =
            [channel, message].map(|text| OwnedString::new(self.server(), text));
        let strings = [channel.as_string(), message.as_string()];
        let table = self.table();
        // SAFETY: context and strings are alive.
        unsafe { (table.publish)(self.raw(), strings[0].raw(), strings[1].raw()) };
        if self.flags().is_cluster() {
            // The bus of the cluster has told the replicas, too.
            return;
        }
        // `A`: not for the file.
        // SAFETY: as above; `v` takes an array of strings and its length as a size, which is what
        // follows.
        unsafe {
            (table.replicate)(
                self.raw(),
                c"PUBLISH".as_ptr(),
                c"Av".as_ptr(),
                strings.as_ptr(),
                strings.len(),
            );
        }
    }

    /// Appends an entry to a stream. Says whether the server took it.
    pub(super) fn append(self, stream: &[u8], max_len: u64, fields: &[(&[u8], &[u8])]) -> bool {
        let server = self.server();
        let mut owned = vec![OwnedString::new(server, stream)];
        if max_len > 0 {
            let max_len = max_len.to_string();
            for text in [&b"MAXLEN"[..], b"~", max_len.as_bytes()] {
                owned.push(OwnedString::new(server, text));
            }
        }
        owned.push(OwnedString::new(server, b"*"));
        for (name, value) in fields {
            owned.push(OwnedString::new(server, name));
            owned.push(OwnedString::new(server, value));
        }
        let strings: Vec<ServerString<'_>> = owned.iter().map(OwnedString::as_string).collect();
        self.run(c"XADD", &strings)
    }

    /// Notes in the log that an event was dropped, once a minute.
    pub(super) fn log_dropped(self, stream: &[u8], now_ms: Timestamp) {
        const MINUTE_MS: i64 = 60_000;
        static LAST_MS: AtomicI64 = AtomicI64::new(i64::MIN);
        let last_ms = LAST_MS.load(Ordering::Relaxed);
        if now_ms.saturating_sub(last_ms) >= MINUTE_MS {
            LAST_MS.store(now_ms, Ordering::Relaxed);
            let stream = Token::from(stream);
            self.log(format_args!(
                "an event was dropped: the key '{stream}' holds no stream; this is said once a minute"
            ));
        }
    }

    /// Runs a command that is replicated. Says whether it succeeded.
    fn run(self, command: &CStr, args: &[ServerString<'_>]) -> bool {
        const ERROR: c_int = api::small(raw::REDISMODULE_REPLY_ERROR);
        let table = self.table();
        // SAFETY: the context is alive; `!` replicates, `v` takes an array of strings and its length
        // as a size, which is what follows.
        let reply = unsafe {
            (table.call)(
                self.raw(),
                command.as_ptr(),
                c"!v".as_ptr(),
                args.as_ptr(),
                args.len(),
            )
        };
        if reply.is_null() {
            return false;
        }
        // SAFETY: the reply is alive.
        let is_error = unsafe { (table.call_reply_type)(reply) == ERROR };
        // SAFETY: the reply is ours, and nobody uses it after this.
        unsafe { (table.free_call_reply)(reply) };
        !is_error
    }
}
