//! The server: where it listens, which pages it has, how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::time::sleep;

use super::database::Databases;
use super::live::Live;
use super::notices::Notices;
use super::page::Section;
use super::site::{Role, Site};
use super::trouble::Trouble;
use super::{assets, branch, gate, head_office, house, live, random};
use crate::archive::Archive;
use crate::domain::{Failure, Kind, NodeName};

/// How often it looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// No form of a page is as large.
const LARGEST_FORM: usize = 64 << 10;

/// How the server is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
}

/// What the handlers share.
pub(super) struct Shared {
    pub(super) node: NodeName,
    pub(super) archive: Archive,
    pub(super) databases: Databases,
    pub(super) role: Role,
    pub(super) sections: &'static [Section],
    pub(super) notices: Notices,
    pub(super) live: Live,
    /// What forms have to send back.
    pub(super) csrf: String,
}

/// The state of every handler.
pub(super) type State = Arc<Shared>;

/// Serves the pages of `site` until `is_to_stop`. `on_ready` is told where it listens.
pub fn serve(
    site: Site,
    options: &Options,
    on_ready: impl FnOnce(SocketAddr) -> Result<(), Failure>,
    is_to_stop: impl Fn() -> bool + Send + 'static,
) -> Result<(), Failure> {
    let doing = || format!("listening on {}", options.listen);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Kind::Failed, "starting the server", error))?;
    runtime.block_on(async {
        let listener = TcpListener::bind(options.listen).await;
        let listener = listener.map_err(|error| Failure::new(Kind::Failed, doing(), error))?;
        let address = listener.local_addr().map_err(|error| Failure::new(Kind::Failed, doing(), error))?;
        on_ready(address)?;
        let state = Arc::new(shared(site)?);
        tokio::spawn(live::look(Arc::clone(&state)));
        let pages = router(&state);
        let served = axum::serve(listener, pages).with_graceful_shutdown(async move {
            while !is_to_stop() {
                sleep(LOOK).await;
            }
            state.live.end();
        });
        served.await.map_err(|error| Failure::new(Kind::Failed, "serving the page", error))
    })
}

fn shared(site: Site) -> Result<Shared, Failure> {
    let Site { node, archive, connect, role } = site;
    let sections = match role {
        Role::HeadOffice(_) => head_office::SECTIONS,
        Role::Branch(_) => branch::SECTIONS,
    };
    let (databases, notices, csrf) = (Databases::new(connect), Notices::default(), random::token()?);
    Ok(Shared { node, archive, databases, role, sections, notices, live: Live::new(), csrf })
}

fn router(state: &State) -> Router {
    let pages = match state.role {
        Role::HeadOffice(_) => head_office::pages(),
        Role::Branch(_) => branch::pages(),
    };
    let pages = pages.route("/events", get(live::events)).route("/assets/{name}", get(assets::asset));
    let pages = pages.fallback(async || Trouble::NotFound);
    // The last one added sees the request first.
    let pages = pages
        .layer(DefaultBodyLimit::max(LARGEST_FORM))
        .layer(from_fn_with_state(Arc::clone(state), house::house))
        .layer(from_fn_with_state(Arc::clone(state), gate::gate));
    pages.with_state(Arc::clone(state))
}
