//! Being told of changes as they are committed.

use std::time::Duration;

use postgres::fallible_iterator::FallibleIterator as _;
use postgres::{Client, GenericClient};

use crate::database::database_failure;
use crate::domain::{Failure, Kind};

/// From now on this session is notified of every transaction that changes a tracked table. The capture
/// triggers notify only where this has been asked for: it costs every writer something. A transaction that
/// has written before may end without a word; what it has changed waits for the follower's next look.
///
/// The caller holds [`Lock::Bundle`](crate::database::Lock::Bundle), so no other session answers the triggers.
pub fn follow_changes(client: &mut Client) -> Result<(), Failure> {
    client
        .batch_execute("LISTEN salesync")
        .and_then(|()| answer_triggers(client, true))
        .map_err(|error| database_failure("asking to be told of changes", &error))
}

/// Takes that back, also for one that was killed. The caller holds
/// [`Lock::Bundle`](crate::database::Lock::Bundle), so no other follows.
pub fn unfollow_changes(client: &mut Client) -> Result<(), Failure> {
    answer_triggers(client, false)
        .and_then(|()| client.batch_execute("UNLISTEN salesync"))
        .map_err(|error| database_failure("asking not to be told of changes any more", &error))
}

/// Whether somebody follows is a function, because PostgreSQL makes its answer a constant in the triggers'
/// plans, and makes those anew once it is replaced: the triggers look nothing up.
fn answer_triggers(client: &mut Client, is_followed: bool) -> Result<(), postgres::Error> {
    let answer: bool = client.query_one("SELECT salesync.is_followed()", &[])?.get(0);
    if answer == is_followed {
        return Ok(());
    }
    client.batch_execute(&format!(
        "CREATE OR REPLACE FUNCTION salesync.is_followed() RETURNS boolean LANGUAGE sql STABLE AS 'SELECT {is_followed}'"
    ))
}

/// Waits for a change to be committed, for at most `patience`. True if there was one.
pub fn wait_for_change(client: &mut Client, patience: Duration) -> Result<bool, Failure> {
    let doing = "waiting for changes";
    let notified = client.notifications().timeout_iter(patience).next();
    let is_notified = notified.map_err(|error| database_failure(doing, &error))?.is_some();
    if client.is_closed() {
        return Err(Failure::new(Kind::Unreachable, doing, "the connection to the database was lost")
            .hint("nothing is lost; check that the server runs"));
    }
    Ok(is_notified)
}

/// Whether one wants to be notified. What it has left behind when it was killed counts too.
pub fn is_followed(client: &mut impl GenericClient) -> Result<bool, Failure> {
    let row = client.query_one("SELECT salesync.is_followed()", &[]);
    Ok(row.map_err(|error| database_failure("looking for a follower", &error))?.get(0))
}
