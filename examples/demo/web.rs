//! Serves the page, what happens as server-sent events, and the chart. Only this machine sees it.
//!
//! ```text
//! GET /                                       the page
//! GET /stream                                 events: city, fences, progress, vehicles, event, end
//! GET /chart?span=ms&to=ms[&vehicle=name]     {"rows": [[ts, mean, min, max] ...], "trail": [[lon, lat] ...]}
//! ```

use std::io::{self, Write};
use std::sync::Arc;

use redis::Connection;
use serde_json::Value;
use tiny_http::{Header, Method, Request, Response};

use crate::broadcast::{Broadcast, Listener};
use crate::seen;

const PAGE: &str = include_str!("page.html");
/// The page may talk to nobody but this server.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'";
/// `/stream` is written by hand: the responses of the crate collect 8 KB before they send.
const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                           Cache-Control: no-store\r\nConnection: close\r\n\r\n";

/// Answers requests until the server is unblocked.
pub(crate) fn serve(
    http: &tiny_http::Server,
    mut connection: Connection,
    broadcast: &Arc<Broadcast>,
) {
    for request in http.incoming_requests() {
        // An answer fails where the browser has gone away, which it may.
        let _ = answer(request, &mut connection, broadcast);
    }
}

fn answer(
    request: Request,
    connection: &mut Connection,
    broadcast: &Arc<Broadcast>,
) -> io::Result<()> {
    let url = request.url().to_owned();
    let (path, query) = url.split_once('?').unwrap_or((&url, ""));
    if *request.method() != Method::Get {
        return request.respond(Response::empty(405));
    }
    match path {
        "/" => request.respond(content(PAGE, "text/html; charset=utf-8")),
        "/stream" => {
            let listener = broadcast.listen();
            // Not joined: a browser that takes nothing would hold up the end.
            std::thread::Builder::new()
                .name("page".into())
                .spawn(move || stream(request, &listener))?;
            Ok(())
        }
        "/chart" => match chart(query, connection) {
            Some(Ok(rows)) => request.respond(content(&rows.to_string(), "application/json")),
            Some(Err(_)) => request.respond(Response::empty(503)),
            None => request.respond(Response::empty(400)),
        },
        _ => request.respond(Response::empty(404)),
    }
}

/// Sends events until the demo ends or the browser goes away.
fn stream(request: Request, listener: &Listener) {
    let mut writer = request.into_writer();
    let mut pass_on = |text: &str| {
        writer.write_all(text.as_bytes())?;
        writer.flush()
    };
    let mut outcome = pass_on(STREAM_HEAD);
    while outcome.is_ok() {
        let Some(message) = listener.next() else {
            break;
        };
        outcome = pass_on(&message);
    }
}

/// `None` if the query is not one.
fn chart(query: &str, connection: &mut Connection) -> Option<redis::RedisResult<Value>> {
    let argument = |wanted: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find_map(|(name, value)| (name == wanted).then_some(value))
    };
    let number = |name| argument(name)?.parse::<u32>().ok().map(i64::from);
    let to_ms = argument("to")?.parse().ok()?;
    Some(seen::chart(
        connection,
        argument("vehicle"),
        to_ms,
        number("span")?,
    ))
}

fn content(body: &str, kind: &str) -> Response<io::Cursor<Vec<u8>>> {
    let mut response = Response::from_string(body);
    for (name, value) in [
        ("Content-Type", kind),
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", POLICY),
    ] {
        let header = Header::from_bytes(name, value);
        response.add_header(header.expect("BUG: a header that is not ASCII"));
    }
    response
}
