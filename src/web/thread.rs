//! Work that blocks, in threads that may; and what is said of work that has panicked.

use axum::response::{IntoResponse as _, Response};
use tokio::task::spawn_blocking;

use super::trouble::Trouble;
use crate::domain::{Failure, Kind};

/// Does `work` in a thread that may block.
pub(super) async fn in_thread<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    spawn_blocking(work).await.map_err(|_| faulty(doing))
}

/// What whoever asks learns of a panic. What it says may be anything, and is in the log already.
pub(super) fn faulty(doing: &'static str) -> Failure {
    Failure::new(Kind::Failed, doing, "the program has a fault")
        .hint("nothing was lost by it; the page's log says where the fault is")
}

/// The same as an answer.
pub(super) fn answer_to_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    Trouble::Failed(faulty("answering")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use axum::routing::get;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;
    use tokio::runtime::Runtime;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    #[test]
    fn what_a_panic_says_is_not_told_to_whoever_has_asked() {
        let runtime = Runtime::new().unwrap();
        let done = runtime.block_on(in_thread("asking the database", || -> u8 { panic!("row 17: secret") }));
        let failure = done.unwrap_err();
        assert_eq!(failure.to_string(), "asking the database: the program has a fault");
        assert!(!failure.advice().unwrap().contains("secret"));
    }

    #[test]
    fn a_page_that_panics_is_answered_and_its_server_goes_on() {
        let page = get(async || -> &'static str { panic!("row 17: secret") });
        let pages = Router::new().route("/", page).layer(CatchPanicLayer::custom(answer_to_panic));
        let answer = TowerToHyperService::new(pages).call(Request::new(Body::empty()));
        let answer = Runtime::new().unwrap().block_on(answer).unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let told = answer.extensions().get::<Trouble>().unwrap().words();
        assert!(!format!("{told:?}").contains("secret"), "{told:?}");
    }
}
