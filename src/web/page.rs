//! What all pages have in common: the frame around them, and how a template becomes an answer.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{Html, IntoResponse, Response};

use super::assets::{ASSETS, Assets};
use super::notices::Said;
use super::server::State;
use super::site::Role;
use super::trouble::Trouble;
use super::viewer::Viewer;
use crate::domain::{Failure, Kind};

/// The frame: what `base.html` needs. Every page's template has it in a field called `frame`.
pub(super) struct Frame {
    /// What the browser's tab says.
    pub(super) title: &'static str,
    /// The node's name.
    pub(super) node: String,
    /// What the node is, in words.
    pub(super) role: &'static str,
    /// The sections of this role.
    pub(super) sections: &'static [Section],
    /// The path of the section this page belongs to.
    pub(super) here: &'static str,
    pub(super) viewer: Viewer,
    /// What has just been done, said once.
    pub(super) notice: Option<String>,
    pub(super) assets: &'static Assets,
}

/// An entry of the navigation.
pub(super) struct Section {
    pub(super) path: &'static str,
    pub(super) name: &'static str,
}

impl Frame {
    /// The frame of the page called `title` in the section at `here`.
    pub(super) fn new(state: &State, viewer: Viewer, title: &'static str, here: &'static str) -> Self {
        let role = match state.role {
            Role::HeadOffice(_) => "head office",
            Role::Branch(_) => "branch",
        };
        let notice = viewer.notice.as_deref().and_then(|key| state.notices.take(key));
        let node = state.node.to_string();
        Self { title, node, role, sections: state.sections, here, viewer, notice, assets: &ASSETS }
    }

    /// The frame of a page for somebody of whom nothing is known: it leads nowhere, and no form in it is taken.
    pub(super) fn bare(state: &State, title: &'static str) -> Self {
        Self { sections: &[], ..Self::new(state, Viewer::default(), title, "") }
    }
}

/// Renders a page.
pub(super) fn render(page: &impl Template) -> Result<Response, Trouble> {
    let text = page.render().map_err(|error| Failure::new(Kind::Failed, "rendering the page", error))?;
    Ok(Html(text).into_response())
}

/// Sends the browser to another page after a form, which says there in `words` what was done. Loading that page again
/// does not send the form again.
pub(super) fn go_to(path: &str, words: impl Into<String>) -> Response {
    let mut answer = (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response();
    answer.extensions_mut().insert(Said(words.into()));
    answer
}
