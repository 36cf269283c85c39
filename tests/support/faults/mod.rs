//! Faults: servers that are killed, have no room, lose each other or end, under a mix of all writes.
//!
//! ```text
//! load        what a client sends: every command that writes, ordinary ones around them, reads
//! account     what a client knows: what it has sent, and what of it was acknowledged
//! oracle      a second server, never disturbed, which gets the same: it says what must be there
//! invariants  what holds whatever was lost: rules, index, fences, events, stored form
//! clients     many such clients at once
//! disk        a disk that is full
//! tally       a line of the table of faults
//! ```

pub(crate) mod account;
pub(crate) mod clients;
pub(crate) mod disk;
pub(crate) mod invariants;
pub(crate) mod load;
pub(crate) mod oracle;
pub(crate) mod tally;
