//! The server: where it listens, which pages it has, how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::time::sleep;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use super::access::Access;
use super::database::Databases;
use super::live::Live;
use super::metrics::Metrics;
use super::notices::Notices;
use super::options::Options;
use super::page::Section;
use super::site::{Role, Site};
use super::thread::answer_to_panic;
use super::tls::Certificate;
use super::trouble::Trouble;
use super::{access, assets, branch, form, head_office, health, house, listen, live, metrics};
use crate::archive::Archive;
use crate::domain::{Failure, Kind, NodeName};

/// How often it looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);
/// How long queries that are under way may take when it ends.
const LAST: Duration = Duration::from_secs(2);

/// What the handlers share.
pub(super) struct Shared {
    pub(super) node: NodeName,
    pub(super) archive: Archive,
    pub(super) databases: Databases,
    pub(super) role: Role,
    pub(super) sections: &'static [Section],
    pub(super) notices: Notices,
    pub(super) live: Live,
    pub(super) metrics: Metrics,
    pub(super) access: Access,
}

/// The state of every handler.
pub(super) type State = Arc<Shared>;

/// Serves the pages of `site` until `is_to_stop`. `on_ready` is told the address of the first page.
pub fn serve(
    site: Site,
    options: Options,
    on_ready: impl FnOnce(&str) -> Result<(), Failure>,
    is_to_stop: impl Fn() -> bool,
) -> Result<(), Failure> {
    options.check()?;
    let tls = options.certificate.as_ref().map(Certificate::acceptor).transpose()?;
    let listen = options.listen;
    let doing = || format!("listening on {listen}");
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Kind::Failed, "starting the server", error))?;
    let served = runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.map_err(|error| not_listening(listen, &error))?;
        let address = listener.local_addr().map_err(|error| Failure::new(Kind::Failed, doing(), error))?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let state = Arc::new(shared(site, options)?);
        tokio::spawn(live::look(Arc::clone(&state)));
        if let Role::HeadOffice(_) = state.role {
            tokio::spawn(head_office::keep_summary(state.databases.clone()));
        }
        head_office::watch_queues(&state);
        on_ready(&format!("{scheme}://{address}/"))?;
        let stop = async {
            while !is_to_stop() {
                sleep(LOOK).await;
            }
            state.live.end();
        };
        listen::listen(listener, tls, router(&state), stop).await;
        Ok(())
    });
    runtime.shutdown_timeout(LAST);
    served
}

fn not_listening(address: SocketAddr, error: &std::io::Error) -> Failure {
    let (kind, hint) = match error.kind() {
        std::io::ErrorKind::PermissionDenied => (
            Kind::Permission,
            "ports below 1024 are the administrator's; take a higher one, or a proxy before it",
        ),
        std::io::ErrorKind::AddrInUse => (
            Kind::Configuration,
            "another program has this port, perhaps a page that runs already; take another",
        ),
        _ => (Kind::Configuration, "name an address of this machine in serve.listen or with --listen"),
    };
    Failure::new(kind, format!("listening on {address}"), error).hint(hint)
}

fn shared(site: Site, options: Options) -> Result<Shared, Failure> {
    let Site { node, archive, connect, role } = site;
    let sections = match role {
        Role::HeadOffice(_) => head_office::SECTIONS,
        Role::Branch(_) => branch::SECTIONS,
    };
    let access = Access::new(options.entrance(), &node)?;
    let (databases, notices, live) = (Databases::new(connect), Notices::default(), Live::new());
    let metrics = Metrics::new();
    Ok(Shared { node, archive, databases, role, sections, notices, live, metrics, access })
}

fn router(state: &State) -> Router {
    let pages = match state.role {
        Role::HeadOffice(_) => head_office::pages(),
        Role::Branch(_) => branch::pages(),
    };
    let pages = pages
        .route("/events", get(live::events))
        .route("/healthz", get(health::health))
        .route("/metrics", get(metrics::page))
        .route("/login", get(access::ask).post(access::log_in))
        .route("/logout", post(access::log_out))
        .route("/assets/{hash}/{name}", get(assets::asset))
        .fallback(async || Trouble::NotFound);
    // The last one added sees the request first.
    pages
        .layer(DefaultBodyLimit::max(form::LARGEST))
        .layer(CatchPanicLayer::custom(answer_to_panic))
        .layer(from_fn_with_state(Arc::clone(state), house::answer))
        .layer(from_fn_with_state(Arc::clone(state), access::gate))
        .layer(from_fn_with_state(Arc::clone(state), house::furnish))
        .layer(from_fn_with_state(Arc::clone(state), metrics::watch))
        .layer(CompressionLayer::new())
        .with_state(Arc::clone(state))
}
