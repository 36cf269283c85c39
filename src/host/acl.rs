//! Whether the user of a command may read or change keys that the command does not name.
//!
//! The server checks the keys among the arguments; those that a filter finds are ours to check. A
//! command may have no user at all: one that another module runs, or a stream from a master. It
//! may do everything.

use std::ffi::{CStr, c_int};
use std::io;
use std::ptr::{self, NonNull};
use std::slice;

use redis_module::raw::{self, RedisModuleCallReply, RedisModuleUser};

use super::api::{self, Server};
use super::context::{Context, OwnedString, ServerString};

/// What a user wants to do with a key.
#[derive(Clone, Copy)]
pub(super) enum Right {
    Read,
    Delete,
    Update,
}

impl Right {
    const fn flags(self) -> c_int {
        let flags = match self {
            Self::Read => raw::REDISMODULE_CMD_KEY_ACCESS,
            Self::Delete => raw::REDISMODULE_CMD_KEY_DELETE,
            Self::Update => raw::REDISMODULE_CMD_KEY_UPDATE,
        };
        flags.cast_signed()
    }
}

/// Who runs a command.
pub(super) enum User {
    /// One who may do everything with every key.
    Unrestricted,
    /// One whose rights are checked key by key; null is one that does not exist any more.
    Named(Server, *mut RedisModuleUser),
}

/// Keys from which on it is worth asking whether a user may read all of them: Redis 7.0 takes as
/// long for the answer as for some 500 keys, later servers for 15.
const MANY_KEYS: usize = 512;

impl User {
    /// The user of a command that is about to check so many keys.
    pub(super) fn of(context: Context<'_>, keys: usize) -> Self {
        let flags = context.flags();
        if flags.is_replay() || (flags.may_lack_user() && !has_user(context)) {
            return Self::Unrestricted;
        }
        let server = context.server();
        // SAFETY: the context is alive, and its client has a user.
        let name = unsafe { (server.table().user_name)(context.raw()) };
        let Some(name) = NonNull::new(name) else {
            return Self::Named(server, ptr::null_mut());
        };
        // SAFETY: the server has made this string for us.
        let name = unsafe { OwnedString::from_raw(server, name) };
        if keys >= MANY_KEYS && has_all_keys(context, name.as_string()) {
            return Self::Unrestricted;
        }
        // SAFETY: the name is alive.
        Self::Named(server, unsafe {
            (server.table().user)(name.as_string().raw())
        })
    }

    /// Whether the user may do something with a key.
    pub(super) fn may(&self, right: Right, key: ServerString<'_>) -> bool {
        match self {
            Self::Unrestricted => true,
            Self::Named(_, user) if user.is_null() => false,
            // SAFETY: user and key are alive.
            Self::Named(server, user) => unsafe {
                (server.table().check_key)(*user, key.raw(), right.flags()) == api::OK
            },
        }
    }
}

impl User {
    /// Whether the user may publish on a channel.
    pub(super) fn may_publish(&self, channel: ServerString<'_>) -> bool {
        const PUBLISH: u32 = raw::REDISMODULE_CMD_CHANNEL_PUBLISH;
        match self {
            Self::Unrestricted => true,
            Self::Named(_, user) if user.is_null() => false,
            // SAFETY: user and channel are alive.
            Self::Named(server, user) => unsafe {
                let check = server.table().check_channel;
                check(*user, channel.raw(), PUBLISH.cast_signed()) == api::OK
            },
        }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if let Self::Named(server, user) = self
            && !user.is_null()
        {
            // SAFETY: the user was made for us, and nobody uses it after this.
            unsafe { (server.table().free_user)(*user) };
        }
    }
}

/// A reply to a command of ours; freed on drop.
struct Answer(Server, *mut RedisModuleCallReply);

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.1.is_null() {
            // SAFETY: the reply is ours, and what was borrowed from it is gone.
            unsafe { (self.0.table().free_call_reply)(self.1) };
        }
    }
}

/// Whether the client of a command has a user. Asking for its name stops the server where it has
/// none, so a command is run as that user: this one is refused with an error that says so.
fn has_user(context: Context<'_>) -> bool {
    let server = context.server();
    // SAFETY: the context is alive, the texts are NUL-terminated, and no argument is announced.
    let reply = unsafe { (server.table().call)(context.raw(), c"PING".as_ptr(), c"C".as_ptr()) };
    let error = io::Error::last_os_error().raw_os_error();
    let answer = Answer(server, reply);
    !(answer.1.is_null() && error == Some(libc::ENOTSUP))
}

/// Whether a user may read and write every key, by what the server says of it.
fn has_all_keys(context: Context<'_>, name: ServerString<'_>) -> bool {
    let server = context.server();
    let (command, format) = (c"ACL".as_ptr(), c"cs".as_ptr());
    let subcommand: &CStr = c"GETUSER";
    // SAFETY: the context is alive; `c` is a text and `s` a string, and both follow.
    let reply = unsafe {
        (server.table().call)(
            context.raw(),
            command,
            format,
            subcommand.as_ptr(),
            name.raw(),
        )
    };
    let answer = Answer(server, reply);
    if answer.1.is_null() {
        return false;
    }
    // Pairs of a name and a value.
    (0..)
        .step_by(2)
        .map_while(|at| answer.text(at).map(|name| (at, name)))
        .find(|(_, name)| *name == b"keys")
        .and_then(|(at, _)| answer.text(at + 1))
        == Some(b"~*")
}

impl Answer {
    /// The text at a place of an array.
    fn text(&self, at: usize) -> Option<&[u8]> {
        let table = self.0.table();
        // SAFETY: the reply is alive; what is no array, or shorter, gives null.
        let element = unsafe { (table.call_reply_element)(self.1, at) };
        if element.is_null() {
            return None;
        }
        let mut len = 0;
        // SAFETY: the element is part of the reply; what is no text gives null.
        let start = unsafe { (table.call_reply_string)(element, &raw mut len) };
        if start.is_null() {
            return None;
        }
        // SAFETY: so many bytes of the reply stand there, and it is borrowed.
        Some(unsafe { slice::from_raw_parts(start.cast(), len) })
    }
}
