//! The broker is killed after every step with which it has to do. It takes seconds to come back, so the
//! programs of many companies stand still at once, each after another step, and it is killed once for all.

use std::thread;

use salesync::sandbox::{BrokerServer, Definitions};

use super::scenarios::{SCENARIOS, Scenario, company};
use super::{assert_healed, run};
use crate::company::Company;
use crate::halted::{Halted, Reached};
use crate::servers::{fresh_database, fresh_sandbox};

#[test]
fn the_broker_is_killed_after_every_step_that_concerns_it() {
    let points: Vec<(&Scenario, String)> = SCENARIOS
        .iter()
        .flat_map(|scenario| scenario.with_broker.iter().map(|step| (*scenario, format!("{step:?}"))))
        .collect();
    let sandbox = fresh_sandbox();
    let vhost = |number: usize| format!("company-{number}");
    let definitions = Definitions::with_vhosts((0..points.len()).map(vhost));
    let mut broker = BrokerServer::start(&sandbox, "broker", &definitions).unwrap();
    let urls = (0..points.len()).map(|number| broker.url(&vhost(number)));

    let companies: Vec<(Company, Halted, &Scenario)> =
        at_once(points.iter().zip(urls), |((scenario, step), url)| {
            let company = company(url, fresh_database);
            match run(&company, scenario, step) {
                Reached::Halt(halted) => (company, halted, *scenario),
                Reached::End(run) => panic!("never came to {step}: {run:?}"),
            }
        });
    broker.record_queues().unwrap();
    broker.kill();
    let companies = at_once(companies, |(company, halted, scenario)| {
        let step = halted.step.clone();
        // Done all the same, if it had no more need of it.
        let run = halted.go_on().exits_with_any(&[0, 3, 69, 75]);
        (company, step, run, scenario)
    });
    broker.start_again().unwrap();
    at_once(companies, |(company, step, run, scenario)| {
        // Shown if the test fails.
        println!("{step}: {run:?}");
        assert_healed(&company, scenario);
    });
}

/// Does the work on each in a thread of its own.
fn at_once<T: Send, R: Send>(all: impl IntoIterator<Item = T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = all.into_iter().map(|one| scope.spawn(move || work(one))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
