//! Who is let in.

use axum::extract;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use axum::middleware::Next;
use axum::response::Response;

use super::notices;
use super::server::State;
use super::viewer::Viewer;

/// Attaches the viewer to the request.
pub(super) async fn gate(
    extract::State(state): extract::State<State>,
    mut request: Request,
    next: Next,
) -> Response {
    let notice = cookie(request.headers(), notices::COOKIE).map(str::to_owned);
    let viewer = Viewer { name: "local".to_owned(), may_operate: true, csrf: state.csrf.clone(), notice };
    request.extensions_mut().insert(viewer);
    next.run(request).await
}

/// The value of a cookie.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}
