//! The server's functions, looked up once.
//!
//! The bindings hold each function as a pointer that may be missing, because servers of different
//! ages offer different sets. `OnLoad` reads them all into one [`Table`]: what this module cannot
//! do without is checked there, and a server that lacks it refuses the module with the name of the
//! function in its log. What it can do without stays an `Option`. Version numbers are never
//! compared: Valkey counts its own, and says `redis_version:7.2.4` all the same.
//!
//! A [`Server`] is the proof, of no size, that the table is filled. Whoever holds one calls
//! functions without checking again.

use std::ffi::{CStr, c_char, c_int, c_long, c_longlong, c_uint, c_ulong, c_ulonglong, c_void};
use std::fmt::{Arguments, Write};
use std::ptr;
use std::sync::OnceLock;

use redis_module::raw::{
    self, RedisModuleBlockedClient, RedisModuleCallReply, RedisModuleCmdFunc, RedisModuleCommand,
    RedisModuleCommandInfo, RedisModuleConfigApplyFunc, RedisModuleConfigGetEnumFunc,
    RedisModuleConfigGetNumericFunc, RedisModuleConfigGetStringFunc, RedisModuleConfigSetEnumFunc,
    RedisModuleConfigSetNumericFunc, RedisModuleConfigSetStringFunc, RedisModuleCtx,
    RedisModuleDefragCtx, RedisModuleDigest, RedisModuleDisconnectFunc, RedisModuleEvent,
    RedisModuleEventCallback, RedisModuleIO, RedisModuleInfoCtx, RedisModuleInfoFunc,
    RedisModuleKey, RedisModuleKeyOptCtx, RedisModuleNotificationFunc, RedisModuleScanCB,
    RedisModuleScanCursor, RedisModuleString, RedisModuleTimerID, RedisModuleTimerProc,
    RedisModuleType, RedisModuleTypeMethods, RedisModuleUser,
};

use super::text::Line;

/// Declares [`Table`] and how it is filled. The signatures stand here again so that the compiler
/// compares them with the bindings'.
macro_rules! table {
    (
        required { $($field:ident: $symbol:ident = fn $args:tt $(-> $returns:ty)?;)* }
        optional { $($gated:ident: $gated_symbol:ident = fn $gated_args:tt $(-> $gated_returns:ty)?;)* }
    ) => {
        /// The server's functions.
        pub(super) struct Table {
            $(pub(super) $field: unsafe extern "C" fn $args $(-> $returns)?,)*
            $(pub(super) $gated: Option<unsafe extern "C" fn $gated_args $(-> $gated_returns)?>,)*
        }

        impl Table {
            /// Reads the pointers that the loading glue has filled, or names one that is missing.
            fn read() -> Result<Self, &'static str> {
                Ok(Self {
                    $($field: {
                        // SAFETY: the glue writes this variable while `OnLoad` calls it and never
                        // again, and `OnLoad` reads it on the same thread.
                        unsafe { raw::$symbol }.ok_or(stringify!($symbol))?
                    },)*
                    $($gated: {
                        // SAFETY: as above.
                        unsafe { raw::$gated_symbol }
                    },)*
                })
            }
        }
    };
}

