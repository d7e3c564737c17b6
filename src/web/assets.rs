//! Style and script: parts of the program. Their names have their hash, so browsers keep them for ever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use super::trouble::Trouble;

const STYLE: &str = include_str!("assets/page.css");
const SCRIPT: &str = include_str!("assets/page.js");
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The paths of the assets.
pub(super) struct Assets {
    pub(super) style: String,
    pub(super) script: String,
}

/// They are.
pub(super) static ASSETS: LazyLock<Assets> =
    LazyLock::new(|| Assets { style: path("css", STYLE), script: path("js", SCRIPT) });

fn path(end: &str, text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let digits: String = hash.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    format!("/assets/page-{digits}.{end}")
}

/// Answers one of them.
pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Trouble> {
    let path = format!("/assets/{name}");
    let (kind, text) = if path == ASSETS.style {
        ("text/css; charset=utf-8", STYLE)
    } else if path == ASSETS.script {
        ("text/javascript; charset=utf-8", SCRIPT)
    } else {
        return Err(Trouble::NotFound);
    };
    Ok(([(CONTENT_TYPE, kind), (CACHE_CONTROL, FOR_EVER)], text).into_response())
}
