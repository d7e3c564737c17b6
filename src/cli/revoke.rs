//! `salesync revoke`

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::args::Revoke;
use super::context::Context;
use super::exit::Exit;
use super::settings::Role;
use crate::database::{Lock, take_lock};
use crate::domain::{Failure, Kind};

#[derive(Debug, Serialize)]
struct Report {
    branch: String,
    /// The keys that count no more.
    key_ids: Vec<String>,
    since: DateTime<Utc>,
    /// What the broker's administrator runs.
    broker: Vec<String>,
    dry_run: bool,
}

pub(super) fn run(context: &Context, args: &Revoke) -> Result<Exit, Failure> {
    let branch = &args.branch;
    let mut client = context.settings_of(Role::HeadOffice)?.connect_prepared_database("revoke")?;
    take_lock(&mut client, Lock::Init)?;
    // What nobody else changes from here on.
    let settings = context.settings_of(Role::HeadOffice)?;
    let mut known = settings.branch(branch)?;
    let now = Utc::now();
    let since = args.since.unwrap_or(now);
    if since > now {
        let why = format!("{since} has not come yet");
        return Err(Failure::new(Kind::Usage, format!("revoking {branch}"), why)
            .hint("name a moment that has passed, or none for now"));
    }
    let keys = known.leave(since, now);
    if !args.dry_run {
        settings.write_branch(branch, &known)?;
    }
    context.print(&Report {
        branch: branch.to_string(),
        key_ids: keys.iter().map(|key| key.id().to_string()).collect(),
        since,
        broker: vec![format!("rabbitmqctl delete_user {branch}")],
        dry_run: args.dry_run,
    })?;
    Ok(Exit::Done)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { branch, since, .. } = self;
        let would = if self.dry_run { "would be " } else { "" };
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        writeln!(
            f,
            "{branch} {would}revoked: nothing of it is taken that comes after {since}, and nothing is expected"
        )?;
        self.key_ids.iter().try_for_each(|id| writeln!(f, "  key {id} {would}revoked"))?;
        self.broker.iter().try_for_each(|line| writeln!(f, "  at the broker: {line}"))
    }
}
