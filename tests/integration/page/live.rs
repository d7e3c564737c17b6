//! Open pages are told when something has changed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::login::{self, ANNA, BERT};
use super::site::Site;
use crate::company::Company;

/// A stream of events, as a browser reads it.
struct Events(BufReader<TcpStream>);

impl Events {
    fn of(site: &Site) -> Self {
        Self::asked(site, "/events")
    }

    fn asked(site: &Site, path: &str) -> Self {
        let mut stream = site.raw();
        let cookie = site.cookie();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n", site.host()).unwrap();
        Self(BufReader::new(stream))
    }

    /// Reads up to a line with this word.
    fn until(&mut self, word: &str) {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended before {word:?}");
        }
    }

    fn status(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

/// The first look after the start finds something new in any case; only what comes after it tells something.
fn after_the_first_look(site: &Site) -> Events {
    let mut events = Events::of(site);
    events.until("event: changed");
    events
}

#[test]
fn whoever_looks_on_is_told_of_every_kind_of_change_at_head_office() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(&company.head_office);
    let mut events = after_the_first_look(&site);
    company.branch().sell("Paper");
    company.sync();
    events.until("event: changed");
    company.head_office.run(&["request", "east", "--full"]).ok();
    events.until("event: changed");
}

#[test]
fn a_branch_is_told_of_a_sale_that_somebody_has_entered_elsewhere() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(company.branch());
    let mut events = after_the_first_look(&site);
    company.branch().sell("Paper");
    events.until("event: changed");
}

#[test]
fn what_changed_between_the_page_and_its_stream_is_told_at_once() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(&company.head_office);
    let mut first = after_the_first_look(&site);
    company.branch().sell("Paper");
    company.sync();
    first.until("event: changed");
    Events::asked(&site, "/events?age=600000").until("event: changed");
    Events::asked(&site, "/events?age=-1").until("400 Bad Request");
}

#[test]
fn two_hundred_look_on_and_the_next_one_is_refused_until_one_goes() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(&company.head_office);
    let mut streams: Vec<_> = (0..200).map(|_| Events::of(&site)).collect();
    assert!(streams.iter_mut().all(|events| events.status() == "HTTP/1.1 200 OK"));
    let mut refused = Events::of(&site);
    assert_eq!(refused.status(), "HTTP/1.1 503 Service Unavailable");
    site.get("/").is(200);
    company.branch().sell("Paper");
    company.sync();
    for events in &mut streams {
        events.until("event: changed");
    }
    streams.pop();
    let found = salesync::sandbox::wait_until(Duration::from_secs(30), "a free place", || {
        Ok((Events::of(&site).status() == "HTTP/1.1 200 OK").then_some(()))
    });
    found.unwrap();
}

#[test]
fn a_stream_on_which_nothing_happens_says_that_it_is_alive() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(&company.head_office);
    let mut events = after_the_first_look(&site);
    events.until(": alive");
}

#[test]
fn the_server_ends_at_once_although_somebody_looks_on() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(&company.head_office);
    let mut events = after_the_first_look(&site);
    site.stops().ok();
    let mut rest = String::new();
    events.0.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "the stream was cut off: {rest:?}");
}

#[test]
fn one_who_has_logged_in_looks_on_from_forty_pages_and_leaves_room_for_others() {
    let company = login::company("");
    let site = Site::of(&company.head_office);
    // However often they log in.
    let mut streams = Vec::new();
    for _ in 0..2 {
        site.forget();
        site.log_in("anna", ANNA).is(303);
        streams.extend((0..20).map(|_| Events::of(&site)));
    }
    assert!(streams.iter_mut().all(|events| events.status() == "HTTP/1.1 200 OK"));
    assert_eq!(Events::of(&site).status(), "HTTP/1.1 503 Service Unavailable");
    site.forget();
    site.log_in("bert", BERT).is(303);
    assert_eq!(Events::of(&site).status(), "HTTP/1.1 200 OK");
}
