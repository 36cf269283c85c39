//! How large clients may make fleets and fences.

use crate::command::error::{Error, Result};
use crate::engine;

/// The settings that limit fleets and fences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most vertices of a shape.
    pub vertices: u64,
    /// Most fences of a set.
    pub fences: u64,
    /// Most devices of a fleet.
    pub devices: u64,
    /// Most results of a search.
    pub results: u64,
}

impl Limits {
    /// None: what a master has taken, or the append-only file, is taken whatever the settings are.
    pub(super) const NONE: Self = Self {
        vertices: u64::MAX,
        fences: u64::MAX,
        devices: u64::MAX,
        results: u64::MAX,
    };

    pub(super) fn check_vertices(&self, vertices: u64) -> Result<()> {
        check("vertices (redis-iot.max-vertices)", vertices, self.vertices)
    }

    /// Most bytes of a text with so many vertices, and of what may be around them.
    pub(super) fn check_geojson(&self, bytes: usize) -> Result<()> {
        const VERTEX_BYTES: u64 = 128;
        const MORE_BYTES: u64 = 64 << 10;
        let max = self
            .vertices
            .saturating_mul(VERTEX_BYTES)
            .saturating_add(MORE_BYTES);
        check(
            "bytes of GEOJSON (redis-iot.max-vertices)",
            bytes as u64,
            max,
        )
    }

    pub(super) fn check_fences(&self, fences: usize) -> Result<()> {
        let fences = fences as u64;
        check(
            "fences in a set (redis-iot.max-fences)",
            fences,
            self.fences,
        )
    }

    pub(super) fn check_devices(&self, devices: usize) -> Result<()> {
        let devices = devices as u64;
        check(
            "devices in a fleet (redis-iot.max-devices)",
            devices,
            self.devices,
        )
    }

    /// Most results of a search, as a length.
    pub(super) fn results(&self) -> usize {
        usize::try_from(self.results).unwrap_or(usize::MAX)
    }
}

fn check(what: &'static str, count: u64, max: u64) -> Result<()> {
    if count > max {
        return Err(Error::Engine(engine::Error::Limit { what, max }));
    }
    Ok(())
}
