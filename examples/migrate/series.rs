//! What `TS.INFO` and `IOT.INFO` say of a series, as far as a copy needs it.

use redis::{Cmd, Value};

use crate::Failure;

/// The name and the value of a label.
pub(crate) type Label = (Vec<u8>, Vec<u8>);

/// A rule at its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) destination: Vec<u8>,
    pub(crate) bucket: String,
    pub(crate) aggregator: String,
    pub(crate) align_ms: i64,
}

/// A series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Info {
    pub(crate) samples: i64,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) retention_ms: i64,
    pub(crate) chunk_bytes: i64,
    pub(crate) encoding: String,
    pub(crate) duplicate_policy: Option<String>,
    pub(crate) labels: Vec<Label>,
    /// The series of which this one is a destination.
    pub(crate) source: Option<Vec<u8>>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) ignore_ms: i64,
    pub(crate) ignore_value: f64,
    pub(crate) idle_ttl_ms: i64,
}

impl Info {
    /// Reads the fields of the reply. What an old server does not say stays at its default.
    pub(crate) fn read(fields: &[(Vec<u8>, &Value)]) -> Result<Self, Failure> {
        let mut info = Self::default();
        for (name, value) in fields {
            let whole = || integer(value).ok_or_else(|| unreadable(name));
            match name.as_slice() {
                b"totalSamples" => info.samples = whole()?,
                b"firstTimestamp" => info.first_ms = whole()?,
                b"lastTimestamp" => info.last_ms = whole()?,
                b"retentionTime" => info.retention_ms = whole()?,
                b"chunkSize" => info.chunk_bytes = whole()?,
                b"chunkType" => info.encoding = text(value).ok_or_else(|| unreadable(name))?,
                b"duplicatePolicy" => info.duplicate_policy = text(value),
                b"labels" => info.labels = labels(value)?,
                b"sourceKey" => info.source = bytes(value),
                b"rules" => info.rules = rules(value)?,
                b"ignoreMaxTimeDiff" => info.ignore_ms = whole()?,
                b"ignoreMaxValDiff" => {
                    info.ignore_value = number(value).ok_or_else(|| unreadable(name))?;
                }
                b"idleTtl" => info.idle_ttl_ms = whole()?,
                _ => {}
            }
        }
        Ok(info)
    }

    /// Adds the options of `IOT.CREATE` that make a series like this one.
    pub(crate) fn add_options(&self, create: &mut Cmd) {
        create.arg("RETENTION").arg(self.retention_ms);
        create.arg("ENCODING").arg(match self.encoding.as_str() {
            encoding @ ("gorilla" | "uncompressed") => encoding,
            _ => "compressed",
        });
        if self.chunk_bytes > 0 {
            create.arg("CHUNK_SIZE").arg(self.chunk_bytes);
        }
        if let Some(policy) = &self.duplicate_policy {
            create.arg("DUPLICATE_POLICY").arg(policy);
        }
        if self.ignore_ms > 0 || self.ignore_value > 0.0 {
            create.arg("IGNORE").arg(self.ignore_ms);
            create.arg(self.ignore_value);
        }
        if self.idle_ttl_ms > 0 {
            create.arg("IDLE_TTL").arg(self.idle_ttl_ms);
        }
        // The last, since they reach to the end.
        create.arg("LABELS");
        for (name, value) in &self.labels {
            create.arg(name).arg(value);
        }
    }
}

fn unreadable(name: &[u8]) -> Failure {
    let name = String::from_utf8_lossy(name);
    format!("the server says something unknown of {name}").into()
}

fn labels(value: &Value) -> Result<Vec<Label>, Failure> {
    let labels = items(value).ok_or_else(|| unreadable(b"labels"))?;
    let read = |label: &Value| match items(label) {
        Some([name, value]) => Some((bytes(name)?, bytes(value)?)),
        _ => None,
    };
    let labels = labels.iter().map(read).collect::<Option<_>>();
    labels.ok_or_else(|| unreadable(b"labels"))
}

/// `[destination, bucket, AGGREGATOR, align]`, without the last from old servers.
fn rules(value: &Value) -> Result<Vec<Rule>, Failure> {
    let rules = items(value).ok_or_else(|| unreadable(b"rules"))?;
    let read = |rule: &Value| match items(rule)? {
        [destination, bucket, aggregator, rest @ ..] => Some(Rule {
            destination: bytes(destination)?,
            bucket: text(bucket)?,
            aggregator: text(aggregator)?.to_lowercase(),
            align_ms: rest.first().map_or(Some(0), integer)?,
        }),
        _ => None,
    };
    let rules = rules.iter().map(read).collect::<Option<_>>();
    rules.ok_or_else(|| unreadable(b"rules"))
}

/// The items of an array.
pub(crate) fn items(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) | Value::Set(items) => Some(items),
        _ => None,
    }
}

/// Names and values, which lie one behind the other in RESP2.
pub(crate) fn pairs(value: &Value) -> Result<Vec<(Vec<u8>, &Value)>, Failure> {
    let items = items(value).ok_or("a map is no array")?;
    let pairs = items
        .chunks_exact(2)
        .map(|pair| (bytes(&pair[0]), &pair[1]));
    pairs
        .map(|(name, value)| Ok((name.ok_or("a name is no text")?, value)))
        .collect()
}

/// The bytes of a text.
pub(crate) fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes.clone()),
        Value::SimpleString(text) => Some(text.clone().into_bytes()),
        Value::Int(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    String::from_utf8(bytes(value)?).ok()
}

fn integer(value: &Value) -> Option<i64> {
    text(value)?.parse().ok()
}

/// A number, as a text or as such.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Double(number) => Some(*number),
        _ => text(value)?.parse().ok(),
    }
}
