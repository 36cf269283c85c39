//! What `COMMAND DOCS` and `COMMAND INFO` say of a command.
//!
//! The server takes a tree of C structures and copies all of it. [`Info`] builds one from a
//! [`Spec`] and owns every text and array in it:
//!
//! ```text
//! info -> summary, since, complexity
//!      -> key specs   [spec, end]
//!      -> arguments   [key, block, end]
//!                           `-> [time, value, end]
//! ```
//!
//! Arrays end with an element of zeros. Texts and arrays are boxed, so they stay where they are
//! while the lists of their owners grow.

use std::ffi::{CString, c_char, c_int};
use std::ptr;

use redis_module::raw::{
    self, RedisModuleCommand, RedisModuleCommandArg, RedisModuleCommandHistoryEntry,
    RedisModuleCommandInfo, RedisModuleCommandInfoVersion, RedisModuleCommandKeySpec,
    RedisModuleCommandKeySpec__bindgen_ty_1 as BeginSearch,
    RedisModuleCommandKeySpec__bindgen_ty_1__bindgen_ty_1 as BeginIndex,
    RedisModuleCommandKeySpec__bindgen_ty_1__bindgen_ty_2 as BeginKeyword,
    RedisModuleCommandKeySpec__bindgen_ty_2 as FindKeys,
    RedisModuleCommandKeySpec__bindgen_ty_2__bindgen_ty_1 as FindRange,
    RedisModuleCommandKeySpec__bindgen_ty_2__bindgen_ty_2 as FindCounted,
};

use super::api;
use super::context::Context;
use crate::command::spec::{Access, Arg, ArgKind, Keys, Spec};

/// The layout of the structures, so that a server whose own are larger can still read them.
static VERSION: RedisModuleCommandInfoVersion = RedisModuleCommandInfoVersion {
    version: 1,
    sizeof_historyentry: size_of::<RedisModuleCommandHistoryEntry>(),
    sizeof_keyspec: size_of::<RedisModuleCommandKeySpec>(),
    sizeof_arg: size_of::<RedisModuleCommandArg>(),
};

/// The description of a command, and the memory it lies in.
pub(super) struct Info {
    arity: c_int,
    summary: *const c_char,
    since: *const c_char,
    complexity: *const c_char,
    key_specs: Vec<RedisModuleCommandKeySpec>,
    args: *mut RedisModuleCommandArg,
    memory: Memory,
}

/// The texts and arrays that the structures point to.
#[derive(Default)]
struct Memory {
    texts: Vec<CString>,
    arrays: Vec<Box<[RedisModuleCommandArg]>>,
    /// How many key specs there are, and arguments so far that are keys.
    key_specs: usize,
    keys: usize,
}

impl Info {
    /// Describes a command.
    pub(super) fn new(spec: &Spec) -> Self {
        let mut memory = Memory {
            key_specs: match spec.keys {
                Keys::Several(specs) => specs.len(),
                _ => 1,
            },
            ..Memory::default()
        };
        Self {
            arity: spec.arity,
            summary: memory.text(spec.summary),
            since: memory.text(spec.since),
            complexity: memory.text(spec.complexity),
            key_specs: key_specs(spec, &mut memory),
            args: memory.args(spec.args),
            memory,
        }
    }

    /// Gives the description to the server. Says whether the server took it.
    pub(super) fn set(mut self, context: Context<'_>, command: *mut RedisModuleCommand) -> bool {
        let info = RedisModuleCommandInfo {
            version: &raw const VERSION,
            summary: self.summary,
            complexity: self.complexity,
            since: self.since,
            history: ptr::null_mut(),
            tips: ptr::null(),
            arity: self.arity,
            key_specs: self.key_specs.as_mut_ptr(),
            args: self.args,
        };
        // SAFETY: the command is registered; every text is NUL-terminated, every array ends with
        // zeros, and `self` holds them until the server has copied them.
        let status = unsafe { (context.table().set_command_info)(command, &raw const info) };
        drop(self.memory);
        status == api::OK
    }
}

/// The end of an array of key specs.
const NO_KEY_SPEC: RedisModuleCommandKeySpec = RedisModuleCommandKeySpec {
    notes: ptr::null(),
    flags: 0,
    begin_search_type: 0,
    bs: BeginSearch {
        index: BeginIndex { pos: 0 },
    },
    find_keys_type: 0,
    fk: FindKeys {
        range: FindRange {
            lastkey: 0,
            keystep: 0,
            limit: 0,
        },
    },
};

/// Where the keys of a command stand, and what it does with them, and the end.
fn key_specs(spec: &Spec, memory: &mut Memory) -> Vec<RedisModuleCommandKeySpec> {
    let specs = match &spec.keys {
        Keys::Several(specs) => specs,
        one => &[(*one, spec.access)][..],
    };
    let specs = specs.iter();
    let specs = specs.map(|&(keys, access)| key_spec(keys, access, memory));
    specs
        .collect::<Vec<_>>()
        .into_iter()
        .chain([NO_KEY_SPEC])
        .collect()
}

