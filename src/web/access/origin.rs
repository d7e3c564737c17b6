//! Whether a request is meant for this page, and comes from it.
//!
//! A page elsewhere can send the viewer's browser here: by a form, or by a name of its own that suddenly leads to this
//! machine (DNS rebinding). Neither is let through.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};

use super::Access;

/// Browsers say with it whose page has sent the request.
const SITE: &str = "sec-fetch-site";

impl Access {
    /// Whether the page is called by one of its names.
    pub(super) fn is_called_rightly(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) else {
            return false;
        };
        let name = name_of(host);
        let any_will_do = self.hosts.is_empty() && !self.is_local;
        any_will_do || self.is_host(name) || self.is_local && is_this_machine(name)
    }

    /// Whether a page of ours has sent this form.
    pub(super) fn comes_from_here(&self, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let host = text(HOST.as_str()).unwrap_or_default();
        let is_same_site = text(SITE).map(|site| site == "same-origin");
        let is_same_host = text(ORIGIN.as_str()).map(|origin| {
            let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
            !authority.is_empty()
                && (authority.eq_ignore_ascii_case(host) || self.is_host(name_of(authority)))
        });
        is_same_site.or(is_same_host).is_some() && is_same_site != Some(false) && is_same_host != Some(false)
    }

    fn is_host(&self, name: &str) -> bool {
        self.hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
    }
}

/// Without the port.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// No name that somebody else can lead here.
fn is_this_machine(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::Entrance;
    use super::*;

    fn access(hosts: &[&str], is_local: bool) -> Access {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let entrance =
            Entrance { users: Vec::new(), hosts, is_local, is_behind_proxy: false, is_secure: false };
        Access::new(entrance, &"east".parse().unwrap()).unwrap()
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn on_this_machine_the_page_has_only_this_machine_s_names() {
        let access = access(&[], true);
        for host in ["localhost", "LOCALHOST:8787", "127.0.0.1:8787", "127.0.0.2", "[::1]:8787"] {
            assert!(access.is_called_rightly(&headers(&[("host", host)])), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""] {
            assert!(!access.is_called_rightly(&headers(&[("host", host)])), "{host}");
        }
        assert!(!access.is_called_rightly(&headers(&[])));
        assert!(!access.is_called_rightly(&headers(&[("host", "localhost"), ("host", "evil.example")])));
    }

    #[test]
    fn names_that_are_configured_are_the_only_ones() {
        let access = access(&["sales.example"], false);
        assert!(access.is_called_rightly(&headers(&[("host", "Sales.example:443")])));
        assert!(!access.is_called_rightly(&headers(&[("host", "localhost")])));
        assert!(!access.is_called_rightly(&headers(&[("host", "evil.example")])));
    }

    #[test]
    fn a_form_comes_from_here_only_if_the_browser_says_so() {
        let access = access(&["sales.example"], true);
        let from = |pairs: &[(&'static str, &'static str)]| {
            access.comes_from_here(&headers(&[&[("host", "localhost:8787")], pairs].concat()))
        };
        assert!(from(&[("origin", "http://localhost:8787")]));
        assert!(from(&[("origin", "https://sales.example")]));
        assert!(from(&[("sec-fetch-site", "same-origin")]));
        assert!(from(&[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8787")]));
        assert!(!from(&[]));
        assert!(!from(&[("origin", "null")]));
        assert!(!from(&[("origin", "http://localhost:9999")]), "another program on this machine");
        assert!(!from(&[("origin", "http://evil.example")]));
        assert!(!from(&[("sec-fetch-site", "cross-site"), ("origin", "http://localhost:8787")]));
        assert!(!from(&[("sec-fetch-site", "same-origin"), ("origin", "http://evil.example")]));
        assert!(!from(&[("sec-fetch-site", "none")]));
        assert!(!from(&[("sec-fetch-site", "same-site")]));
    }
}
