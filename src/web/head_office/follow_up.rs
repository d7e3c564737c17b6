//! What was decided on the page is carried out, and the branches are told: in a thread, since it may take long and
//! nobody should wait for it before a page that does not come.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, panicking, sleep};
use std::time::Duration;

use crate::domain::{Failure, Kind};
use crate::head_office::{CarriedOut, carry_out, write_to_branches};
use crate::web::server::{Shared, State};
use crate::web::site::{HeadOfficeSite, Role};

/// How long another one at work has, before it is looked whether it has carried out what was decided.
const PAUSE: Duration = Duration::from_secs(3);

/// The thread that follows up; there is one at most.
#[derive(Debug, Default)]
pub(in crate::web) struct FollowUp(Mutex<Round>);

#[derive(Debug, Default)]
struct Round {
    is_running: bool,
    /// Something was decided since it has last begun.
    is_asked: bool,
    /// What stands in the way, for the page.
    news: Option<String>,
}

impl FollowUp {
    /// What stands in the way, if something does.
    pub(super) fn news(&self) -> Option<String> {
        self.round().news.clone()
    }

    /// Something was decided.
    pub(super) fn begin(&self, state: &State) {
        let mut round = self.round();
        round.is_asked = true;
        if round.is_running {
            return;
        }
        let shared = Arc::clone(state);
        match Builder::new().name("follow up".to_owned()).spawn(move || run(&shared)) {
            Ok(_) => round.is_running = true,
            Err(error) => round.news = Some(undone(&Failure::new(Kind::Failed, "starting a thread", error))),
        }
    }

    fn round(&self) -> MutexGuard<'_, Round> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False if nothing was decided meanwhile; it has ended then.
    fn goes_on(&self) -> bool {
        let mut round = self.round();
        round.is_running = std::mem::take(&mut round.is_asked);
        round.is_running
    }

    fn tell(&self, news: Option<String>) {
        self.round().news = news;
    }
}

/// If it breaks off, another one may begin. One that ends by itself has said so before, and another may have begun since.
struct Ending<'a>(&'a FollowUp);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if panicking() {
            self.0.round().is_running = false;
        }
    }
}

fn run(shared: &Shared) {
    let Role::HeadOffice(site) = &shared.role else { return };
    let _ending = Ending(&site.follow_up);
    while site.follow_up.goes_on() {
        let done = follow_up(shared, site);
        if let Err(news) = &done {
            tracing::warn!("{news}");
        }
        site.follow_up.tell(done.err());
    }
}

/// Fails with what the page says.
fn follow_up(shared: &Shared, site: &HeadOfficeSite) -> Result<(), String> {
    let mut client = shared.databases.connect().map_err(|failure| undone(&failure))?;
    let mut is_told = false;
    loop {
        let enrolment = &site.branches().enrolment;
        let carried_out = carry_out(&mut client, &shared.archive, site.policy, enrolment, None);
        let carried_out = carried_out.map_err(|failure| undone(&failure))?;
        let is_left = matches!(carried_out, CarriedOut::LeftTo(_));
        if !is_told || !is_left {
            // The first time there may be a request, which nobody else's work keeps back.
            is_told = true;
            let told = (site.connect_broker)().and_then(|mut broker| {
                write_to_branches(&mut client, &mut broker)?;
                broker.close();
                Ok(())
            });
            if let (Err(failure), false) = (told, is_left) {
                return Err(format!("{failure}; the branches are told by the next `salesync apply`"));
            }
        }
        if !is_left {
            return Ok(());
        }
        site.follow_up.tell(Some(carried_out.to_string()));
        sleep(PAUSE);
    }
}

fn undone(failure: &Failure) -> String {
    format!("{failure}; what was decided is recorded, and the next `salesync apply` carries it out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_has_ended_takes_nothing_from_the_next_and_one_that_broke_off_makes_room() {
        let follow_up = FollowUp::default();
        follow_up.round().is_asked = true;
        let ending = Ending(&follow_up);
        assert!(follow_up.goes_on() && !follow_up.goes_on());
        // Before the first is gone, the next begins.
        follow_up.round().is_running = true;
        drop(ending);
        assert!(follow_up.round().is_running);

        let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ending = Ending(&follow_up);
            panic!("it breaks off");
        }));
        assert!(broken.is_err() && !follow_up.round().is_running);
    }
}
