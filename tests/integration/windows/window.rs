//! `bundle --until` and `--for`.

use crate::company::{Company, Node, SALES};
use crate::line::Line;
use crate::running::Running;

/// A branch whose broker is at the other end of a line.
fn by_line(company: &Company) -> Line {
    let line = Line::to(&company.broker_url);
    company.branch().configure("role = \"branch\"", line.url(), SALES);
    line
}

/// Rows that do not get small by compression: about 30 bytes each.
fn sell_much(node: &Node, count: u32) {
    node.sql(&format!(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT '2021-05-02', 'East', md5(n::text) || md5(random()::text), 1, 1, 1, 0, 1 FROM generate_series(1, {count}) n"
    ));
}

#[test]
fn a_window_goes_on_trying_until_the_line_is_up() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let line = by_line(&company);
    line.goes_down();
    east.sell("Ink");
    let window = Running::start(east, &["bundle", "--for", "10m", "--json"]);
    window.has_said("connecting to");
    // It holds the lock all the while.
    east.run(&["bundle"]).exits(75).says(&["salesync bundle (server process"]);
    // While the line is down nothing more is sealed: that goes as one bundle when it is up.
    for product in ["Pens", "Paper", "Glue"] {
        east.sell(product);
    }
    line.wait_for_calls(1);
    assert_eq!(east.bundles().len(), 1);
    // The connection to the database is lost as well.
    east.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = 'salesync bundle' AND datname = current_database()",
    );
    line.is_repaired();
    let run = window.ends().ok();
    // What is the matter is said once, however often it was tried.
    assert_eq!(run.stderr().matches("salesync: connecting to amqp").count(), 1, "{}", run.stderr());
    let report = run.json();
    assert_eq!((&report["pending"], &report["pending_bytes"]), (&0.into(), &0.into()));
    let rows: Vec<_> =
        report["bundles"].as_array().unwrap().iter().map(|line| line["rows"].clone()).collect();
    assert_eq!(rows, [1, 3]);
    company.head_office.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn a_window_that_closes_says_what_is_left_and_how_long_that_takes() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let line = Line::to(&company.broker_url);
    let small = format!("[bundle]\nmax_bytes = \"64 KiB\"\n{SALES}");
    east.configure("role = \"branch\"", line.url(), &small);
    sell_much(east, 40_000);
    east.run(&["bundle", "--offline"]).ok();
    let all = east.bundles().len();
    assert!(all >= 20, "only {all} bundles");
    // Two seconds for each bundle, and a window for several of them.
    line.slows_to(32 << 10);
    let run = east.run(&["bundle", "--for", "8s", "--json"]).exits(75).says(&[
        "publishing in the window: the window has closed with ",
        " bundles left (",
        " rows), about ",
        "/s of this run",
        "hint: nothing is lost",
    ]);
    let report = run.json();
    let bundles = report["bundles"].as_array().unwrap();
    let left: Vec<_> = bundles.iter().filter(|bundle| bundle["state"] == "sealed").collect();
    assert!(!left.is_empty() && left.len() < all, "{} of {all} left", left.len());
    let sum = |name: &str| left.iter().map(|bundle| bundle[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!(report["pending"], left.len());
    assert_eq!(
        (report["pending_bytes"].as_u64(), report["pending_rows"].as_u64()),
        (Some(sum("bytes")), Some(sum("rows")))
    );
    // At 32 KiB/s at most, and at least a tenth of that.
    let seconds = report["pending_seconds"].as_u64().unwrap();
    let shortest = sum("bytes") / (40 << 10);
    assert!((shortest..shortest * 12).contains(&seconds), "{seconds} s for {} bytes", sum("bytes"));

    line.is_repaired();
    let rest = east.run(&["bundle", "--json"]).ok().json();
    assert_eq!(rest["bundles"].as_array().unwrap().len(), left.len());
    company.head_office.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn a_window_in_which_nothing_could_be_sent_gives_no_estimate() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let line = by_line(&company);
    line.goes_down();
    east.sell("Ink");
    let run = east.run(&["bundle", "--for", "2s", "--json"]).exits(75).says(&[
        "1 bundle left (",
        "1 row), time needed unknown, as nothing was sent; the last attempt failed: connecting to",
    ]);
    assert_eq!(run.json()["pending_seconds"], serde_json::Value::Null);
    line.is_repaired();
    east.run(&["bundle", "--until", "23:59"]).ok();
    company.head_office.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn a_window_ends_when_it_is_told_to() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let line = by_line(&company);
    line.goes_down();
    east.sell("Ink");
    for signal in ["TERM", "INT"] {
        let window = Running::start(east, &["bundle", "--for", "10h"]);
        line.wait_for_calls(2);
        window.signal(signal);
        let run =
            window.ends().exits(75).says(&["it was stopped with 1 bundle left", "hint: nothing is lost"]);
        assert!(run.stdout().contains("sealed"), "{}", run.stdout());
    }
    line.is_repaired();
    east.run(&["bundle"]).ok();
    company.head_office.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn what_waiting_cannot_mend_ends_a_window_at_once() {
    let company = Company::new(&["east"], SALES);
    let east = company.branch();
    east.run(&["init", "--with-sales"]).ok();
    east.sell("Ink");
    let window = &["bundle", "--for", "10h", "--json"];
    // No exchange, because head office has not been prepared.
    assert_eq!(east.run(window).exits(78).says(&["salesync init"]).json()["pending"], 1);
    let wrong = company.broker_url.replace(":sandbox@", ":wrong@");
    east.configure("role = \"branch\"", &wrong, SALES);
    assert_eq!(east.run(window).exits(77).says(&["password"]).json()["pending"], 1);
    assert_eq!(east.run(&["bundle", "--for", "10h", "--since", "9"]).exits(2).stdout(), "");
    for wrong in [
        &["bundle", "--until", "25:00"][..],
        &["bundle", "--until", "9pm"],
        &["bundle", "--for", "soon"],
        &["bundle", "--for", "1h", "--until", "22:00"],
        &["bundle", "--for", "1h", "--offline"],
        &["bundle", "--follow", "--offline"],
        &["bundle", "--follow", "--until", "22:00"],
        &["apply", "--follow", "x.bundle"],
        &["sync", "--wait", "long"],
    ] {
        east.run(wrong).exits(2);
    }
}

#[test]
fn progress_is_shown_on_a_terminal_only() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let on_terminal = |node: &Node, arguments: &str| {
        let program = node.command(&[]).get_program().to_string_lossy().into_owned();
        let line = format!("{program} {arguments} >printed");
        let mut command = std::process::Command::new("script");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        command.current_dir(&node.folder).env_clear().env("TERM", "xterm").env("PATH", "/usr/bin:/bin");
        crate::company::Run::of(&mut command).ok().stdout()
    };
    east.sell("Ink");
    assert!(on_terminal(east, "bundle").contains("bundle 1 of 1"));
    assert!(on_terminal(&company.head_office, "apply").contains("1 bundle applied"));
    east.sell("Ink");
    assert_eq!(on_terminal(east, "bundle -q"), "");
    assert_eq!(company.head_office.run(&["apply"]).ok().stderr(), "");
    east.sell("Ink");
    assert_eq!(east.run(&["bundle"]).ok().stderr(), "");
}