table! {
    required {
        alloc: RedisModule_Alloc = fn(usize) -> *mut c_void;
        calloc: RedisModule_Calloc = fn(usize, usize) -> *mut c_void;
        realloc: RedisModule_Realloc = fn(*mut c_void, usize) -> *mut c_void;
        free: RedisModule_Free = fn(*mut c_void);
        malloc_size: RedisModule_MallocSize = fn(*mut c_void) -> usize;

        log: RedisModule_Log = fn(*mut RedisModuleCtx, *const c_char, *const c_char, ...);
        set_module_options: RedisModule_SetModuleOptions = fn(*mut RedisModuleCtx, c_int);
        get_context_flags: RedisModule_GetContextFlags = fn(*mut RedisModuleCtx) -> c_int;
        get_client_id: RedisModule_GetClientId = fn(*mut RedisModuleCtx) -> c_ulonglong;
        close_client: RedisModule_DeauthenticateAndCloseClient =
            fn(*mut RedisModuleCtx, u64) -> c_int;
        milliseconds: RedisModule_Milliseconds = fn() -> raw::mstime_t;

        create_command: RedisModule_CreateCommand = fn(
            *mut RedisModuleCtx, *const c_char, RedisModuleCmdFunc, *const c_char, c_int, c_int,
            c_int) -> c_int;
        get_command: RedisModule_GetCommand =
            fn(*mut RedisModuleCtx, *const c_char) -> *mut RedisModuleCommand;
        create_subcommand: RedisModule_CreateSubcommand = fn(
            *mut RedisModuleCommand, *const c_char, RedisModuleCmdFunc, *const c_char, c_int, c_int,
            c_int) -> c_int;
        set_command_info: RedisModule_SetCommandInfo =
            fn(*mut RedisModuleCommand, *const RedisModuleCommandInfo) -> c_int;

        register_numeric_config: RedisModule_RegisterNumericConfig = fn(
            *mut RedisModuleCtx, *const c_char, c_longlong, c_uint, c_longlong, c_longlong,
            RedisModuleConfigGetNumericFunc, RedisModuleConfigSetNumericFunc,
            RedisModuleConfigApplyFunc, *mut c_void) -> c_int;
        register_enum_config: RedisModule_RegisterEnumConfig = fn(
            *mut RedisModuleCtx, *const c_char, c_int, c_uint, *mut *const c_char, *const c_int,
            c_int, RedisModuleConfigGetEnumFunc, RedisModuleConfigSetEnumFunc,
            RedisModuleConfigApplyFunc, *mut c_void) -> c_int;
        register_string_config: RedisModule_RegisterStringConfig = fn(
            *mut RedisModuleCtx, *const c_char, *const c_char, c_uint,
            RedisModuleConfigGetStringFunc, RedisModuleConfigSetStringFunc,
            RedisModuleConfigApplyFunc, *mut c_void) -> c_int;
        load_configs: RedisModule_LoadConfigs = fn(*mut RedisModuleCtx) -> c_int;

        string_ptr_len: RedisModule_StringPtrLen =
            fn(*const RedisModuleString, *mut usize) -> *const c_char;
        create_string: RedisModule_CreateString =
            fn(*mut RedisModuleCtx, *const c_char, usize) -> *mut RedisModuleString;
        free_string: RedisModule_FreeString = fn(*mut RedisModuleCtx, *mut RedisModuleString);

        open_key: RedisModule_OpenKey =
            fn(*mut RedisModuleCtx, *mut RedisModuleString, c_int) -> *mut RedisModuleKey;
        close_key: RedisModule_CloseKey = fn(*mut RedisModuleKey);
        delete_key: RedisModule_DeleteKey = fn(*mut RedisModuleKey) -> c_int;
        key_type: RedisModule_KeyType = fn(*mut RedisModuleKey) -> c_int;
        get_type: RedisModule_ModuleTypeGetType = fn(*mut RedisModuleKey) -> *mut RedisModuleType;
        get_value: RedisModule_ModuleTypeGetValue = fn(*mut RedisModuleKey) -> *mut c_void;
        set_value: RedisModule_ModuleTypeSetValue =
            fn(*mut RedisModuleKey, *mut RedisModuleType, *mut c_void) -> c_int;
        set_expire: RedisModule_SetExpire = fn(*mut RedisModuleKey, raw::mstime_t) -> c_int;
        signal_modified: RedisModule_SignalModifiedKey =
            fn(*mut RedisModuleCtx, *mut RedisModuleString) -> c_int;

        key_exists: RedisModule_KeyExists =
            fn(*mut RedisModuleCtx, *mut RedisModuleString) -> c_int;
        server_version: RedisModule_GetServerVersion = fn() -> c_int;
        selected_db: RedisModule_GetSelectedDb = fn(*mut RedisModuleCtx) -> c_int;
        db_of_key: RedisModule_GetDbIdFromModuleKey = fn(*mut RedisModuleKey) -> c_int;
        name_of_unlinked: RedisModule_GetKeyNameFromOptCtx =
            fn(*mut RedisModuleKeyOptCtx) -> *const RedisModuleString;
        db_of_unlinked: RedisModule_GetDbIdFromOptCtx = fn(*mut RedisModuleKeyOptCtx) -> c_int;
        subscribe_keyspace: RedisModule_SubscribeToKeyspaceEvents =
            fn(*mut RedisModuleCtx, c_int, RedisModuleNotificationFunc) -> c_int;
        subscribe_event: RedisModule_SubscribeToServerEvent =
            fn(*mut RedisModuleCtx, RedisModuleEvent, RedisModuleEventCallback) -> c_int;

        user_name: RedisModule_GetCurrentUserName =
            fn(*mut RedisModuleCtx) -> *mut RedisModuleString;
        user: RedisModule_GetModuleUserFromUserName =
            fn(*mut RedisModuleString) -> *mut RedisModuleUser;
        free_user: RedisModule_FreeModuleUser = fn(*mut RedisModuleUser);
        check_key: RedisModule_ACLCheckKeyPermissions =
            fn(*mut RedisModuleUser, *mut RedisModuleString, c_int) -> c_int;
        call: RedisModule_Call =
            fn(*mut RedisModuleCtx, *const c_char, *const c_char, ...)
            -> *mut RedisModuleCallReply;
        check_channel: RedisModule_ACLCheckChannelPermissions =
            fn(*mut RedisModuleUser, *mut RedisModuleString, c_int) -> c_int;
        publish: RedisModule_PublishMessage =
            fn(*mut RedisModuleCtx, *mut RedisModuleString, *mut RedisModuleString) -> c_int;
        call_reply_type: RedisModule_CallReplyType = fn(*mut RedisModuleCallReply) -> c_int;
        free_call_reply: RedisModule_FreeCallReply = fn(*mut RedisModuleCallReply);
        call_reply_element: RedisModule_CallReplyArrayElement =
            fn(*mut RedisModuleCallReply, usize) -> *mut RedisModuleCallReply;
        call_reply_string: RedisModule_CallReplyStringPtr =
            fn(*mut RedisModuleCallReply, *mut usize) -> *const c_char;

        replicate: RedisModule_Replicate =
            fn(*mut RedisModuleCtx, *const c_char, *const c_char, ...) -> c_int;
        replicate_verbatim: RedisModule_ReplicateVerbatim = fn(*mut RedisModuleCtx) -> c_int;
        notify: RedisModule_NotifyKeyspaceEvent =
            fn(*mut RedisModuleCtx, c_int, *const c_char, *mut RedisModuleString) -> c_int;

        reply_error: RedisModule_ReplyWithError =
            fn(*mut RedisModuleCtx, *const c_char) -> c_int;
        reply_simple: RedisModule_ReplyWithSimpleString =
            fn(*mut RedisModuleCtx, *const c_char) -> c_int;
        reply_integer: RedisModule_ReplyWithLongLong =
            fn(*mut RedisModuleCtx, c_longlong) -> c_int;
        reply_double: RedisModule_ReplyWithDouble = fn(*mut RedisModuleCtx, f64) -> c_int;
        reply_bulk: RedisModule_ReplyWithStringBuffer =
            fn(*mut RedisModuleCtx, *const c_char, usize) -> c_int;
        reply_null: RedisModule_ReplyWithNull = fn(*mut RedisModuleCtx) -> c_int;
        reply_array: RedisModule_ReplyWithArray = fn(*mut RedisModuleCtx, c_long) -> c_int;
        reply_map: RedisModule_ReplyWithMap = fn(*mut RedisModuleCtx, c_long) -> c_int;
        reply_set: RedisModule_ReplyWithSet = fn(*mut RedisModuleCtx, c_long) -> c_int;

        block_client: RedisModule_BlockClient = fn(
            *mut RedisModuleCtx, RedisModuleCmdFunc, RedisModuleCmdFunc,
            Option<unsafe extern "C" fn(*mut RedisModuleCtx, *mut c_void)>, c_longlong)
            -> *mut RedisModuleBlockedClient;
        unblock_client: RedisModule_UnblockClient =
            fn(*mut RedisModuleBlockedClient, *mut c_void) -> c_int;
        set_disconnect_callback: RedisModule_SetDisconnectCallback =
            fn(*mut RedisModuleBlockedClient, RedisModuleDisconnectFunc);
        get_private_data: RedisModule_GetBlockedClientPrivateData =
            fn(*mut RedisModuleCtx) -> *mut c_void;
        blocked_client: RedisModule_GetBlockedClientHandle =
            fn(*mut RedisModuleCtx) -> *mut RedisModuleBlockedClient;
        get_thread_safe_context: RedisModule_GetThreadSafeContext =
            fn(*mut RedisModuleBlockedClient) -> *mut RedisModuleCtx;
        free_thread_safe_context: RedisModule_FreeThreadSafeContext = fn(*mut RedisModuleCtx);
        measure_start: RedisModule_BlockedClientMeasureTimeStart =
            fn(*mut RedisModuleBlockedClient) -> c_int;
        measure_end: RedisModule_BlockedClientMeasureTimeEnd =
            fn(*mut RedisModuleBlockedClient) -> c_int;

        create_timer: RedisModule_CreateTimer = fn(
            *mut RedisModuleCtx, raw::mstime_t, RedisModuleTimerProc, *mut c_void)
            -> RedisModuleTimerID;
        stop_timer: RedisModule_StopTimer =
            fn(*mut RedisModuleCtx, RedisModuleTimerID, *mut *mut c_void) -> c_int;
        select_db: RedisModule_SelectDb = fn(*mut RedisModuleCtx, c_int) -> c_int;
        create_scan_cursor: RedisModule_ScanCursorCreate = fn() -> *mut RedisModuleScanCursor;
        restart_scan_cursor: RedisModule_ScanCursorRestart = fn(*mut RedisModuleScanCursor);
        free_scan_cursor: RedisModule_ScanCursorDestroy = fn(*mut RedisModuleScanCursor);
        scan: RedisModule_Scan = fn(
            *mut RedisModuleCtx, *mut RedisModuleScanCursor, RedisModuleScanCB, *mut c_void)
            -> c_int;

        register_info: RedisModule_RegisterInfoFunc =
            fn(*mut RedisModuleCtx, RedisModuleInfoFunc) -> c_int;
        info_section: RedisModule_InfoAddSection =
            fn(*mut RedisModuleInfoCtx, *const c_char) -> c_int;
        info_number: RedisModule_InfoAddFieldULongLong =
            fn(*mut RedisModuleInfoCtx, *const c_char, c_ulonglong) -> c_int;
        info_text: RedisModule_InfoAddFieldCString =
            fn(*mut RedisModuleInfoCtx, *const c_char, *const c_char) -> c_int;

        create_data_type: RedisModule_CreateDataType = fn(
            *mut RedisModuleCtx, *const c_char, c_int, *mut RedisModuleTypeMethods)
            -> *mut RedisModuleType;
        save_buffer: RedisModule_SaveStringBuffer =
            fn(*mut RedisModuleIO, *const c_char, usize);
        load_buffer: RedisModule_LoadStringBuffer =
            fn(*mut RedisModuleIO, *mut usize) -> *mut c_char;
        is_io_error: RedisModule_IsIOError = fn(*mut RedisModuleIO) -> c_int;
        log_io_error: RedisModule_LogIOError =
            fn(*mut RedisModuleIO, *const c_char, *const c_char, ...);
        emit_aof: RedisModule_EmitAOF =
            fn(*mut RedisModuleIO, *const c_char, *const c_char, ...);
        digest_add: RedisModule_DigestAddStringBuffer =
            fn(*mut RedisModuleDigest, *const c_char, usize);
        digest_end: RedisModule_DigestEndSequence = fn(*mut RedisModuleDigest);
    }
    optional {
        // 7.0. Without it the timer goes on while a failover has clients wait.
        avoid_replica_traffic: RedisModule_AvoidReplicaTraffic = fn() -> c_int;
        // 6.0. Without it `LATENCY` knows nothing of our timers and queries.
        latency_add_sample: RedisModule_LatencyAddSample = fn(*const c_char, raw::mstime_t);
        // 7.2. Without it the clock is read anew by each command that asks for the time.
        cached_microseconds: RedisModule_CachedMicroseconds = fn() -> raw::ustime_t;
        // 7.2. Without it the commands are in no category, and users name them one by one.
        set_command_acl_categories: RedisModule_SetCommandACLCategories =
            fn(*mut RedisModuleCommand, *const c_char) -> c_int;
        // 7.4. Without it there is no category `iot`.
        add_acl_category: RedisModule_AddACLCategory =
            fn(*mut RedisModuleCtx, *const c_char) -> c_int;
        // Everywhere in truth; without them the values stay where they are.
        defrag_alloc: RedisModule_DefragAlloc =
            fn(*mut RedisModuleDefragCtx, *mut c_void) -> *mut c_void;
        defrag_should_stop: RedisModule_DefragShouldStop =
            fn(*mut RedisModuleDefragCtx) -> c_int;
        defrag_cursor_get: RedisModule_DefragCursorGet =
            fn(*mut RedisModuleDefragCtx, *mut c_ulong) -> c_int;
        defrag_cursor_set: RedisModule_DefragCursorSet =
            fn(*mut RedisModuleDefragCtx, c_ulong) -> c_int;
    }
}

