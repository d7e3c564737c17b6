//! Who is let in, and what they may do then.

use std::time::{Duration, Instant};

use super::site::Site;
use crate::company::{Company, DELETES_ANYTHING, Node, Run, SALES};

pub const ANNA: &str = "correct horse battery";
pub const BERT: &str = "staple of my own";

/// What the configuration says of this password.
fn hash(node: &Node, password: &str) -> String {
    let run: Run = node.run_with(&["hash-password"], password.as_bytes()).ok();
    run.stdout().trim_end().to_owned()
}

/// Head office's sections for a page on which Anna operates and Bert looks.
pub fn users(node: &Node, serve: &str) -> String {
    let (anna, bert) = (hash(node, ANNA), hash(node, BERT));
    format!(
        "{DELETES_ANYTHING}[serve]\n{serve}\n\
         [[serve.users]]\nname = \"anna\"\nrole = \"operate\"\npassword = \"{anna}\"\n\
         [[serve.users]]\nname = \"bert\"\nrole = \"view\"\npassword = \"{bert}\"\n"
    )
}

/// A company whose head office has a page with users.
pub fn company(serve: &str) -> Company {
    let company = Company::of_sales(&["east"]);
    let head = &company.head_office;
    head.configure("role = \"head-office\"", &company.broker_url, &users(head, serve));
    company
}

#[test]
fn whoever_has_not_logged_in_sees_the_login_and_nothing_else() {
    let company = company("");
    let site = Site::of(&company.head_office);
    for path in ["/", "/days", "/bundles?branch=east", "/nothing"] {
        let page = site.get(path).is(303);
        assert!(page.header("location").starts_with("/login"), "{path}: {}", page.header("location"));
    }
    assert_eq!(site.get("/bundles?branch=east").header("location"), "/login?to=%2Fbundles%3Fbranch%3Deast");
    site.get("/events").is(401);
    site.post_as_is("/logout", &[]).is(401).shows(&["Please log in"]);
    let login = site.get("/login?to=%2Fdays").is(200).shows(&["<h1>Log in</h1>", "value=\"/days\""]);
    assert_eq!(login.csrf(), "");
    login.hides(&["east", "<nav", "Log out"]);
    site.get("/healthz").is(200).shows(&["\"status\":\"ok\""]);
    let metrics = site.get("/metrics").is(401);
    assert_eq!(metrics.header("www-authenticate"), "Basic realm=\"salesync\"");
}

#[test]
fn a_login_begins_a_session_and_logging_out_ends_it() {
    let company = company("");
    let site = Site::of(&company.head_office);
    let page =
        site.post_as_is("/login", &[("name", "anna"), ("password", ANNA), ("to", "/bundles?branch=east")]);
    let page = page.is(303);
    assert_eq!(page.header("location"), "/bundles?branch=east");
    let cookie = page.header("set-cookie");
    assert!(
        cookie.starts_with("salesync-head=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"),
        "{cookie}"
    );
    site.get("/").is(200).shows(&["<span>anna</span>", "Log out"]);
    assert_eq!(site.get("/login").is(303).header("location"), "/");
    let session = site.cookie();
    assert_eq!(site.post("/logout", &[]).is(303).header("location"), "/login");
    assert_eq!(site.cookie(), "");
    site.get("/").is(303);
    let (name, value) = session.split_once('=').unwrap();
    site.bring(name, value);
    site.get("/").is(303);
}

#[test]
fn a_wrong_password_and_an_unknown_name_look_alike() {
    let company = company("");
    let site = Site::of(&company.head_office);
    let known = site.log_in("anna", "wrong").is(401).text;
    let unknown = site.log_in("hugo", "wrong").is(401).text;
    assert_eq!(known.replace("anna", "hugo"), unknown);
    assert!(
        known.contains("The name or the password is wrong.") && known.contains("value=\"anna\""),
        "{known}"
    );
    assert_eq!(site.cookie(), "");
    let escaped = site.log_in("<script>alert(1)</script>", "wrong").is(401);
    escaped.hides(&["<script>alert"]);
}

#[test]
fn whoever_guesses_waits_even_with_the_right_password() {
    let company = company("");
    let site = Site::of(&company.head_office);
    // The first three are free, and after each for which one has waited the wait is longer.
    let guess = |number: u32| {
        let began = Instant::now();
        let page = site.log_in(&format!("guess-{number}"), "wrong");
        let wait = if page.status == 429 { page.header("retry-after").parse().unwrap() } else { 0 };
        (wait >= 4).then(|| (began + Duration::from_secs(wait - 1), page))
    };
    let is_refused = (0..20).any(|_| {
        let (until, told) = (0..).find_map(guess).unwrap();
        told.shows(&["Please wait", "Try again in"]);
        let status = site.log_in("anna", ANNA).status;
        // On a machine that is slower than the wait, the next one is longer.
        let is_early = Instant::now() < until;
        assert!(!is_early || status == 429, "{status}: the right password was taken while one had to wait");
        is_early
    });
    assert!(is_refused);
}

