//! Who looks, and what they may do.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::server::State;
use super::trouble::Trouble;
use crate::domain::{Failure, Kind};

/// Who has sent the request. The gate ([`gate`](super::access::gate)) attaches it to every request that it lets through.
#[derive(Debug, Clone, Default)]
pub(super) struct Viewer {
    /// Stands in the audit trail.
    pub(super) name: String,
    /// May do more than look.
    pub(super) may_operate: bool,
    /// What a form has to send back in its field `csrf`.
    pub(super) csrf: String,
    /// The key of what the last page had to say, if there is any.
    pub(super) notice: Option<String>,
    /// Can log out.
    pub(super) has_logged_in: bool,
}

impl FromRequestParts<State> for Viewer {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Trouble> {
        let viewer = parts.extensions.get::<Self>().cloned();
        viewer.ok_or_else(|| Failure::new(Kind::Failed, "looking who asks", "nobody has said").into())
    }
}
