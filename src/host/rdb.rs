//! Records in the server's dump file.
//!
//! One record is one string of the file, so the server's compression, checksum and limits apply to
//! each. A load comes from anyone who may call `RESTORE`: what is read is checked before it is
//! copied, and an error of the stream is asked for after every read.

use std::ffi::{CStr, c_char};
use std::fmt::{Arguments, Write};
use std::marker::PhantomData;
use std::slice;

use redis_module::raw::{RedisModuleIO, RedisModuleString};

use super::api::Server;
use super::context::OwnedString;
use super::text::Line;
use crate::engine::persist::{MAX_RECORD_BYTES, Sink, Source};
use crate::engine::{Error, Result};

/// A stream of the server, for the time of one callback.
pub(super) struct Stream<'c> {
    server: Server,
    raw: *mut RedisModuleIO,
    call: PhantomData<&'c ()>,
}

/// Memory that the server gave us to free.
struct Loaded {
    server: Server,
    start: *mut c_char,
    len: usize,
}

impl Stream<'_> {
    /// # Safety
    /// The server has passed `raw` to a callback, and `'c` ends before that callback returns.
    pub(super) const unsafe fn new(server: Server, raw: *mut RedisModuleIO) -> Self {
        Self {
            server,
            raw,
            call: PhantomData,
        }
    }

    /// Writes a line to the server's log that says which stream it is about.
    pub(super) fn log(&self, message: Arguments<'_>) {
        const LEVEL: &CStr = c"warning";
        let mut line = Line::<512>::new();
        // Writing to a line cannot fail: what is too long is cut.
        let _ = line.write_fmt(message);
        // SAFETY: the stream is alive; level, format and text are NUL-terminated, and the format
        // takes one text.
        unsafe {
            (self.server.table().log_io_error)(
                self.raw,
                LEVEL.as_ptr(),
                c"%s".as_ptr(),
                line.as_c_str().as_ptr(),
            );
        };
    }

    /// Writes a command of a key and a text to the append-only file.
    ///
    /// # Safety
    /// The stream is one of a rewrite, and `key` is alive.
    pub(super) unsafe fn emit(&self, command: &CStr, key: *mut RedisModuleString, text: &[u8]) {
        // SAFETY: the caller guarantees stream and key; `s` takes a string of the server, `b` a
        // start and a length as a size, which is what follows.
        unsafe {
            (self.server.table().emit_aof)(
                self.raw,
                command.as_ptr(),
                c"sb".as_ptr(),
                key,
                text.as_ptr(),
                text.len(),
            );
        };
    }

    /// Writes a subcommand of a key and texts to the append-only file.
    ///
    /// # Safety
    /// The stream is one of a rewrite, and `key` is alive.
    pub(super) unsafe fn emit_sub(
        &self,
        command: &CStr,
        subcommand: &CStr,
        key: *mut RedisModuleString,
        texts: &[Vec<u8>],
    ) {
        let strings: Vec<OwnedString> = texts
            .iter()
            .map(|text| OwnedString::new(self.server, text))
            .collect();
        let raw: Vec<_> = strings.iter().map(|one| one.as_string().raw()).collect();
        // SAFETY: the caller guarantees stream and key; `c` takes a text, `s` a string of the
        // server, `v` an array of strings and its length as a size, which is what follows.
        unsafe {
            (self.server.table().emit_aof)(
                self.raw,
                command.as_ptr(),
                c"csv".as_ptr(),
                subcommand.as_ptr(),
                key,
                raw.as_ptr(),
                raw.len(),
            );
        };
    }

    /// Reads the next string of the file.
    fn load(&self) -> Loaded {
        let mut len = 0;
        // SAFETY: the stream is alive, and the length goes to a variable of ours.
        let start = unsafe { (self.server.table().load_buffer)(self.raw, &raw mut len) };
        Loaded {
            server: self.server,
            start,
            len,
        }
    }

    fn has_failed(&self) -> bool {
        // SAFETY: the stream is alive.
        unsafe { (self.server.table().is_io_error)(self.raw) != 0 }
    }
}

impl Sink for Stream<'_> {
    fn record(&mut self, bytes: &[u8]) {
        // SAFETY: the stream is alive, and `bytes` has that many bytes. The server remembers an
        // error and gives up the file.
        unsafe {
            (self.server.table().save_buffer)(self.raw, bytes.as_ptr().cast(), bytes.len());
        };
    }
}

impl Source for Stream<'_> {
    fn record(&mut self) -> Result<Vec<u8>> {
        let loaded = self.load();
        if self.has_failed() || loaded.start.is_null() {
            return Err(Error::Corrupt { what: "record" });
        }
        if loaded.len > MAX_RECORD_BYTES {
            return Err(Error::Corrupt {
                what: "record length",
            });
        }
        Ok(loaded.bytes().to_vec())
    }
}

impl Loaded {
    /// The bytes. The start is not null.
    fn bytes(&self) -> &[u8] {
        debug_assert!(!self.start.is_null(), "nothing was loaded");
        // SAFETY: the server says that `len` bytes stand there, and they are ours until the drop.
        unsafe { slice::from_raw_parts(self.start.cast(), self.len) }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: the server has given the memory to us, and nobody uses it after this. Null is
        // permitted.
        unsafe { (self.server.table().free)(self.start.cast()) };
    }
}