#[test]
fn a_session_is_a_new_one_whatever_cookie_somebody_has_planted() {
    let company = company("");
    let site = Site::of(&company.head_office);
    let planted = "1".repeat(64);
    site.bring("salesync-head", &planted);
    site.get("/").is(303);
    site.log_in("anna", ANNA).is(303);
    assert!(!site.cookie().contains(&planted));
    let first = site.cookie();
    site.log_in("anna", ANNA).is(303);
    assert_ne!(site.cookie(), first);
    // The one before it is over.
    let (name, value) = first.split_once('=').unwrap();
    site.bring(name, value);
    site.get("/").is(303);
}

#[test]
fn whoever_may_look_may_do_nothing_else_but_leave() {
    let company = company("");
    let east = company.branch();
    let users = users(east, "").replace(DELETES_ANYTHING, "");
    east.configure("role = \"branch\"", &company.broker_url, &format!("{SALES}{users}"));
    for (node, source) in [
        (&company.head_office, include_str!("../../../src/web/head_office/mod.rs")),
        (east, include_str!("../../../src/web/branch/mod.rs")),
    ] {
        let site = Site::of(node);
        site.log_in("bert", BERT).is(303);
        site.get("/").is(200).shows(&["bert", "may look"]);
        for path in operations(source) {
            site.post(&path, &[]).is(403).shows(&["you may look, and change nothing"]);
        }
        site.post("/logout", &[]).is(303);
    }
    assert!(operations(include_str!("../../../src/web/branch/mod.rs")).len() > 3);
}

/// What changes something, by the routes of a role.
fn operations(source: &str) -> Vec<String> {
    let routes = source.split(".route(").skip(1).filter(|route| route.contains("post("));
    let paths = routes.filter_map(|route| route.split('"').nth(1));
    let concrete = |part: &str| if part.starts_with('{') { "1".to_owned() } else { part.to_owned() };
    paths.map(|path| path.split('/').map(concrete).collect::<Vec<_>>().join("/")).collect()
}

#[test]
fn a_form_of_another_session_is_not_taken() {
    let company = company("");
    let site = Site::of(&company.head_office);
    site.log_in("anna", ANNA).is(303);
    let former = site.get("/").csrf();
    site.forget();
    site.log_in("anna", ANNA).is(303);
    for csrf in ["", "0", &former] {
        site.post_as_is("/logout", &[("csrf", csrf)]).is(403).shows(&["does not come from this page"]);
    }
    site.post_as_is("/logout", &[]).is(403);
    site.get("/").is(200);
}

