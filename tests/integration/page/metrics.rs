//! What a monitoring system reads: the figures of `status`, bounded labels, and a dashboard that uses just these.
#![allow(clippy::float_cmp, clippy::cast_precision_loss, reason = "counts are exact")]

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;

use super::site::Site;
use super::world::eventful_company;
use crate::company::{Company, Node};
use crate::documents::text_of;

/// Values by name with labels.
fn metrics(site: &Site) -> BTreeMap<String, f64> {
    let page = site.get("/metrics").is(200);
    assert_eq!(page.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(page.text.ends_with("# EOF\n"), "{}", page.text);
    let samples = page.text.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.map(|line| line.rsplit_once(' ').unwrap());
    samples.map(|(name, value)| (name.replace("{}", ""), value.parse().unwrap())).collect()
}

/// The metrics there are, without what a histogram adds.
fn names(metrics: &BTreeMap<String, f64>) -> BTreeSet<String> {
    metrics.keys().map(|key| family(key.split('{').next().unwrap())).collect()
}

fn family(name: &str) -> String {
    let ends = ["_bucket", "_sum", "_count"];
    let base = ends.iter().find_map(|end| name.strip_suffix(end)).filter(|base| base.ends_with("_seconds"));
    base.unwrap_or(name).to_owned()
}

#[test]
fn the_figures_of_head_office_are_those_of_status() {
    let company = eventful_company();
    let site = Site::of(&company.head_office);
    let status = company.head_office.run(&["status", "--json"]).ok().json();
    let metrics = metrics(&site);
    for branch in status["branches"].as_array().unwrap() {
        let name = branch["branch"].as_str().unwrap();
        let of =
            |metric: &str| metrics.get(&format!("salesync_branch_{metric}{{branch=\"{name}\"}}")).copied();
        let count = |list: &Value| Some(list.as_array().unwrap().len() as f64);
        assert_eq!(of("last_applied_sequence"), branch["last_sequence"].as_f64(), "{name}");
        assert_eq!(of("held_bundles"), count(&branch["held"]), "{name}");
        assert_eq!(of("missing_bundles"), count(&branch["missing"]), "{name}");
        assert_eq!(of("rejected_bundles"), branch["rejected"].as_f64(), "{name}");
        assert_eq!(of("open_requests"), count(&branch["requests"]), "{name}");
        assert_eq!(of("late"), Some(f64::from(u8::from(branch["late"].as_bool().unwrap()))), "{name}");
        assert_eq!(of("needs_person"), Some(f64::from(u8::from(name != "east"))), "{name}");
        assert_eq!(
            of("clock_skew_seconds"),
            branch["clock_skew_ms"].as_f64().map(|skew| skew / 1000.0),
            "{name}"
        );
        assert_eq!(of("data_age_seconds").is_some(), branch["data_as_of"].is_string(), "{name}");
        let ledger = |what: &str| {
            let sql = format!(
                "SELECT coalesce(sum({what}), 0) FROM salesync.bundle WHERE branch = '{name}' AND state = 'applied'"
            );
            Some(company.head_office.value(&sql).parse::<f64>().unwrap())
        };
        assert_eq!(of("bundles_applied_total"), ledger("1"), "{name}");
        assert_eq!(of("rows_applied_total"), ledger("row_count + tombstone_count"), "{name}");
        assert_eq!(of("bytes_applied_total"), ledger("byte_count"), "{name}");
    }
    assert_eq!(metrics["salesync_incidents_total{branch=\"south\",kind=\"rejected\"}"], 1.0);
    assert_eq!(metrics["salesync_incidents_unresolved{branch=\"west\",kind=\"held\"}"], 1.0);
    assert_eq!(metrics["salesync_database_up"], 1.0);
    let build = "salesync_build_info{node=\"head\",role=\"head-office\",version=\"0.1.0\"}";
    assert_eq!(metrics[build], 1.0);
}

#[test]
fn the_figures_of_a_branch_are_those_of_status() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sell("Ink");
    company.sync();
    east.run(&["bundle"]).ok();
    east.sell("Ink");
    east.run(&["bundle", "--offline"]).ok();
    east.sell("Ink");
    let status = east.run(&["status", "--json"]).ok().json();
    let metrics = metrics(&Site::of(east));
    for (metric, field) in [
        ("unsynced_rows", "unsynced"),
        ("pending_bundles", "pending"),
        ("last_published_sequence", "last_published"),
        ("last_applied_sequence", "last_applied"),
    ] {
        assert_eq!(Some(metrics[&format!("salesync_{metric}")]), status[field].as_f64(), "{metric}");
    }
    assert_eq!(metrics["salesync_unproven_rows{table=\"public.sales\"}"], 2.0);
    assert_eq!(metrics["salesync_unapplied_bundles{state=\"held\"}"], 0.0);
    assert!(metrics["salesync_change_log_bytes"] > 0.0 && metrics["salesync_proven_age_seconds"] > 0.0);
}

