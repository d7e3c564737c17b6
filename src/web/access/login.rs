//! Logging in and out.

use askama::Template;
use axum::extract;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, SET_COOKIE};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;

use super::Access;
use super::gate::{cookie, shown};
use crate::domain::{Failure, Kind};
use crate::web::form::{self, Asked};
use crate::web::notices;
use crate::web::page::{Frame, render};
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    name: String,
    to: String,
    is_wrong: bool,
}

/// Where to go afterwards.
#[derive(Deserialize)]
pub(in crate::web) struct Aim {
    #[serde(default)]
    to: String,
}

/// What is sent.
#[derive(Deserialize)]
struct Login {
    name: String,
    password: String,
    #[serde(default)]
    to: String,
}

/// Nothing besides the token.
#[derive(Deserialize)]
struct Nothing {}

/// `GET /login`
pub(in crate::web) async fn ask(
    extract::State(state): extract::State<State>,
    Asked(aim): Asked<Aim>,
    request: Request,
) -> Result<Response, Trouble> {
    if state.access.users.is_none() {
        return Err(Trouble::NotFound);
    }
    if request.extensions().get::<Viewer>().is_some() {
        return Ok(Redirect::to(own_path(&aim.to)).into_response());
    }
    let frame = Frame::bare(&state, "Log in");
    render(&LoginPage { frame, name: String::new(), to: own_path(&aim.to).to_owned(), is_wrong: false })
}

/// `POST /login`
pub(in crate::web) async fn log_in(
    extract::State(state): extract::State<State>,
    request: Request,
) -> Result<Response, Trouble> {
    let access = &state.access;
    let address = access.address(request.headers(), request.extensions());
    let former = cookie(request.headers(), &access.cookie).map(str::to_owned);
    let (Login { name, password, to }, _) = form::read(request, &state).await?;
    let to = own_path(&to).to_owned();
    let Some(user) = access.check(address, &name, password).await? else {
        let frame = Frame::bare(&state, "Log in");
        let mut page = render(&LoginPage { frame, name, to, is_wrong: true })?;
        *page.status_mut() = StatusCode::UNAUTHORIZED;
        return Ok(page);
    };
    // Whatever id the browser has brought, the session has a new one.
    former.inspect(|id| access.sessions.end(id));
    let id = access.sessions.begin(&user)?;
    tracing::info!("{} has logged in, from {}", user.name, shown(address));
    let mut answer = Redirect::to(&to).into_response();
    answer.headers_mut().insert(SET_COOKIE, access.set_cookie(&access.cookie, &id, "")?);
    Ok(answer)
}

/// `POST /logout`
pub(in crate::web) async fn log_out(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
    request: Request,
) -> Result<Response, Trouble> {
    let access = &state.access;
    let id = cookie(request.headers(), &access.cookie).map(str::to_owned);
    let Nothing {} = form::own(&viewer, request, &state).await?;
    id.inspect(|id| access.sessions.end(id));
    tracing::info!("{} has logged out", viewer.name);
    let mut answer = Redirect::to("/login").into_response();
    answer.headers_mut().insert(SET_COOKIE, access.set_cookie(&access.cookie, "", "; Max-Age=0")?);
    Ok(answer)
}

impl Access {
    /// The cookie with the key of what the next page says.
    pub(in crate::web) fn notice_cookie(&self, key: &str) -> Result<HeaderValue, Failure> {
        self.set_cookie(&notices::cookie(&self.cookie), key, "; Max-Age=60")
    }

    /// A cookie that no script sees, and that comes from no other page. Without an `age` it goes with the browser.
    fn set_cookie(&self, name: &str, value: &str, age: &str) -> Result<HeaderValue, Failure> {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
        HeaderValue::from_str(&text).map_err(|error| Failure::new(Kind::Failed, "setting a cookie", error))
    }
}

/// A path of this page; the first page if it is none. Nobody is sent elsewhere after a login.
fn own_path(to: &str) -> &str {
    let is_own = to.starts_with('/')
        && !to.starts_with("//")
        && to.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if is_own { to } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn nobody_is_sent_elsewhere_after_a_login() {
        assert_eq!(own_path("/sales?region=East"), "/sales?region=East");
        for to in [
            "",
            "https://evil.example/",
            "//evil.example/",
            "/\\evil.example/",
            "/\t/evil.example",
            "/a\r\nSet-Cookie: x",
        ] {
            assert_eq!(own_path(to), "/", "{to:?}");
        }
    }
}
