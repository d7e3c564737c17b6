//! One line per branch, trouble first.

use askama::Template;
use axum::extract;
use axum::response::Response;

use crate::head_office::branch_states;
use crate::web::page::{Frame, render};
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;

#[derive(Template)]
#[template(path = "head_office/overview.html")]
struct Overview {
    frame: Frame,
    branches: Vec<String>,
}

pub(super) async fn page(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
) -> Result<Response, Trouble> {
    let states = state.databases.read(branch_states).await?;
    let branches = states.iter().map(|branch| branch.name.to_string()).collect();
    render(&Overview { frame: Frame::new(&state, viewer, "Overview", "/"), branches })
}
