//! The branch's sales.

use askama::Template;
use axum::extract;
use axum::response::Response;

use crate::web::page::{Frame, render};
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;

#[derive(Template)]
#[template(path = "branch/sales.html")]
struct Sales {
    frame: Frame,
}

pub(super) async fn page(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
) -> Result<Response, Trouble> {
    render(&Sales { frame: Frame::new(&state, viewer, "Sales", "/") })
}
