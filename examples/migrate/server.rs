//! A server, as far as both sides are alike: what it knows of a series, and its samples.

use redis::{Cmd, Connection, RedisError, Value, cmd};

use crate::Failure;
use crate::series::{Info, bytes, items, number, pairs};

/// Keys that a step of `SCAN` looks at.
const SCAN_COUNT: usize = 1_000;
/// The types of series: those of RedisTimeSeries, and ours.
const TYPES: [&str; 2] = ["TSDB-TYPE", "iotseries"];

/// A server whose commands of series begin with a prefix.
pub(crate) struct Server {
    pub(crate) connection: Connection,
    /// `TS` or `IOT`.
    prefix: &'static str,
}

/// A time and a value.
pub(crate) type Sample = (i64, f64);

/// What two copies of a series have in common.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) first: Option<Sample>,
    pub(crate) last: Option<Sample>,
    pub(crate) count: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) sum: f64,
}

impl Server {
    /// Connects, and finds out whether the server knows the commands that begin with `prefix`.
    pub(crate) fn connect(role: &str, url: &str, prefix: &'static str) -> Result<Self, Failure> {
        let refuse = |error: RedisError| format!("the {role} does not answer: {error}");
        let connection = redis::Client::open(url)
            .and_then(|client| client.get_connection())
            .map_err(refuse)?;
        let mut server = Self { connection, prefix };
        let name = format!("{prefix}.RANGE");
        let known: Value = cmd("COMMAND")
            .arg("INFO")
            .arg(&name)
            .query(&mut server.connection)
            .map_err(refuse)?;
        if items(&known).is_none_or(|known| known.iter().all(|one| *one == Value::Nil)) {
            let loaded = match prefix {
                "IOT" => "redis-iot",
                _ => "RedisTimeSeries, or redis-iot with TS-ALIASES yes,",
            };
            return Err(
                format!("the {role} does not know {name}: is {loaded} loaded there?").into(),
            );
        }
        Ok(server)
    }

    /// A command of series.
    pub(crate) fn command(&self, name: &str) -> Cmd {
        cmd(&format!("{}.{name}", self.prefix))
    }

    /// The keys of the series that match, or of all, in order.
    pub(crate) fn keys(&mut self, filters: &[String]) -> Result<Vec<Vec<u8>>, Failure> {
        let mut keys = if filters.is_empty() {
            self.scanned()?
        } else {
            let mut query = self.command("QUERYINDEX");
            query.arg(filters);
            query.query(&mut self.connection)?
        };
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    fn scanned(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        let mut keys = Vec::new();
        for name in TYPES {
            let mut cursor = 0_u64;
            loop {
                let mut scan = cmd("SCAN");
                scan.arg(cursor).arg("COUNT").arg(SCAN_COUNT);
                let page = scan.arg("TYPE").arg(name).query(&mut self.connection);
                let found: Vec<Vec<u8>>;
                (cursor, found) = match page {
                    // A server may refuse the name of a type that it does not have.
                    Err(error) if error.to_string().contains("unknown type") => break,
                    page => page?,
                };
                keys.extend(found);
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(keys)
    }

    /// What is known of a series; `None` where there is no such key.
    pub(crate) fn info(&mut self, key: &[u8]) -> Result<Option<Info>, Failure> {
        let kind: String = cmd("TYPE").arg(key).query(&mut self.connection)?;
        if kind == "none" {
            return Ok(None);
        }
        if !TYPES.contains(&kind.as_str()) {
            return Err(format!("the key holds a {kind} there").into());
        }
        let info: Value = self.command("INFO").arg(key).query(&mut self.connection)?;
        Ok(Some(Info::read(&pairs(&info)?)?))
    }

    /// The milliseconds that a key has to live, if that is limited.
    pub(crate) fn time_to_live(&mut self, key: &[u8]) -> Result<Option<i64>, Failure> {
        let left: i64 = cmd("PTTL").arg(key).query(&mut self.connection)?;
        Ok(Some(left).filter(|left| *left > 0))
    }

    /// The first samples from a time on.
    pub(crate) fn page(
        &mut self,
        key: &[u8],
        from_ms: i64,
        count: usize,
    ) -> Result<Vec<Sample>, Failure> {
        let mut range = self.command("RANGE");
        range.arg(key).arg(from_ms).arg("+").arg("COUNT").arg(count);
        let reply: Value = range.query(&mut self.connection)?;
        let samples = items(&reply).ok_or("a range is no array")?;
        samples.iter().map(sample).collect()
    }

    /// What a series has in all.
    pub(crate) fn totals(&mut self, key: &[u8]) -> Result<Totals, Failure> {
        let first = self.page(key, 0, 1)?.first().copied();
        let newest: Value = self.command("GET").arg(key).query(&mut self.connection)?;
        let last = items(&newest)
            .is_some_and(|parts| !parts.is_empty())
            .then(|| sample(&newest))
            .transpose()?;
        let (Some((first_ms, _)), Some((last_ms, _))) = (first, last) else {
            return Ok(Totals::default());
        };
        let width_ms = last_ms.saturating_sub(first_ms).saturating_add(1);
        let mut of = |aggregator| self.buckets(key, (first_ms, last_ms), aggregator, width_ms);
        Ok(Totals {
            first,
            last,
            count: of("count")?.into_iter().sum(),
            min: of("min")?.into_iter().fold(f64::INFINITY, f64::min),
            max: of("max")?.into_iter().fold(f64::NEG_INFINITY, f64::max),
            sum: of("sum")?.into_iter().sum(),
        })
    }

    /// The results of one aggregator; one or two buckets hold all samples.
    fn buckets(
        &mut self,
        key: &[u8],
        (from_ms, to_ms): (i64, i64),
        aggregator: &str,
        width_ms: i64,
    ) -> Result<Vec<f64>, Failure> {
        let mut range = self.command("RANGE");
        range.arg(key).arg(from_ms).arg(to_ms);
        range.arg("AGGREGATION").arg(aggregator).arg(width_ms);
        let reply: Value = range.query(&mut self.connection)?;
        let rows = items(&reply).ok_or("a range is no array")?;
        rows.iter().map(|row| Ok(sample(row)?.1)).collect()
    }
}

/// A time and a value, however the server writes them.
fn sample(reply: &Value) -> Result<Sample, Failure> {
    match items(reply) {
        Some([Value::Int(time_ms), value]) => {
            let value = number(value).ok_or("a value is no number")?;
            Ok((*time_ms, value))
        }
        _ => Err(format!("no sample: {:?}", bytes(reply)).into()),
    }
}
