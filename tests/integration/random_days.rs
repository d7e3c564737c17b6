//! Days of chance: writes, commands, kills, broken lines, servers that die, bundles that come twice or by
//! stick. Whatever happened, the company comes to rest, and is whole.
//!
//! `SALESYNC_SEED` repeats a life. `make soak` lives many, for `SALESYNC_SOAK_MINUTES`, with a broker of its own
//! that is killed too.

mod life;
mod writes;

use std::env;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use salesync::sandbox::{BrokerServer, Definitions, PostgresServer};

use self::life::{Broker, Life};
use crate::servers::{fresh_sandbox, fresh_vhost};

/// More lives than a soak has time for.
const VHOSTS: u32 = 300;

#[test]
fn after_days_of_chance_nothing_is_lost_doubled_or_stuck() {
    let sandbox = fresh_sandbox();
    let mut postgres = PostgresServer::start(&sandbox, "postgres").unwrap();
    let seed = variable("SALESYNC_SEED").unwrap_or_else(seed_of_now);
    let Some(minutes) = variable::<u64>("SALESYNC_SOAK_MINUTES") else {
        Life::begin(seed, &mut postgres, Broker::Shared(fresh_vhost())).live();
        return;
    };
    let vhost = |number: u32| format!("life-{number}");
    let definitions = Definitions::with_vhosts((0..VHOSTS).map(vhost));
    let mut broker = BrokerServer::start(&sandbox, "broker", &definitions).unwrap();
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    for number in (0..VHOSTS).take_while(|_| Instant::now() < end) {
        let own = Broker::Own { server: &mut broker, vhost: vhost(number) };
        Life::begin(seed.wrapping_add(number.into()), &mut postgres, own).live();
    }
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    let value = env::var(name).ok().filter(|value| !value.is_empty())?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs() * 1000 + u64::from(now.subsec_millis())
}
