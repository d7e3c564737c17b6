//! Slow, silent and greedy clients, and a database that is away: the page goes on, and so does `apply`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use salesync::sandbox::wait_until;

use super::login::{self, ANNA};
use super::site::Site;
use crate::company::{Company, Node};

const LIMIT: Duration = Duration::from_mins(2);
/// What the issue of the page's robustness is measured by.
const MANY: usize = 1000;

/// What the connection says until it is closed, whichever way.
fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The server has closed the connection, and is not just silent.
fn assert_closed(mut stream: TcpStream) {
    let error = match stream.read(&mut [0; 4096]) {
        Ok(0) => return,
        Ok(_) => return assert_closed(stream),
        Err(error) => error,
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "it was kept open: {error}");
}

#[test]
fn who_never_finishes_a_request_is_not_waited_for() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(&company.head_office);
    let mut silent = Vec::new();
    for words in ["", "GET", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "] {
        let mut stream = site.raw();
        stream.write_all(words.as_bytes()).unwrap();
        silent.push(stream);
    }
    // One that was answered, and asks nothing more.
    let mut idle = site.raw();
    write!(idle, "GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", site.host()).unwrap();
    silent.push(idle);
    site.get("/").is(200);
    silent.into_iter().for_each(assert_closed);
    site.get("/").is(200);
}

#[test]
fn a_form_that_does_not_come_to_its_end_is_not_waited_for() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(&company.head_office);
    let mut stream = site.raw();
    write!(
        stream,
        "POST /logout HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\nContent-Length: 100\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\ncsrf=",
        site.host()
    )
    .unwrap();
    let answer = rest(stream);
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("<strong>head</strong>"), "{answer}");
}

#[test]
fn a_form_of_ten_megabytes_is_refused_before_it_has_come() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(&company.head_office);
    let head = |length: &str| {
        format!(
            "POST /logout HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\n{length}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n",
            site.host()
        )
    };
    let mut told = site.raw();
    told.write_all(head("Content-Length: 10000000").as_bytes()).unwrap();
    let answer = rest(told);
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("<strong>head</strong>"), "{answer}");

    // Without saying so before, in pieces that never end.
    let mut untold = site.raw();
    untold.write_all(head("Transfer-Encoding: chunked").as_bytes()).unwrap();
    let piece = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let mut sent = 0;
    while sent < 10_000_000 && untold.write_all(piece.as_bytes()).is_ok() {
        sent += 0x1000;
    }
    assert!(sent < 10_000_000, "all of it was taken");
    site.get("/").is(200);
}

#[test]
fn what_is_no_request_of_a_browser_is_answered_and_nothing_breaks() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(&company.head_office);
    let ask = |line: &str, more: &str| {
        site.say(&format!("{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{more}\r\n", site.host()))
    };
    let is = |answer: String, status: u16| {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status} expected: {answer:.300}");
        answer
    };
    let head = is(ask("HEAD /", ""), 200);
    assert!(head.ends_with("\r\n\r\n") && head.contains("content-security-policy: "), "{head}");
    assert!(is(ask("HEAD /nothing", ""), 404).ends_with("\r\n\r\n"));
    let wrong = is(ask("DELETE /", &format!("Origin: http://{}\r\n", site.host())), 405);
    assert!(wrong.contains("allow: GET,HEAD") && wrong.contains("<strong>head</strong>"), "{wrong}");
    is(ask("TRACE /", ""), 403);
    let long = is(ask(&format!("GET /?{}", "x".repeat(9000)), ""), 414);
    assert!(long.contains("<strong>head</strong>"), "{long}");
    // Closed before it has read all of it, the connection may lose the answer.
    let endless = ask("GET /", &format!("X-Long: {}\r\n", "x".repeat(100_000)));
    assert!(endless.is_empty() || endless.starts_with("HTTP/1.1 431 "), "{endless:.300}");
    is(ask("GET /%ff%00/..%2f..%2fetc/passwd", ""), 404);
    is(ask("GET /assets/../../Cargo.toml", ""), 404);
    is(site.say("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n"), 400);
    is(site.say("GET / HTTP/1.1\r\n\r\n"), 421);
    site.get("/").is(200);
}

#[test]
fn a_thousand_who_say_nothing_keep_nobody_out() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(&company.head_office);
    let silent: Vec<_> = (0..MANY)
        .map(|number| {
            let mut stream = site.raw();
            // Half of them have begun.
            stream.write_all(if number % 2 == 0 { b"" } else { b"GET / HTTP/1.1\r\n" }).unwrap();
            stream
        })
        .collect();
    for path in ["/", "/healthz", "/"] {
        site.get(path).is(200);
    }
    company.branch().sell("Paper");
    company.sync();
    company.assert_equal("public.sales");
    drop(silent);
}

