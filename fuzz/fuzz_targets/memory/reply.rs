//! A reply of which only the structure is kept.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;

use redis_iot::command::error::Error;
use redis_iot::command::host::Reply;

/// The structure of a reply.
#[derive(Default)]
pub struct Structure {
    /// Elements that the containers around the next one still wait for.
    open: RefCell<Vec<usize>>,
    /// Whole replies.
    whole: Cell<usize>,
    /// Whether the reply comes later, or never.
    waits: Cell<bool>,
}

impl Structure {
    /// Says that the client waits.
    pub fn wait(&self) {
        self.waits.set(true);
    }

    /// Fails where this is not what belongs to a command that returned.
    pub fn check(&self, is_ok: bool) {
        let expected = usize::from(is_ok && !self.waits.get());
        assert_eq!(self.open.borrow().len(), 0, "a container lacks elements");
        assert_eq!(self.whole.get(), expected, "replies of one command");
    }

    fn element(&self) {
        let mut open = self.open.borrow_mut();
        while let Some(left) = open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return;
            }
            open.pop();
        }
        self.whole.set(self.whole.get() + 1);
    }

    fn container(&self, len: usize) {
        if len == 0 {
            self.element();
        } else {
            self.open.borrow_mut().push(len);
        }
    }
}

impl Reply for Structure {
    fn ok(&self) {
        self.element();
    }

    fn integer(&self, _value: i64) {
        self.element();
    }

    fn number(&self, _value: f64) {
        self.element();
    }

    fn bulk(&self, _text: &[u8]) {
        self.element();
    }

    fn simple(&self, _text: &'static CStr) {
        self.element();
    }

    fn null(&self) {
        self.element();
    }

    fn array(&self, len: usize) {
        self.container(len);
    }

    fn map(&self, len: usize) {
        self.container(2 * len);
    }

    fn set(&self, len: usize) {
        self.container(len);
    }

    fn is_resp3(&self) -> bool {
        true
    }

    fn pairs<'a>(&self, len: usize, pairs: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>) {
        assert_eq!(pairs.count(), len, "pairs");
        self.element();
    }

    fn error(&self, error: &Error) {
        assert!(!error.to_string().is_empty());
        self.element();
    }
}
