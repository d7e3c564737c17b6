//! What every answer has: headers that keep a browser strict, and a page in the house's style also for trouble.

use std::time::Duration;

use askama::Template;
use axum::extract;
use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::time::timeout;

use super::notices::Said;
use super::page::{Frame, render};
use super::server::State;
use super::trouble::Trouble;
use super::viewer::Viewer;

/// Nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
/// The longest that anybody waits for an answer to begin: a turn at the database, and its longest statement.
const PATIENCE: Duration = Duration::from_secs(75);
/// A page's address is never as long.
const LONGEST_ADDRESS: usize = 8 << 10;

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage {
    frame: Frame,
    heading: &'static str,
    what: String,
    hint: Option<String>,
}

/// Furnishes every answer with its headers.
pub(super) async fn furnish(
    extract::State(state): extract::State<State>,
    request: Request,
    next: Next,
) -> Response {
    let mut answer = next.run(request).await;
    if let Some(Said(words)) = answer.extensions_mut().remove() {
        match state.notices.put(words).and_then(|key| state.access.notice_cookie(&key)) {
            Ok(cookie) => drop(answer.headers_mut().append(header::SET_COOKIE, cookie)),
            Err(failure) => tracing::warn!("{failure}"),
        }
    }
    let headers: &mut HeaderMap = answer.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// Lets a page answer in time, and puts its trouble, if there is any, into a page.
pub(super) async fn answer(
    extract::State(state): extract::State<State>,
    request: Request,
    next: Next,
) -> Response {
    let viewer = request.extensions().get::<Viewer>().cloned();
    let is_head = request.method() == Method::HEAD;
    let address = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    let answer = if address > LONGEST_ADDRESS {
        Trouble::Status(StatusCode::URI_TOO_LONG).into_response()
    } else {
        let late = |_| Trouble::Status(StatusCode::SERVICE_UNAVAILABLE).into_response();
        timeout(PATIENCE, next.run(request)).await.unwrap_or_else(late)
    };
    match trouble(&answer) {
        Some(trouble) if !is_head => {
            let mut page = told(&state, viewer, &trouble);
            if let Some(allowed) = answer.headers().get(header::ALLOW) {
                page.headers_mut().insert(header::ALLOW, allowed.clone());
            }
            page
        }
        _ => answer,
    }
}

/// What is wrong, also where axum has found it and not a handler. What is for a program, and not for a browser, stays.
fn trouble(answer: &Response) -> Option<Trouble> {
    let status = answer.status();
    let is_wrong = status.is_client_error() || status.is_server_error();
    let kind = answer.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let is_bare = kind.is_empty() || kind.starts_with(b"text/plain");
    let found = || answer.extensions().get().cloned().unwrap_or(Trouble::Status(status));
    (is_wrong && is_bare).then(found)
}

/// Trouble as a page: in the viewer's frame, or in a bare one.
pub(super) fn told(state: &State, viewer: Option<Viewer>, trouble: &Trouble) -> Response {
    let (heading, what, hint) = trouble.words();
    if trouble.status() == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!("{what}");
    }
    let frame = match viewer {
        Some(viewer) => Frame::new(state, viewer, "Trouble", ""),
        None => Frame::bare(state, "Trouble"),
    };
    let Ok(mut page) = render(&TroublePage { frame, heading, what, hint }) else {
        return trouble.status().into_response();
    };
    *page.status_mut() = trouble.status();
    page.extensions_mut().insert(trouble.clone());
    if let Trouble::TooOften(wait) = trouble {
        page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    }
    page
}
