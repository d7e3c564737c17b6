//! What all pages have in common: the frame around them, and how a template becomes an answer.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};

use super::server::State;
use super::trouble::Trouble;
use super::viewer::Viewer;
use crate::domain::{Failure, Kind};

/// The frame: what `base.html` needs. Every page's template has it in a field called `frame`.
pub(super) struct Frame {
    /// What the browser's tab says.
    pub(super) title: &'static str,
    /// The node's name.
    pub(super) node: String,
    /// The sections of this role.
    pub(super) sections: &'static [Section],
    /// The path of the section this page belongs to.
    pub(super) here: &'static str,
    pub(super) viewer: Viewer,
}

/// An entry of the navigation.
pub(super) struct Section {
    pub(super) path: &'static str,
    pub(super) name: &'static str,
}

impl Frame {
    /// The frame of the page called `title` in the section at `here`.
    pub(super) fn new(state: &State, viewer: Viewer, title: &'static str, here: &'static str) -> Self {
        Self { title, node: state.node.to_string(), sections: state.sections, here, viewer }
    }
}

/// Renders a page.
pub(super) fn render(page: &impl Template) -> Result<Response, Trouble> {
    let text = page.render().map_err(|error| Failure::new(Kind::Failed, "rendering the page", error))?;
    Ok(Html(text).into_response())
}
