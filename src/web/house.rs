//! What every answer has: headers that keep a browser strict, and a page in the house's style also for trouble.

use askama::Template;
use axum::extract;
use axum::extract::{FromRequestParts as _, Request};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::notices;
use super::page::{Frame, Said, render};
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

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage {
    frame: Frame,
    heading: &'static str,
    what: String,
    hint: Option<String>,
}

/// Furnishes the answers.
pub(super) async fn house(
    extract::State(state): extract::State<State>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let viewer = Viewer::from_request_parts(&mut parts, &state).await.ok();
    let is_head = parts.method == Method::HEAD;
    let answer = next.run(Request::from_parts(parts, body)).await;
    let mut answer = match (viewer, trouble(&answer)) {
        (Some(viewer), Some(trouble)) if !is_head => told(&state, viewer, &trouble, answer),
        _ => answer,
    };
    if let Some(Said(words)) = answer.extensions_mut().remove() {
        match state.notices.put(words) {
            Ok(key) => drop(answer.headers_mut().append(header::SET_COOKIE, cookie(&key))),
            Err(failure) => tracing::warn!("{failure}"),
        }
    }
    furnish(answer.headers_mut());
    answer
}

fn furnish(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// What is wrong, also where axum has found it and not a handler.
fn trouble(answer: &Response) -> Option<Trouble> {
    let status = answer.status();
    let is_wrong = status.is_client_error() || status.is_server_error();
    let found = || answer.extensions().get().cloned().unwrap_or(Trouble::Status(status));
    is_wrong.then(found)
}

/// The answer as a page, with the headers that it had.
fn told(state: &State, viewer: Viewer, trouble: &Trouble, answer: Response) -> Response {
    let (heading, what, hint) = trouble.words();
    if trouble.status() == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!("{what}");
    }
    let frame = Frame::new(state, viewer, "Trouble", "");
    let Ok(mut page) = render(&TroublePage { frame, heading, what, hint }) else { return answer };
    *page.status_mut() = answer.status();
    if let Some(allowed) = answer.headers().get(header::ALLOW) {
        page.headers_mut().insert(header::ALLOW, allowed.clone());
    }
    page
}

fn cookie(key: &str) -> HeaderValue {
    let text = format!("{}={key}; Path=/; Max-Age=60; HttpOnly; SameSite=Strict", notices::COOKIE);
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}
