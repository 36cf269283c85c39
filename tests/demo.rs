//! The demo of `make demo`: what it prints, and its page in headless Chromium.
//!
//! `make setup` installs the browser. Where that was not possible a test says so past the capture of
//! its output, and `.ci/test` repeats it.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::{Value, json};
use support::browser::{self, Browser};
use support::example;
use support::server::{PATIENCE, await_that, module_file};

const VANS: usize = 12;
/// Notes every state that the page goes through, and how far loading was then.
const NOTES_STATES: &str = "
    globalThis.states = [];
    new MutationObserver(() => {
      const { state, progress } = document.body?.dataset ?? {};
      if (state) states.push([state, Number(progress)]);
    }).observe(document, { attributes: true, childList: true, subtree: true });
";
/// How many different colours a canvas shows.
const COLOURS: &str = "(id) => {
    const canvas = document.getElementById(id);
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    return new Set(new Uint32Array(pixels.buffer)).size;
}";

/// A demo that runs, stopped when the test ends.
struct Demo {
    process: Child,
    lines: Receiver<String>,
}

impl Demo {
    fn start(more: &[&str]) -> Self {
        let vans = VANS.to_string();
        let mut process = Command::new(program())
            .args(["--vehicles", &vans, "--history", "1", "--speed", "20"])
            // Should the test be killed, the demo and its server still end.
            .args(["--http-port", "0", "--seconds", "120"])
            .args(more)
            .env("IOT_MODULE", module_file())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self { process, lines }
    }

    /// The next line for which `look` finds something.
    #[track_caller]
    fn await_line<T>(&self, look: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
                .expect("a line that was waited for");
            if let Some(found) = look(&line) {
                return found;
            }
        }
    }

    fn url(&self) -> String {
        self.await_line(|line| Some(line.strip_prefix("page:")?.trim().to_owned()))
    }

    /// The port of the server that it has started.
    fn server_port(&self) -> u16 {
        self.await_line(|line| {
            let words = line.strip_prefix("server: redis-cli -p ")?;
            words.split(' ').next()?.parse().ok()
        })
    }

    /// Ends as Ctrl-C would end it.
    fn interrupt(&self) {
        let pid = self.process.id().to_string();
        let mut kill = Command::new("kill");
        assert!(kill.args(["-INT", &pid]).status().unwrap().success());
    }

    fn await_end(&mut self) -> ExitStatus {
        await_that("the demo ends", || {
            self.process.try_wait().unwrap().is_some()
        });
        self.process.wait().unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if self.process.try_wait().unwrap().is_none() {
            // Killed, it could not end its server.
            self.interrupt();
            let _ = self.process.wait();
        }
    }
}

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| example::program("demo"))
}

/// Fails unless a line is `08:00:04 van-07  enter      Depot North`.
#[track_caller]
fn check_event(line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [time, van, kind, _place, ..] = words[..] else {
        panic!("{line}");
    };
    assert!(time.len() == 8 && time.starts_with("08:"), "{line}");
    assert!(van.starts_with("van-"), "{line}");
    let kinds = ["enter", "exit", "dwell", "overspeed"];
    assert!(kinds.contains(&kind), "{line}");
}

