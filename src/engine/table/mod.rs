//! Things by number and by name: what the index of labels and the fleets keep theirs in.
//!
//! ```text
//! text        a name in 24 bytes, mostly without an allocation
//! slab        things by number, in pages
//! dictionary  things by number and by the name they hold
//! ```

mod dictionary;
mod slab;
mod text;

pub(in crate::engine) use dictionary::{Dictionary, Named};
pub(in crate::engine) use slab::Slab;
pub(in crate::engine) use text::Text;

/// What an allocation of so many bytes takes, by jemalloc: behind 8 bytes its classes are 16 bytes apart,
/// above 128 bytes there are four for each power of two.
pub(in crate::engine) const fn rounded(bytes: usize) -> usize {
    if bytes <= 8 {
        bytes.next_multiple_of(8)
    } else if bytes <= 128 {
        bytes.next_multiple_of(16)
    } else {
        bytes.next_multiple_of(1 << ((bytes - 1).ilog2() - 2))
    }
}