#[test]
fn a_form_from_elsewhere_is_not_taken_even_with_the_token() {
    let company = company("");
    let site = Site::of(&company.head_office);
    site.log_in("anna", ANNA).is(303);
    let csrf = site.get("/").csrf();
    let (form, own) = ([("csrf", csrf.as_str())], site.url.as_str());
    for headers in [
        &[][..],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[("Origin", own), ("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
    ] {
        let page = site.post_with("/logout", &form, headers).is(403);
        assert_eq!(page.csrf(), "", "{headers:?}");
        let login = [("name", "anna"), ("password", ANNA)];
        site.post_with("/login", &login, headers).is(403);
    }
    site.get("/").is(200);
    site.post_with("/logout", &form, &[("Origin", own), ("Sec-Fetch-Site", "same-origin")]).is(303);
}

#[test]
fn on_this_machine_nobody_logs_in_and_forms_are_proven_all_the_same() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(&company.head_office);
    let page = site.get("/").is(200).hides(&["Log out"]);
    assert_eq!(page.csrf().len(), 64);
    site.get("/login").is(404);
    site.log_in("anna", ANNA).is(404);
    site.post_as_is("/logout", &[("csrf", "0")]).is(403);
    site.post_with("/logout", &[("csrf", &page.csrf())], &[("Origin", "http://localhost:1")]).is(403);
}

#[test]
fn a_page_elsewhere_that_takes_this_address_for_its_name_learns_nothing() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(&company.head_office);
    let ask = |host: &str| site.say(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    let port = site.host().rsplit(':').next().unwrap();
    for host in ["127.0.0.1", &format!("localhost:{port}"), "[::1]:9999"] {
        assert!(ask(host).starts_with("HTTP/1.1 200 "), "{host}");
    }
    for host in ["evil.example", &format!("127.0.0.1.evil.example:{port}"), ""] {
        let answer = ask(host);
        assert!(answer.starts_with("HTTP/1.1 421 "), "{host}: {answer}");
        assert!(!answer.contains("head") && !answer.contains("csrf"), "{host}: {answer}");
    }
}

#[test]
fn a_program_sends_name_and_password_for_the_figures_and_for_nothing_else() {
    let company = company("");
    let site = Site::of(&company.head_office);
    let basic = |text| format!("Basic {text}");
    // bert:staple of my own; bert:wrong; no colon; no base64
    let right = basic("YmVydDpzdGFwbGUgb2YgbXkgb3du");
    site.get_with("/metrics", &[("Authorization", &right)]).is(200).shows(&["# TYPE salesync_"]);
    for wrong in ["YmVydDp3cm9uZw==", "YmVydA==", "%%%", ""] {
        site.get_with("/metrics", &[("Authorization", &basic(wrong))]).is(401);
    }
    site.get_with("/", &[("Authorization", &right)]).is(303);
}

#[test]
fn neither_passwords_nor_sessions_are_told_to_anybody() {
    let company = company("");
    let site = Site::with(&company.head_office, &["-vv"]);
    site.log_in("anna", "a wrong guess").is(401).hides(&["a wrong guess"]);
    site.log_in("anna", ANNA).is(303);
    let csrf = site.get("/").is(200).hides(&["argon2"]).csrf();
    let session = site.cookie();
    let run = site.stops().ok();
    let said = run.stderr();
    assert!(said.contains("a login failed, from 127.0.0.1") && said.contains("anna has logged in"), "{said}");
    for secret in ["a wrong guess", ANNA, &csrf, session.split_once('=').unwrap().1, "argon2id"] {
        assert!(!said.contains(secret), "{secret} is in the log:\n{said}");
    }
}

#[test]
fn behind_a_proxy_the_address_is_what_the_proxy_has_added() {
    let company = company("behind_proxy = true\nhosts = [\"sales.example\"]");
    let site = Site::of(&company.head_office);
    let origin = ("Origin", "https://sales.example");
    let guess = |name: &str, password: &str, forwarded: &str| {
        let form = [("name", name), ("password", password)];
        site.post_with("/login", &form, &[origin, ("X-Forwarded-For", forwarded)])
    };
    // Whatever somebody claims to be, the proxy's word stands behind it.
    let mut guesses =
        (0..100).map(|n| guess(&format!("guess-{n}"), "wrong", &format!("10.1.1.{n}, 192.0.2.1")));
    guesses.find(|page| page.status == 429).expect("nobody was told to wait");
    let page = guess("anna", ANNA, "192.0.2.1, 198.51.100.7").is(303);
    let cookie = page.header("set-cookie");
    assert!(cookie.starts_with("__Host-salesync-head=") && cookie.contains("; Secure"), "{cookie}");
    site.get("/").is(200).shows(&["anna"]);
    site.get_with("/", &[("Host", "sales.example")]).is(200);
    site.get_with("/", &[("Host", "evil.example")]).is(421);
}

#[test]
fn where_the_proxy_does_not_say_who_asks_nobody_waits_for_the_failures_of_others() {
    let company = company("behind_proxy = true\nhosts = [\"sales.example\"]");
    let site = Site::of(&company.head_office);
    let log_in = |name: &str, password: &str, headers: &[(&str, &str)]| {
        let headers = [&[("Origin", "https://sales.example")], headers].concat();
        site.post_with("/login", &[("name", name), ("password", password)], &headers).status
    };
    for (number, headers) in
        [&[][..], &[("X-Forwarded-For", "unknown")]].into_iter().cycle().take(10).enumerate()
    {
        assert_eq!(log_in(&format!("guess-{number}"), "wrong", headers), 401);
    }
    assert_eq!(log_in("anna", ANNA, &[]), 303);
    // A name is guarded all the same.
    let told = (0..100).map(|_| log_in("bert", "wrong", &[])).find(|status| *status != 401);
    assert_eq!(told, Some(429));
    let said = site.stops().ok().stderr();
    assert_eq!(said.matches("the proxy does not say in X-Forwarded-For who asks").count(), 1, "{said}");
    assert!(said.contains("a login failed, from an unknown address"), "{said}");
}
