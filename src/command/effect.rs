//! What a write sends to replicas and to the append-only file.
//!
//! Effects, not requests: the master alone decides what becomes of a sample, and what it decided is
//! stored as it is by whoever replays it ([`Upsert::Replay`]). So a replica or a restart with
//! other settings comes to the same series, bit by bit. A request whose every sample was simply
//! stored, at times that it names, is its own effect and travels as it came.

use super::bulk::MAX_BULK_SAMPLES;
use super::host::Host;
use crate::engine::options::Options;
use crate::engine::series::{Added, Upsert};
use crate::engine::{Sample, Series, Timestamp};

/// The rules for a sample of a client at `time_ms`, or of a master.
#[inline]
pub(super) fn upsert<H: Host>(
    host: &H,
    series: &Series,
    time_ms: Timestamp,
    policy: Policy,
) -> Upsert {
    // A plain append is the same for both, and asking the server is not free.
    let plain = series.options().ignore.max_time_diff_ms == 0
        && series
            .newest()
            .is_none_or(|newest| newest.time_ms < time_ms);
    if plain {
        of_client(host, series, policy)
    } else {
        upsert_many(host, series, policy)
    }
}

/// The rules for samples of which one may have the time of another, so that even the first sample of a
/// series begins no plain appends.
pub(super) fn upsert_many<H: Host>(host: &H, series: &Series, policy: Policy) -> Upsert {
    if host.is_replay() {
        return Upsert::Replay;
    }
    of_client(host, series, policy)
}

fn of_client<H: Host>(host: &H, series: &Series, policy: Policy) -> Upsert {
    let options = series.options();
    let own = || {
        options
            .duplicate_policy
            .unwrap_or_else(|| host.settings().duplicate_policy)
    };
    Upsert::Client {
        policy: policy.unwrap_or_else(own),
        ignore: options.ignore,
    }
}

/// The policy of one write, where it has its own.
pub(super) type Policy = Option<crate::engine::options::DuplicatePolicy>;

/// The sample that stands after `sample` was added, if anything changed.
pub(super) fn stored(sample: Sample, added: Added) -> Option<Sample> {
    match added {
        Added::Stored => Some(sample),
        Added::Updated(value) => Some(Sample::new(sample.time_ms, value)),
        Added::Unchanged | Added::Ignored => None,
    }
}

/// Sends samples as they are stored, in as many commands as one may take.
pub(super) fn send_samples<H: Host>(host: &H, key: &[u8], samples: &[Sample]) {
    for samples in samples.chunks(MAX_BULK_SAMPLES) {
        let mut blob = Vec::with_capacity(16 * samples.len());
        for sample in samples {
            blob.extend(sample.time_ms.to_le_bytes());
            blob.extend(sample.value.to_le_bytes());
        }
        host.replicate(c"IOT.ADDBULK", &[key, b"PACKED", &blob]);
    }
}

/// Sends a new series with all its options, so that the settings over there do not count.
pub(super) fn send_creation<H: Host>(host: &H, key: &[u8], options: &Options) {
    let retention = options.retention_ms.to_string();
    let idle_ttl = options.idle_ttl_ms.to_string();
    let chunk_size = options.chunk_bytes.to_string();
    let ignore_time = options.ignore.max_time_diff_ms.to_string();
    let mut buffer = ryu::Buffer::new();
    let ignore_value = buffer.format_finite(options.ignore.max_value_diff);
    let mut args: Vec<&[u8]> = vec![
        key,
        b"RETENTION",
        retention.as_bytes(),
        b"ENCODING",
        options.encoding.name().as_bytes(),
        b"CHUNK_SIZE",
        chunk_size.as_bytes(),
        b"IGNORE",
        ignore_time.as_bytes(),
        ignore_value.as_bytes(),
    ];
    if let Some(policy) = options.duplicate_policy {
        args.extend([b"DUPLICATE_POLICY", policy.name().as_bytes()]);
    }
    if options.idle_ttl_ms != 0 {
        args.extend([&b"IDLE_TTL"[..], idle_ttl.as_bytes()]);
    }
    if !options.labels.is_empty() {
        args.push(b"LABELS");
        args.extend(
            options
                .labels
                .iter()
                .flat_map(|(name, value)| [name, value]),
        );
    }
    host.replicate(c"IOT.CREATE", &args);
}