#[test]
fn requests_are_counted_by_route_and_never_by_what_was_asked_for() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(&company.head_office);
    for path in
        ["/days/east/2021-05-02", "/days/east/2021-05-03", "/days?until=never", "/nothing", "/nothing/else"]
    {
        site.get(path);
    }
    let metrics = metrics(&site);
    let requests = |route: &str, status: &str| {
        metrics[&format!("salesync_page_requests_total{{route=\"{route}\",status=\"{status}\"}}")]
    };
    assert_eq!(requests("/days/{branch}/{day}", "2xx"), 2.0);
    assert_eq!(requests("/days", "4xx"), 1.0);
    assert_eq!(requests("none", "4xx"), 2.0);
    assert_eq!(metrics["salesync_page_request_duration_seconds_count{route=\"/days/{branch}/{day}\"}"], 2.0);
    assert_eq!(metrics["salesync_page_errors_total{kind=\"usage\"}"], 1.0);
    assert!(!metrics.keys().any(|key| key.contains("nothing") || key.contains("2021")), "{metrics:?}");
}

#[test]
fn a_database_that_does_not_answer_is_a_figure_too() {
    let company = Company::of_sales(&["east"]);
    company.head_office.sql("ALTER TABLE salesync.incident RENAME TO elsewhere");
    let metrics = metrics(&Site::of(&company.head_office));
    assert_eq!(metrics["salesync_database_up"], 0.0);
    assert!(
        metrics.contains_key("salesync_build_info{node=\"head\",role=\"head-office\",version=\"0.1.0\"}")
    );
}

/// Every figure of this node, also those that are there only after something has happened.
fn all_metrics(node: &Node) -> BTreeMap<String, f64> {
    let site = Site::of(node);
    site.get("/nothing");
    node.sql("ALTER TABLE salesync.bundle RENAME TO elsewhere");
    site.get("/").is(500);
    node.sql("ALTER TABLE salesync.elsewhere RENAME TO bundle");
    let has_asked =
        |metrics: &BTreeMap<String, f64>| node.name != "head" || metrics["salesync_broker_up"] > 0.0;
    let found =
        salesync::sandbox::wait_until(std::time::Duration::from_mins(2), "an answer of the broker", || {
            Ok(Some(metrics(&site)).filter(has_asked))
        });
    found.unwrap()
}

/// The labels that a question or its words name: `by (kind)`, `{{branch}}`, `{{ $labels.branch }}`.
fn labels(text: &str) -> BTreeSet<String> {
    let named = Regex::new(r"by \(([a-z, ]+)\)|\{\{ *(?:\$labels\.)?([a-z]+) *\}\}").unwrap();
    let lists = named.captures_iter(text).map(|found| found.extract::<1>().1[0].to_owned());
    lists.flat_map(|list| list.split(", ").map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Each figure in these words has the labels that they name.
fn assert_labels(words: &str, known: &BTreeMap<String, f64>) {
    for metric in Regex::new("salesync_[a-z0-9_]+").unwrap().find_iter(words) {
        let series: Vec<_> =
            known.keys().filter(|key| key.split('{').next() == Some(metric.as_str())).collect();
        for label in labels(words) {
            // Prometheus itself adds where it has fetched them.
            let is_there = ["instance", "job"].contains(&&*label)
                || series.iter().any(|key| key.contains(&format!("{label}=\"")));
            assert!(is_there, "{words}: {} has no label {label}: {series:?}", metric.as_str());
        }
    }
}

#[test]
fn the_dashboard_and_the_alert_rules_use_exactly_the_figures_there_are() {
    let company = eventful_company();
    let mut metrics = all_metrics(&company.head_office);
    // Of its bundles one is lost, so that something is not proven.
    metrics.extend(all_metrics(&company.branches[3]));
    let known = names(&metrics);
    let word = Regex::new("salesync_[a-z0-9_]+").unwrap();
    let used = |file: &str| -> BTreeSet<String> {
        word.find_iter(&text_of(file)).map(|found| family(found.as_str())).collect()
    };
    let dashboard: Value = serde_json::from_str(&text_of("docs/grafana/dashboard.json")).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() >= 10);
    assert_eq!(used("docs/grafana/dashboard.json"), known);
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let words = ["expr", "legendFormat"].map(|name| target[name].as_str().unwrap_or_default());
            assert_labels(&words.join(" "), &metrics);
        }
    }
    let alerts = text_of("docs/grafana/alerts.yml");
    alerts.split("- alert:").for_each(|alert| assert_labels(alert, &metrics));
    let rules = used("docs/grafana/alerts.yml");
    assert!(rules.len() >= 6 && rules.is_subset(&known), "{:?}", rules.difference(&known));
    // It names the roles of the database too.
    let told = &used("docs/page.md") - &used("migrations/roles.sql");
    assert_eq!(told, known, "docs/page.md");
}
