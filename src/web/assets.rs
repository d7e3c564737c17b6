//! Style, scripts and icon: parts of the program. Their paths have their hash, so browsers keep them for ever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use super::trouble::Trouble;

const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// One of them. As text it is its path.
pub(super) struct Asset {
    path: String,
    kind: &'static str,
    text: &'static str,
}

/// All of them.
pub(super) struct Assets {
    /// The style of all pages.
    pub(super) style: Asset,
    /// What all pages do besides showing themselves.
    pub(super) script: Asset,
    /// What a branch's form for a sale does.
    pub(super) sale: Asset,
    /// What the browser's tab shows.
    pub(super) icon: Asset,
}

/// They are.
pub(super) static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: Asset::new("page.css", CSS, include_str!("assets/page.css")),
    script: Asset::new("page.js", JAVASCRIPT, include_str!("assets/page.js")),
    sale: Asset::new("sale.js", JAVASCRIPT, include_str!("assets/sale.js")),
    icon: Asset::new("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
});

impl Asset {
    fn new(name: &str, kind: &'static str, text: &'static str) -> Self {
        let hash = Sha256::digest(text.as_bytes());
        let digits = hash.iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        Self { path: format!("/assets/{digits:016x}/{name}"), kind, text }
    }
}

impl std::fmt::Display for Asset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path)
    }
}

/// Answers one of them.
pub(super) async fn asset(Path((hash, name)): Path<(String, String)>) -> Result<Response, Trouble> {
    let path = format!("/assets/{hash}/{name}");
    let Assets { style, script, sale, icon } = &*ASSETS;
    let asset =
        [style, script, sale, icon].into_iter().find(|asset| asset.path == path).ok_or(Trouble::NotFound)?;
    Ok(([(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, FOR_EVER)], asset.text).into_response())
}
