//! Fleets against fences: who enters, who leaves.
//!
//! ```text
//!  fix --> Fleet::track --> new position --> for each Binding of the fleet:
//!                                              FenceSet::at(position)     fences it lies in
//!                                              Visits of the device       fences it was in
//!                                              the difference  --> Event, ..
//!                                                              --> the Visits of from now on
//! ```
//!
//! What a device is in is state, not geometry: it is kept with the device, stored, and sent to
//! replicas. So enter and exit take turns for each device and fence, whatever becomes of either.
//!
//! Time is that of the fixes where a fix brings a change, and the server's where none does: a fence
//! that is removed, a device that expires, a dwell that ends in silence.

mod binding;
mod event;
mod record;
mod roam;
mod transition;
mod visit;

pub(in crate::engine) use binding::relocate_bindings;
pub use binding::{Binding, MAX_BINDINGS, MAX_SINKS, Sink};
pub use event::{Event, Reason};
pub use record::{read_bindings, read_visits, write_bindings, write_visits};
pub use roam::{MAX_PARTNERS, MAX_ROAMS, Meeting, Roam, meet};
pub use transition::{Cause, Changed, Seen, Watch};
pub use visit::{MAX_VISITS, Phase, Visit, Visits};

/// Most metres by which a fix that is not accurate keeps a device in a fence that has a buffer: with
/// more it could leave none.
pub const MAX_ACCURACY_M: f64 = 1000.0;
