//! `salesync request`

use std::fmt;

use serde::Serialize;

use super::args::Request;
use super::context::Context;
use super::decide::operator;
use super::exit::Exit;
use super::settings::Role;
use crate::domain::{Failure, Wanted};
use crate::head_office::{self, Decider, publish_requests};

#[derive(Debug, Serialize)]
struct Report {
    request_id: String,
    branch: String,
    wanted: &'static str,
    first: Option<u64>,
    last: Option<u64>,
    sent: bool,
    #[serde(skip)]
    words: String,
}

pub(super) fn run(context: &Context, args: &Request) -> Result<Exit, Failure> {
    let settings = context.settings_of(Role::HeadOffice)?;
    let mut client = settings.connect_prepared_database("request")?;
    let wanted = match args.resend {
        Some((first, last)) => Wanted::Resend { epoch: None, first, last },
        None if args.full => Wanted::Full,
        None => Wanted::Sync,
    };
    let operator = operator();
    let by = Decider { name: &operator, reason: args.reason.as_deref(), seen: None };
    let request = head_office::request(&mut client, &args.branch, wanted, by)?;
    let sent = settings.connect_broker().and_then(|mut broker| {
        publish_requests(&mut client, &mut broker)?;
        broker.close();
        Ok(())
    });
    if let Err(failure) = &sent {
        tracing::warn!("{failure}; the request goes with the next `salesync apply`");
    }
    let bundles = request.wanted.bundles();
    context.print(&Report {
        request_id: request.request_id.to_string(),
        branch: request.branch.to_string(),
        wanted: request.wanted.as_str(),
        first: bundles.map(|(_, first, _)| first.get()),
        last: bundles.map(|(.., last)| last.get()),
        sent: sent.is_ok(),
        words: request.wanted.to_string(),
    })?;
    Ok(Exit::Done)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.sent { "it answers when it connects" } else { "not sent yet" };
        writeln!(f, "{} is asked for {}: {how}", self.branch, self.words)
    }
}