#[test]
fn a_thousand_who_look_on_hold_up_neither_the_page_nor_apply() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(&company.head_office);
    let ask = format!("GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", site.host());
    let mut streams: Vec<_> = (0..MANY)
        .map(|_| {
            let mut stream = site.raw();
            stream.write_all(ask.as_bytes()).unwrap();
            stream
        })
        .collect();
    let mut taken = 0;
    for stream in &mut streams {
        let mut status = [0; 12];
        // On a busy machine some are cut off before they are heard, to make room.
        let is_answered = stream.read_exact(&mut status).is_ok();
        taken += usize::from(is_answered && &status == b"HTTP/1.1 200");
    }
    assert_eq!(taken, 200);
    company.branch().sell("Paper");
    company.sync();
    company.assert_equal("public.sales");
    site.get("/").is(200);
}

/// The sessions that the page has at the database.
fn sessions(node: &Node) -> usize {
    let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                 AND application_name = 'salesync serve'";
    node.value(count).parse().unwrap()
}

#[test]
fn a_table_that_somebody_has_locked_costs_the_page_six_sessions_at_most() {
    let company = Company::of_sales(&["east"]);
    let head = &company.head_office;
    let site = Site::of(head);
    site.get("/").is(200);
    let mut client = head.client();
    let mut lock = client.transaction().unwrap();
    lock.batch_execute("LOCK TABLE salesync.branch IN ACCESS EXCLUSIVE MODE").unwrap();
    thread::scope(|scope| {
        let asking: Vec<_> = (0..20).map(|_| scope.spawn(|| site.get("/").status)).collect();
        let all_busy =
            wait_until(LIMIT, "six sessions that wait", || Ok((sessions(head) == 6).then_some(())));
        all_busy.unwrap();
        // Whoever has waited long enough for a turn, or for the table, is told so.
        let statuses: Vec<_> = asking.into_iter().map(|asking| asking.join().unwrap()).collect();
        assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
        assert_eq!(sessions(head), 6);
    });
    lock.commit().unwrap();
    site.get("/").is(200);
}

#[test]
fn a_page_is_there_again_as_soon_as_its_database_is() {
    let company = Company::of_sales(&["east"]);
    let head = &company.head_office;
    let site = Site::of(head);
    site.get("/").is(200);
    let name = head.value("SELECT current_database()");
    let end = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'
         AND application_name = 'salesync serve'"
    );
    // Its sessions have ended, as when the server is restarted.
    assert_ne!(head.value(&end), "0");
    site.get("/").is(200);

    let elsewhere = company.branch();
    elsewhere.sql(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
    assert_ne!(elsewhere.value(&end), "0");
    site.get("/healthz").is(503).shows(&["\"database\":false"]);
    site.get("/").is(503).shows(&["<strong>head</strong>", "connecting to postgres://"]);
    elsewhere.sql(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
    site.get("/healthz").is(200).shows(&["\"database\":true"]);
    site.get("/").is(200);
}

#[test]
fn slow_logins_of_one_address_are_few_at_a_time_and_keep_no_other_out() {
    let company = login::company("behind_proxy = true\nhosts = [\"sales.example\"]");
    let site = Site::of(&company.head_office);
    let slow: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = site.raw();
            write!(
                stream,
                "POST /login HTTP/1.1\r\nHost: sales.example\r\nOrigin: https://sales.example\r\n\
                 X-Forwarded-For: 192.0.2.1\r\nContent-Length: 100\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\n\r\nname="
            )
            .unwrap();
            stream
        })
        .collect();
    let headers = [("Origin", "https://sales.example"), ("X-Forwarded-For", "192.0.2.2")];
    site.post_with("/login", &[("name", "anna"), ("password", ANNA)], &headers).is(303);
    let told: Vec<_> = slow.into_iter().map(rest).collect();
    let count = |status: &str| told.iter().filter(|answer| answer.starts_with(status)).count();
    let (waited_for, refused) = (count("HTTP/1.1 408 "), count("HTTP/1.1 429 "));
    assert_eq!(waited_for + refused, 100, "{told:?}");
    assert!(waited_for >= 32 && refused > 0, "{waited_for} were waited for, {refused} refused");
    // With them gone the address is as good as any other.
    let headers = [("Origin", "https://sales.example"), ("X-Forwarded-For", "192.0.2.1")];
    site.post_with("/login", &[("name", "anna"), ("password", ANNA)], &headers).is(303);
}
