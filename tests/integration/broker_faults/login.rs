//! Addresses, logins and rights.

use super::{
    TROUBLED, assert_goes_on, assert_told, at_branch, at_head_office, company_at, pending, troubled,
};
use crate::company::Company;
use crate::line::{BOTH_WAYS, Break, Line};
use crate::running::Running;
use crate::servers::fresh_vhost;

/// The branch and head office meet the fault at this URL, and go on at the right one.
fn assert_both_told(fault: &str, wrong_url: &str, right_url: &str) -> Company {
    let company = company_at(right_url);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Paper");
    at_branch(&company, wrong_url);
    for _ in 0..2 {
        assert_told(fault, "bundle", Running::start(east, &["bundle"]).ends());
        assert_eq!(pending(&company), "1");
    }
    at_head_office(&company, wrong_url);
    assert_told(fault, "apply", Running::start(head, &["apply"]).ends());
    assert_goes_on(&company);
    company
}

#[test]
fn an_address_where_no_broker_is_is_told() {
    let url = fresh_vhost();
    assert_both_told("the broker is not running", "amqp://salesync:sandbox@127.0.0.1:1/none", &url);
    let unknown = "amqps://salesync:sandbox@no-such-host.invalid/none";
    assert_both_told("the host is not known", unknown, &fresh_vhost());
    let plain = "amqp://salesync:sandbox@192.0.2.1/none";
    assert_both_told("`amqp://` to another machine", plain, &fresh_vhost());
}

#[test]
fn a_line_that_swallows_everything_is_given_up() {
    let url = fresh_vhost();
    let line = Line::to(&url);
    line.breaks_after(0, BOTH_WAYS, Break::Silence);
    assert_both_told("the line swallows everything", line.url(), &url);
}

#[test]
fn a_login_that_is_refused_is_told() {
    let url = fresh_vhost();
    let wrong = url.replace(":sandbox@", ":sand-box@");
    let company = assert_both_told("wrong password", &wrong, &url);
    // Nor does it stay unseen until there is something to send.
    at_branch(&company, &wrong);
    assert_told("wrong password", "bundle", Running::start(company.branch(), &["bundle"]).ends());
    assert_both_told("the virtual host does not exist", &format!("{url}-not"), &fresh_vhost());
    let server = troubled();
    let forbidden = server.url_for("east", "pw", "other");
    assert_both_told("no permissions on the virtual host", &forbidden, &fresh_vhost());
}

#[test]
fn tls_and_plain_ports_are_told_apart() {
    let url = fresh_vhost();
    assert_both_told("`amqps://` at a plain port", &url.replacen("amqp://", "amqps://", 1), &url);
    let server = troubled();
    let (right, port) = (server.url("tls"), TROUBLED.certificates.port);
    let at_tls_port = right.replace(&server.port().to_string(), &port.to_string());
    assert_both_told("`amqp://` at a TLS port", &at_tls_port, &right);
}

#[test]
fn a_login_of_another_node_is_told() {
    let server = troubled();
    let company = company_at(&server.url("rights"));
    company.branch().sell("Paper");
    at_branch(&company, &server.url_for("west", "pw", "rights"));
    let run = Running::start(company.branch(), &["bundle"]).ends();
    assert_told("the login is another branch's", "bundle", run);
    assert_eq!(pending(&company), "1");
    at_head_office(&company, &server.url_for("east", "pw", "rights"));
    assert_told("the login may not read", "apply", Running::start(&company.head_office, &["apply"]).ends());
    assert_goes_on(&company);
}