static TABLE: OnceLock<Table> = OnceLock::new();

/// What functions of the server return for success.
pub(super) const OK: c_int = small(raw::REDISMODULE_OK);
/// What functions of the server return for failure.
pub(super) const ERR: c_int = small(raw::REDISMODULE_ERR);

/// A constant of the server, which the bindings have in a wider type than its functions.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the server's own constants are small"
)]
pub(super) const fn small(constant: isize) -> c_int {
    constant as c_int
}

/// The proof that the server's functions are known.
#[derive(Clone, Copy)]
pub(super) struct Server(());

impl Server {
    /// Fills the table from what the loading glue has found. Allocates nothing, since the
    /// allocator takes its functions from here.
    ///
    /// # Errors
    /// The name of a function that the server lacks.
    pub(super) fn resolve() -> Result<Self, &'static str> {
        let table = Table::read()?;
        // It is filled already where a server tries to load the module a second time.
        let _ = TABLE.set(table);
        Ok(Self(()))
    }

    /// A server for a callback.
    ///
    /// # Safety
    /// [`Server::resolve`] has succeeded in this process. It has where the server calls a
    /// callback, because registering one takes a `Server`.
    #[inline]
    pub(super) const unsafe fn resolved() -> Self {
        Self(())
    }

    /// The server's functions.
    #[inline]
    #[expect(
        clippy::unused_self,
        reason = "holding a `Server` is the proof of the table"
    )]
    pub(super) fn table(self) -> &'static Table {
        // SAFETY: a `Server` exists only after `resolve` has filled the table, and nothing ever
        // empties it.
        unsafe { TABLE.get().unwrap_unchecked() }
    }

    /// Writes a line to the server's log, from any thread.
    pub(super) fn log(self, message: Arguments<'_>) {
        // Without a context the server signs the line with `<module>`.
        log_line(
            self.table().log,
            ptr::null_mut(),
            format_args!("redis-iot: {message}"),
        );
    }

    /// Bytes that the server's allocator has set aside for an allocation.
    ///
    /// # Safety
    /// `start` is the address of a live allocation by the server's allocator, with an alignment
    /// that the allocator forwards (see `alloc`).
    #[inline]
    pub(super) unsafe fn malloc_size(self, start: *const c_void) -> usize {
        // SAFETY: the caller guarantees the allocation; it is not written to.
        unsafe { (self.table().malloc_size)(start.cast_mut()) }
    }
}

/// Writes a line to the log of a server whose table could not be filled.
pub(super) fn log_refusal(context: *mut RedisModuleCtx, message: Arguments<'_>) {
    // SAFETY: the glue writes this variable while `OnLoad` calls it and never again.
    if let Some(log) = unsafe { raw::RedisModule_Log } {
        log_line(log, context, message);
    }
}

type Log = unsafe extern "C" fn(*mut RedisModuleCtx, *const c_char, *const c_char, ...);

/// Writes a line to the log: cut at 1 KiB like the server's own, with no heap.
pub(super) fn log_line(log: Log, context: *mut RedisModuleCtx, message: Arguments<'_>) {
    const LEVEL: &CStr = c"warning";
    let mut line = Line::<1024>::new();
    // Writing to a line cannot fail: what is too long is cut.
    let _ = line.write_fmt(message);
    // SAFETY: the context is null or alive, as its callers have it from the server; level, format
    // and text are NUL-terminated, and the format takes one text.
    unsafe {
        log(
            context,
            LEVEL.as_ptr(),
            c"%s".as_ptr(),
            line.as_c_str().as_ptr(),
        );
    };
}