fn key_spec(keys: Keys, access: Access, memory: &mut Memory) -> RedisModuleCommandKeySpec {
    const INDEX: u32 = raw::RedisModuleKeySpecBeginSearchType_REDISMODULE_KSPEC_BS_INDEX;
    const KEYWORD: u32 = raw::RedisModuleKeySpecBeginSearchType_REDISMODULE_KSPEC_BS_KEYWORD;
    let first = BeginSearch {
        index: BeginIndex { pos: 1 },
    };
    // The last key counts from the first where it is not negative: 0 is the first itself, -1 the
    // last argument.
    let (begin_search_type, bs, lastkey, keystep) = match keys {
        Keys::None | Keys::Several(_) => return NO_KEY_SPEC,
        Keys::Counted => {
            return RedisModuleCommandKeySpec {
                flags: access_flags(access).into(),
                begin_search_type: INDEX,
                bs: first,
                find_keys_type: raw::RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_KEYNUM,
                fk: FindKeys {
                    // Counted from the first argument, which is the number.
                    keynum: FindCounted {
                        keynumidx: 0,
                        firstkey: 1,
                        keystep: 1,
                    },
                },
                ..NO_KEY_SPEC
            };
        }
        Keys::First => (INDEX, first, 0, 1),
        Keys::Second => {
            let second = BeginSearch {
                index: BeginIndex { pos: 2 },
            };
            (INDEX, second, 0, 1)
        }
        Keys::At(pos) => {
            let index = BeginIndex { pos };
            (INDEX, BeginSearch { index }, 0, 1)
        }
        Keys::OneAfter(keyword, startfrom) => {
            let keyword = BeginKeyword {
                keyword: memory.text(keyword),
                startfrom,
            };
            (KEYWORD, BeginSearch { keyword }, 0, 1)
        }
        Keys::FirstTwo => (INDEX, first, 1, 1),
        Keys::Every { step } => (INDEX, first, -1, step),
        Keys::After { keyword, step } => {
            let keyword = BeginKeyword {
                keyword: memory.text(keyword),
                // The search starts with the first argument after the command's name.
                startfrom: 1,
            };
            (KEYWORD, BeginSearch { keyword }, -1, step)
        }
    };
    RedisModuleCommandKeySpec {
        notes: ptr::null(),
        flags: access_flags(access).into(),
        begin_search_type,
        bs,
        find_keys_type: raw::RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_RANGE,
        fk: FindKeys {
            range: FindRange {
                lastkey,
                keystep,
                limit: 0,
            },
        },
    }
}

const fn access_flags(access: Access) -> u32 {
    match access {
        Access::Read => raw::REDISMODULE_CMD_KEY_RO | raw::REDISMODULE_CMD_KEY_ACCESS,
        Access::Insert => raw::REDISMODULE_CMD_KEY_RW | raw::REDISMODULE_CMD_KEY_INSERT,
        Access::Update => raw::REDISMODULE_CMD_KEY_RW | raw::REDISMODULE_CMD_KEY_UPDATE,
        Access::UpdateAndRead => {
            raw::REDISMODULE_CMD_KEY_RW
                | raw::REDISMODULE_CMD_KEY_UPDATE
                | raw::REDISMODULE_CMD_KEY_ACCESS
        }
        Access::Delete => raw::REDISMODULE_CMD_KEY_RW | raw::REDISMODULE_CMD_KEY_DELETE,
    }
}

impl Memory {
    /// A text with a NUL behind it. A spec's text has none in it, or is shown as empty.
    fn text(&mut self, text: &str) -> *const c_char {
        let text = CString::new(text).unwrap_or_default();
        let start = text.as_ptr();
        self.texts.push(text);
        start
    }

    /// An array of arguments and its end; null for none.
    fn args(&mut self, args: &[Arg]) -> *mut RedisModuleCommandArg {
        if args.is_empty() {
            return ptr::null_mut();
        }
        let array = args.iter().map(|arg| self.arg(arg));
        let mut array: Box<[_]> = array.collect::<Vec<_>>().into_iter().chain([END]).collect();
        let start = array.as_mut_ptr();
        self.arrays.push(array);
        start
    }

    /// The key spec of the next argument that is a key: each has its own, or all have the last.
    fn next_key_spec(&mut self) -> c_int {
        let place = self.keys.min(self.key_specs.saturating_sub(1));
        self.keys += 1;
        c_int::try_from(place).unwrap_or(0)
    }

    fn arg(&mut self, arg: &Arg) -> RedisModuleCommandArg {
        let optional = flag(arg.optional, raw::REDISMODULE_CMD_ARG_OPTIONAL);
        let multiple = flag(arg.multiple, raw::REDISMODULE_CMD_ARG_MULTIPLE);
        let token = flag(arg.multiple_token, raw::REDISMODULE_CMD_ARG_MULTIPLE_TOKEN);
        RedisModuleCommandArg {
            name: self.text(arg.name),
            type_: arg_type(arg.kind),
            key_spec_index: if arg.kind == ArgKind::Key {
                self.next_key_spec()
            } else {
                -1
            },
            token: arg.token.map_or(ptr::null(), |token| self.text(token)),
            flags: optional | multiple | token,
            subargs: self.args(arg.parts),
            ..END
        }
    }
}

/// The end of an array of arguments.
const END: RedisModuleCommandArg = RedisModuleCommandArg {
    name: ptr::null(),
    type_: 0,
    key_spec_index: 0,
    token: ptr::null(),
    summary: ptr::null(),
    since: ptr::null(),
    flags: 0,
    deprecated_since: ptr::null(),
    subargs: ptr::null_mut(),
    display_text: ptr::null(),
};

const fn flag(set: bool, flag: u32) -> c_int {
    if set { flag.cast_signed() } else { 0 }
}

const fn arg_type(kind: ArgKind) -> raw::RedisModuleCommandArgType {
    match kind {
        ArgKind::Key => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_KEY,
        ArgKind::String => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_STRING,
        ArgKind::Integer => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_INTEGER,
        ArgKind::Double => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_DOUBLE,
        ArgKind::Token => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_PURE_TOKEN,
        ArgKind::OneOf => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_ONEOF,
        ArgKind::Block => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_BLOCK,
    }
}
