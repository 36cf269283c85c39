//! What the demo is told on its command line.

/// What `--help` prints.
pub(crate) const HELP: &str = "\
A city with vans, watched by redis-iot: prints events as they come, and serves a page that draws them.

  --vehicles N     how many vans, 1 to 500 (60)
  --seed N         another seed is other traffic (7)
  --history HOURS  how much is loaded before, 1 to 48 (24)
  --speed N        simulated seconds in a second, 1 to 100 (8)
  --seconds N      ends after so many seconds of live traffic (at Ctrl-C)
  --http-port N    where the page is, 0 for any free port (8080)
  --redis-port N   a server with the module that runs already; replaces its keys demo:* (starts its own)
  --wait           loads nothing before a page is open
  --quiet          prints no events";

/// The options, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) vehicles: usize,
    pub(crate) seed: u64,
    pub(crate) history_hours: i64,
    pub(crate) speed: u32,
    pub(crate) seconds: Option<u64>,
    pub(crate) http_port: u16,
    pub(crate) redis_port: Option<u16>,
    pub(crate) waits_for_page: bool,
    pub(crate) is_quiet: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            vehicles: 60,
            seed: 7,
            history_hours: 24,
            speed: 8,
            seconds: None,
            http_port: 8080,
            redis_port: None,
            waits_for_page: false,
            is_quiet: false,
        }
    }
}

impl Options {
    /// Reads the words behind the name of the program; `None` if one asks for help.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self::default();
        let mut words = words.into_iter();
        while let Some(name) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| format!("{name} needs a number behind it"))
            };
            match name.as_str() {
                "--vehicles" => options.vehicles = number(&name, &value()?, 1, 500)?,
                "--seed" => options.seed = number(&name, &value()?, 0, u64::MAX)?,
                "--history" => options.history_hours = number(&name, &value()?, 1, 48)?,
                "--speed" => options.speed = number(&name, &value()?, 1, 100)?,
                "--seconds" => options.seconds = Some(number(&name, &value()?, 1, 1_000_000)?),
                "--http-port" => options.http_port = number(&name, &value()?, 0, u16::MAX)?,
                "--redis-port" => {
                    options.redis_port = Some(number(&name, &value()?, 1, u16::MAX)?);
                }
                "--wait" => options.waits_for_page = true,
                "--quiet" => options.is_quiet = true,
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("unknown option {name}; --help lists them")),
            }
        }
        Ok(Some(options))
    }
}

fn number<N>(name: &str, text: &str, min: N, max: N) -> Result<N, String>
where
    N: Copy + std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let number = text.parse().ok();
    number
        .filter(|number| (&min..=&max).contains(&number))
        .ok_or_else(|| format!("{name} takes {min} to {max}, not '{text}'"))
}
