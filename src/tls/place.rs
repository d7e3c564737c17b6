//! Where a connection leads.

use std::net::IpAddr;

/// Whether bytes sent to this host stay on this machine.
pub fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_this_machine;

    #[test]
    fn only_the_loopback_is_this_machine() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["ho.example", "10.0.0.1", "0.0.0.0", "localhost.example", "127.0.0.1.example", "::", ""]
        {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
