//! Style, script and icon: parts of the program.

use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::trouble::Trouble;

/// Answers one of them.
pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Trouble> {
    let (kind, text) = match name.as_str() {
        "page.css" => ("text/css; charset=utf-8", include_str!("assets/page.css")),
        "icon.svg" => ("image/svg+xml", include_str!("assets/icon.svg")),
        "sale.js" => ("text/javascript; charset=utf-8", include_str!("assets/sale.js")),
        "page.js" => ("text/javascript; charset=utf-8", include_str!("assets/page.js")),
        _ => return Err(Trouble::NotFound),
    };
    Ok(([(CONTENT_TYPE, kind)], text).into_response())
}