#[test]
fn it_prints_events_and_ends_with_its_server() {
    let mut demo = Demo::start(&[]);
    let port = demo.server_port();
    demo.await_line(|line| line.starts_with("loaded 8,640 temperatures").then_some(()));
    for _ in 0..20 {
        check_event(&demo.await_line(|line| Some(line.to_owned())));
    }
    demo.interrupt();
    assert!(demo.await_end().success());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn it_ends_by_itself_after_the_seconds_it_is_given() {
    let mut demo = Demo::start(&["--seconds", "1", "--quiet"]);
    demo.await_line(|line| line.ends_with(" events").then_some(()));
    assert!(demo.await_end().success());
}

#[test]
fn what_it_does_not_understand_it_names() {
    let answer = Command::new(program())
        .args(["--vans", "3"])
        .output()
        .unwrap();
    assert!(!answer.status.success());
    let said = String::from_utf8(answer.stderr).unwrap();
    assert_eq!(said, "demo: unknown option --vans; --help lists them\n");
}

#[test]
fn its_page_shows_what_happens() {
    let Some(chromium) = browser::installed() else {
        // The macros' output is captured while a test passes; this is not.
        let line = "\nLEFT OUT: no test opens the page of the demo, there is no Chromium; \
                    `make setup` installs it\n";
        io::stderr().write_all(line.as_bytes()).unwrap();
        return;
    };
    let mut demo = Demo::start(&["--wait"]);
    let url = demo.url();
    let mut page = Browser::start(&chromium);
    let screen = json!({"width": 1200, "height": 800, "deviceScaleFactor": 2, "mobile": false});
    page.call("Emulation.setDeviceMetricsOverride", screen);
    page.open(&url, NOTES_STATES);
    check_loading(&mut page);
    check_drawing(&mut page);
    check_keyboard(&mut page);
    demo.interrupt();
    page.await_that("document.body.dataset.state === 'ended'");
    assert!(demo.await_end().success());
    check_manners(&page, &url);
}

/// The line of progress fills up, and then the page is live.
fn check_loading(page: &mut Browser) {
    page.await_that("document.body.dataset.state === 'live'");
    let states: Vec<(String, f64)> = serde_json::from_value(page.value("states")).unwrap();
    let loading: Vec<f64> = states
        .iter()
        .filter(|(state, _)| state == "loading")
        .map(|(_, progress)| *progress)
        .collect();
    assert!(loading.is_sorted(), "{states:?}");
    assert!(
        loading.iter().any(|part| (1.0..100.0).contains(part)),
        "{states:?}"
    );
}

/// Vans, fences, events and the chart are there, and on the canvases, as sharp as the screen.
fn check_drawing(page: &mut Browser) {
    page.await_that(&format!("document.body.dataset.vehicles === '{VANS}'"));
    page.await_that("Number(document.body.dataset.events) > 0");
    page.await_that("Number(document.body.dataset.chart) > 30");
    assert_eq!(page.value("document.body.dataset.fences"), "10");
    let listed = page.value("document.querySelectorAll('#events li').length");
    assert!(listed.as_u64() > Some(0), "{listed}");
    for (canvas, least) in [("map", 40), ("chart", 10)] {
        let colours = page.value(&format!("({COLOURS})('{canvas}')"));
        assert!(
            colours.as_u64() > Some(least),
            "{canvas}: {colours} colours"
        );
        let sharpness = format!("((it) => it.width / it.clientWidth)({canvas})");
        let sharpness = page.value(&sharpness).as_f64().unwrap();
        assert!((sharpness - 2.0).abs() < 0.01, "{canvas}: {sharpness}");
    }
}

/// A van can be chosen without a mouse; the chart is its own then, and so is the trail.
fn check_keyboard(page: &mut Browser) {
    page.value("document.getElementById('van').focus()");
    page.press("ArrowDown", 40);
    assert_eq!(page.value("document.getElementById('van').value"), "van-01");
    page.await_that("chart.getAttribute('aria-label').startsWith('Temperature in van-01')");
}

/// The page asked nobody but the demo, and nothing went wrong in it.
fn check_manners(page: &Browser, url: &str) {
    let requests: Vec<&str> = page
        .events("Network.requestWillBeSent")
        .filter_map(|event| event["request"]["url"].as_str())
        .collect();
    assert!(requests.len() >= 4, "{requests:?}");
    for request in requests {
        let is_ours = request.starts_with(url) || request.starts_with("data:");
        assert!(is_ours, "a request to {request}");
    }
    let errors: Vec<&Value> = [
        "Runtime.exceptionThrown",
        "Runtime.consoleAPICalled",
        "Log.entryAdded",
    ]
    .into_iter()
    .flat_map(|kind| page.events(kind))
    .collect();
    assert!(errors.is_empty(), "{errors:?}");
}
