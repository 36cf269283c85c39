//! What the tool is told on its command line.

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Copies series from a server that knows TS.* (RedisTimeSeries, or redis-iot with TS-ALIASES) to one with
redis-iot. Run again, it goes on where the target ends.

  --from URL       the source, redis://[user:password@]host[:port][/database]
  --to URL         the target; both are single servers
  --filter EXPR    only series that match, as TS.QUERYINDEX takes it; may be given several times (all series)
  --page N         samples in a request, 1 to 1000000 (20000)
  --all            reads series from their first sample on, also where the target has some; what the target
                   has at a time stays
  --no-rules       leaves out the rules
  --no-verify      does not compare numbers of samples, ends, extremes and sums afterwards
  --dry-run        says what would be done, and writes nothing
  --quiet          shows no progress";

/// Samples in a request, where nothing is said.
const PAGE: usize = 20_000;

/// The options, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(crate) struct Options {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) filters: Vec<String>,
    pub(crate) page: usize,
    pub(crate) reads_all: bool,
    pub(crate) leaves_rules: bool,
    pub(crate) trusts: bool,
    pub(crate) is_dry: bool,
    pub(crate) is_quiet: bool,
}

impl Options {
    /// Reads the words behind the name of the program; `None` if one asks for help.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self {
            page: PAGE,
            ..Self::default()
        };
        let mut words = words.into_iter();
        while let Some(name) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| format!("{name} needs something behind it"))
            };
            match name.as_str() {
                "--from" => options.from = value()?,
                "--to" => options.to = value()?,
                "--filter" => options.filters.push(value()?),
                "--page" => options.page = page(&value()?)?,
                "--all" => options.reads_all = true,
                "--no-rules" => options.leaves_rules = true,
                "--no-verify" => options.trusts = true,
                "--dry-run" => options.is_dry = true,
                "--quiet" => options.is_quiet = true,
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("unknown option {name}; --help lists them")),
            }
        }
        for (name, url) in [("--from", &options.from), ("--to", &options.to)] {
            if url.is_empty() {
                return Err(format!("{name} is missing; --help lists the options"));
            }
        }
        Ok(Some(options))
    }
}

fn page(text: &str) -> Result<usize, String> {
    let page = text.parse().ok();
    page.filter(|page| (1..=1_000_000).contains(page))
        .ok_or_else(|| format!("--page takes 1 to 1000000, not '{text}'"))
}
