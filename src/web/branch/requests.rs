//! What head office asks of the branch: a part of some pages.

use postgres::Client;

use crate::branch::waiting_requests;
use crate::domain::Failure;
use crate::web::words::Moment;

/// Something that head office asks for.
pub(super) struct Wish {
    /// What, and why.
    pub(super) words: String,
    /// When it came.
    pub(super) at: Moment,
    /// Why it cannot be done without a person, if so.
    pub(super) refusal: Option<String>,
}

impl Wish {
    /// All that wait.
    pub(super) fn all(client: &mut Client) -> Result<Vec<Self>, Failure> {
        let requests = waiting_requests(client)?.into_iter();
        let wish = requests.map(|request| Self {
            words: format!("{}: {}", request.wanted, request.reason),
            at: Moment(request.received_at),
            refusal: request.refusal,
        });
        Ok(wish.collect())
    }
}
