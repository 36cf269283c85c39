//! Replies, written straight to the client's buffer.
//!
//! A reply of a million samples passes here three million times, so an element costs one call of
//! the server and no allocation, and the protocol's version is asked for once a command.

use std::cell::Cell;
use std::ffi::{CStr, c_long};
use std::fmt::Write;

use super::context::Context;
use super::text::{Line, NumberText};
use crate::command::error::Error;
use crate::command::host::Reply;

/// The longest text of an error, in bytes: a sentence of ours and a client's token of 64 bytes,
/// each of which may be escaped to four.
const ERROR_BYTES: usize = 512;

/// The reply to one command.
pub(super) struct ServerReply<'c> {
    context: Context<'c>,
    /// Whether anything was sent: after that no error can take its place.
    started: Cell<bool>,
    /// Whether the client speaks RESP3, once someone has asked.
    resp3: Cell<Option<bool>>,
}

impl<'c> ServerReply<'c> {
    /// A reply of which nothing was sent.
    #[inline]
    pub(super) const fn new(context: Context<'c>) -> Self {
        Self {
            context,
            started: Cell::new(false),
            resp3: Cell::new(None),
        }
    }

    /// The reply to a client that waits, on any thread: a context of this kind is not asked what
    /// the client speaks.
    pub(super) const fn for_blocked(context: Context<'c>, resp3: bool) -> Self {
        Self {
            context,
            started: Cell::new(false),
            resp3: Cell::new(Some(resp3)),
        }
    }

    /// Whether anything was sent.
    #[inline]
    pub(super) fn is_started(&self) -> bool {
        self.started.get()
    }

    /// Ends the reply of a command that failed by a bug of ours. A reply in the middle of its
    /// elements cannot be ended: the client would take the next command's reply for the rest of
    /// it, so its connection is closed.
    #[cold]
    pub(super) fn abandon(&self, command: &str) {
        if !self.is_started() {
            self.send_error(c"ERR internal error");
        } else if self.context.close_client() {
            self.context.log(format_args!(
                "{command} failed in the middle of its reply: the client's connection is closed"
            ));
        } else {
            self.context
                .log(format_args!("{command} failed in the middle of its reply"));
        }
    }

    pub(super) fn send_error(&self, text: &CStr) {
        self.started.set(true);
        // SAFETY: the context is alive, the text is NUL-terminated.
        unsafe { (self.context.table().reply_error)(self.context.raw(), text.as_ptr()) };
    }

    #[inline]
    fn send_simple(&self, text: &CStr) {
        self.started.set(true);
        // SAFETY: the context is alive, the text is NUL-terminated.
        unsafe { (self.context.table().reply_simple)(self.context.raw(), text.as_ptr()) };
    }

    #[inline]
    fn send_array(&self, len: c_long) {
        self.started.set(true);
        // SAFETY: the context is alive.
        unsafe { (self.context.table().reply_array)(self.context.raw(), len) };
    }
}

/// A number of elements in the server's type. There is no memory for as many as would not fit.
#[inline]
fn signed(len: usize) -> c_long {
    c_long::try_from(len).unwrap_or(c_long::MAX)
}

impl Reply for ServerReply<'_> {
    fn ok(&self) {
        self.send_simple(c"OK");
    }

    #[inline]
    fn integer(&self, value: i64) {
        self.started.set(true);
        // SAFETY: the context is alive.
        unsafe { (self.context.table().reply_integer)(self.context.raw(), value) };
    }

    #[inline]
    fn number(&self, value: f64) {
        if !self.is_resp3() {
            return self.send_simple(NumberText::new(value).as_c_str());
        }
        // Some servers would print the sign of a NaN, which is no RESP3.
        let value = if value.is_nan() { f64::NAN } else { value };
        self.started.set(true);
        // SAFETY: the context is alive.
        unsafe { (self.context.table().reply_double)(self.context.raw(), value) };
    }

    #[inline]
    fn bulk(&self, text: &[u8]) {
        self.started.set(true);
        // SAFETY: the context is alive, and `text` has that many bytes, which are copied.
        unsafe {
            (self.context.table().reply_bulk)(self.context.raw(), text.as_ptr().cast(), text.len())
        };
    }

    fn simple(&self, text: &'static CStr) {
        self.send_simple(text);
    }

    fn null(&self) {
        self.started.set(true);
        // SAFETY: the context is alive.
        unsafe { (self.context.table().reply_null)(self.context.raw()) };
    }

    #[inline]
    fn array(&self, len: usize) {
        self.send_array(signed(len));
    }

    fn map(&self, len: usize) {
        self.started.set(true);
        // SAFETY: the context is alive. The server itself makes a flat array of it in RESP2.
        unsafe { (self.context.table().reply_map)(self.context.raw(), signed(len)) };
    }

    fn set(&self, len: usize) {
        self.started.set(true);
        // SAFETY: the context is alive. The server itself makes an array of it in RESP2.
        unsafe { (self.context.table().reply_set)(self.context.raw(), signed(len)) };
    }

    #[inline]
    fn is_resp3(&self) -> bool {
        self.resp3.get().unwrap_or_else(|| {
            let resp3 = self.context.flags().is_resp3();
            self.resp3.set(Some(resp3));
            resp3
        })
    }

    fn pairs<'a>(&self, len: usize, pairs: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>) {
        let resp3 = self.is_resp3();
        if resp3 {
            self.map(len);
        } else {
            self.array(len);
        }
        for (name, value) in pairs {
            if !resp3 {
                self.array(2);
            }
            self.bulk(name);
            match value {
                Some(value) => self.bulk(value),
                None => self.null(),
            }
        }
    }

    fn error(&self, error: &Error) {
        let mut text = Line::<ERROR_BYTES>::new();
        // Writing to a line cannot fail: what is too long is cut.
        let _ = write!(text, "{error}");
        self.send_error(text.as_c_str());
    }
}
