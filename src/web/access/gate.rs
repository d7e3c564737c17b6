//! The gate: every request comes by here before any page sees it.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::extract;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, COOKIE, WWW_AUTHENTICATE};
use axum::http::{Extensions, HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use base64ct::{Base64, Encoding as _};

use super::Access;
use super::attempts::Who;
use super::users::User;
use crate::domain::{Failure, Kind};
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;
use crate::web::{house, notices};

/// A page that renews itself says so. Nobody has to sit before it.
const LIVE: &str = "x-live";
/// What is fetched by a program, which has no cookies.
const METRICS: &str = "/metrics";

/// Said once where the proxy does not do its part.
const UNKNOWN: &str = "the proxy does not say in X-Forwarded-For who asks: failed logins are counted by name and not by address \
                       (docs/page.md, \"Behind a proxy\")";

/// The other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(in crate::web) struct Peer(pub(in crate::web) SocketAddr);

/// Lets the request through, with its viewer attached, or answers it.
pub(in crate::web) async fn gate(
    extract::State(state): extract::State<State>,
    mut request: Request,
    next: Next,
) -> Response {
    let access = &state.access;
    if !access.is_called_rightly(request.headers()) {
        // Nothing is told to a page that calls itself by a name of its own.
        return (StatusCode::MISDIRECTED_REQUEST, "This is not the page's name.\n").into_response();
    }
    let is_harmless = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_harmless && !access.comes_from_here(request.headers()) {
        let why = Failure::new(Kind::Permission, "doing this", "the form does not come from this page")
            .hint("go to the page itself, and send the form from there");
        return house::told(&state, None, &why.into());
    }
    let address = access.address(request.headers(), request.extensions());
    let viewer = access.viewer(request.headers());
    let stranger = viewer.is_none().then(|| access.strangers.admit(address.map(Who::at)));
    if matches!(stranger, Some(None)) {
        return house::told(&state, None, &Trouble::Status(StatusCode::TOO_MANY_REQUESTS));
    }
    match viewer {
        Some(viewer) => drop(request.extensions_mut().insert(viewer)),
        None if is_open(request.uri().path()) => {}
        None if request.uri().path() == METRICS => match access.program(request.headers(), address).await {
            Ok(viewer) => drop(request.extensions_mut().insert(viewer)),
            Err(trouble) => {
                return ([(WWW_AUTHENTICATE, "Basic realm=\"salesync\"")], trouble).into_response();
            }
        },
        None => return away(&state, &request, is_harmless),
    }
    next.run(request).await
}

/// What everybody may fetch.
fn is_open(path: &str) -> bool {
    path == "/login" || path == "/healthz" || path.starts_with("/assets/")
}

/// Sends somebody to log in who has not, or not for a long time.
fn away(state: &State, request: &Request, is_harmless: bool) -> Response {
    if is_harmless && request.uri().path() != "/events" {
        let here = request.uri().path_and_query().map_or("/", |here| here.as_str());
        return match serde_urlencoded::to_string([("to", here)]) {
            Ok(query) if here != "/" => Redirect::to(&format!("/login?{query}")).into_response(),
            _ => Redirect::to("/login").into_response(),
        };
    }
    house::told(state, None, &Trouble::LoggedOut)
}

impl Access {
    /// Who has sent the request, if that is known.
    fn viewer(&self, headers: &HeaderMap) -> Option<Viewer> {
        let notice = cookie(headers, &notices::cookie(&self.cookie)).map(str::to_owned);
        if self.users.is_none() {
            let csrf = self.csrf.clone();
            return Some(Viewer {
                name: "local".to_owned(),
                may_operate: true,
                csrf,
                notice,
                has_logged_in: false,
            });
        }
        let (user, csrf) = self.sessions.find(cookie(headers, &self.cookie)?, !headers.contains_key(LIVE))?;
        let User { name, may_operate, .. } = user;
        Some(Viewer { name, may_operate, csrf, notice, has_logged_in: true })
    }

    /// The same for a program, which sends name and password with each request. It may only look.
    async fn program(&self, headers: &HeaderMap, address: Option<IpAddr>) -> Result<Viewer, Trouble> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let encoded = header.and_then(|value| value.strip_prefix("Basic ")).ok_or(Trouble::LoggedOut)?;
        let decoded = Base64::decode_vec(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let (name, password) =
            decoded.as_deref().and_then(|text| text.split_once(':')).ok_or(Trouble::LoggedOut)?;
        let user = self.check(address, name, password.to_owned()).await?;
        let name = user.ok_or(Trouble::LoggedOut)?.name;
        Ok(Viewer { name, may_operate: false, csrf: String::new(), notice: None, has_logged_in: false })
    }

    /// The user with this name and this password. Who fails too often waits.
    pub(super) async fn check(
        &self,
        address: Option<IpAddr>,
        name: &str,
        password: String,
    ) -> Result<Option<User>, Trouble> {
        let Some(users) = &self.users else { return Err(Trouble::NotFound) };
        let short = name.chars().take(64).collect();
        let all: Vec<_> = [Some(Who::Name(short)), address.map(Who::at)].into_iter().flatten().collect();
        self.attempts.begin(&all, Instant::now()).map_err(Trouble::TooOften)?;
        let user = users.find(name, password).await?;
        if self.is_behind_proxy && address.is_none() {
            self.unknown.call_once(|| tracing::warn!("{UNKNOWN}"));
        }
        if user.is_some() {
            self.attempts.forgive(&all);
        } else {
            // Without the name: it may be a password in the wrong field.
            tracing::warn!("a login failed, from {}", shown(address));
        }
        Ok(user)
    }

    /// Where the request comes from. Behind a proxy that is what the proxy has added, and nothing that came before; where it
    /// adds nothing, nobody knows: its own address would be everybody's.
    pub(super) fn address(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
        if !self.is_behind_proxy {
            return extensions.get::<Peer>().map(|peer| peer.0.ip());
        }
        let told = headers.get_all("x-forwarded-for").iter().next_back()?;
        let last = told.to_str().ok()?.rsplit(',').next()?.trim();
        let with_port = || last.parse::<SocketAddr>().map(|address| address.ip());
        last.parse().or_else(|_| with_port()).ok()
    }
}

/// An address in the log.
pub(super) fn shown(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "an unknown address".to_owned(), |address| address.to_string())
}

/// The value of a cookie.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}
