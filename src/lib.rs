//! redis-iot: an IoT data engine inside a Redis or Valkey server.
//!
//! # Architecture
//!
//! ```text
//!   server  --callbacks-->  host  --Args, Host, Reply-->  command  --calls-->  engine
//!           <--raw API----        <-------errors---------          <--errors--
//! ```
//!
//! - [`engine`] is pure: [`engine::Series`] and what packs, aggregates and stores it;
//!   [`engine::fleet::Fleet`] and [`engine::fence::FenceSet`], and [`engine::watch`], which compares the
//!   two. Time comes in as an argument, bytes go out through [`engine::persist`].
//! - [`command`] has one file a command: parse, execute, replicate what changed, reply. It sees the
//!   server as [`command::host::Host`], and says of itself what `COMMAND DOCS` shows.
//! - `host` is the server's side, and the only place with `unsafe`: registration, the guard that ends
//!   panics, borrowed arguments, open keys, direct replies, the data type's callbacks, settings.
//!
//! Four things cross keys: the index of labels (`host::index`, one a database, told of everything
//! that happens to a key), rules (`command::derived`: destinations follow their source in the same
//! command), clients that wait for samples (`host::waiting`), and bindings of fleets to fences
//! (`command::geo`: compared in the same command, or by a timer, `host::agenda`).
//!
//! Dependencies point to the right only. A write decides in `command` what it does, changes the
//! series in `engine`, and sends its effect, not the request, to replicas (`command::effect`).

pub mod command;
pub mod engine;
mod host;
