//! A fleet with what ties it to fences: bindings in the section of the fleet, visits in those of the
//! devices, each as [`watch`](crate::engine::watch) writes them.

use super::fleet::{Owner, read_fleet, write_fleet};
use super::{Sink, Source};
use crate::engine::fleet::{Device, Fleet};
use crate::engine::watch::{read_bindings, read_visits, write_bindings, write_visits};
use crate::engine::{Error, Result};

/// Writes the records of a fleet and all that belongs to it.
pub fn write_bound_fleet(fleet: &Fleet, sink: &mut impl Sink) {
    write_fleet(fleet, sink, &mut |owner, section| match owner {
        Owner::Fleet => {
            if !fleet.bindings().is_empty() || !fleet.roams().is_empty() {
                write_bindings(fleet.bindings(), fleet.roams(), section);
            }
        }
        Owner::Device(number) => {
            let visits = fleet.device(number).map(Device::visits);
            if let Some(visits) = visits.filter(|visits| !visits.all().is_empty()) {
                write_visits(visits, section);
            }
        }
    });
}

/// Reads a fleet and all that belongs to it back.
///
/// # Errors
/// `Corrupt`, `Limit`.
pub fn read_bound_fleet(source: &mut impl Source, version: u32) -> Result<Fleet> {
    let (mut bound, mut visits) = (None, Vec::new());
    let mut fleet = read_fleet(source, version, &mut |owner, mut section| {
        if section.is_empty() {
            return Ok(());
        }
        match owner {
            Owner::Fleet => bound = Some(read_bindings(&mut section)?),
            Owner::Device(number) => visits.push((number, read_visits(&mut section)?)),
        }
        if section.is_empty() {
            Ok(())
        } else {
            Err(Error::Corrupt { what: "binding" })
        }
    })?;
    if let Some((bindings, roams)) = bound {
        fleet.restore_bindings(bindings, roams);
    }
    for (number, visits) in visits {
        fleet.set_visits(number, visits);
    }
    Ok(fleet)
}
