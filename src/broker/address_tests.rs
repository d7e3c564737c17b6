//! What an address means, and what is refused.

use proptest::prelude::*;

use super::*;

fn read(url: &str) -> BrokerAddress {
    BrokerAddress::parse(url).unwrap_or_else(|failure| panic!("{url}: {failure}"))
}

fn refusal(url: &str) -> String {
    let failure = BrokerAddress::parse(url).expect_err(url);
    assert_eq!(failure.kind(), Kind::Configuration, "{url}");
    format!("{failure}; {}", failure.advice().expect("a hint"))
}

#[test]
fn the_parts_of_a_url_are_decoded_and_the_password_is_not_shown() {
    let address = read("amqps://east%40shop:s%2Fe%3Acret@ho.example/sale%2Fsync");
    assert_eq!(address.user(), "east@shop");
    assert_eq!(address.password.as_deref(), Some("s/e:cret"));
    assert_eq!((address.host.as_str(), address.port), ("ho.example", 5671));
    assert_eq!(address.vhost, "sale/sync");
    assert_eq!(address.to_string(), "amqps://east%40shop@ho.example:5671/sale%2Fsync");
    assert_eq!(format!("{address:?}"), "BrokerAddress(amqps://east%40shop@ho.example:5671/sale%2Fsync)");
}

#[test]
fn ports_and_virtual_host_have_the_defaults_of_amqp() {
    assert_eq!(read("amqp://u:p@localhost").port, 5672);
    assert_eq!(read("amqp://u:p@localhost").vhost, "/");
    assert_eq!(read("amqp://u:p@localhost/%2f").vhost, "/");
    assert_eq!(read("amqp://u:p@localhost:1234/v").port, 1234);
}

#[test]
fn an_ipv6_host_reaches_the_client_as_it_is() {
    let address = read("amqps://u:p@[2001:db8::1]:5000/v");
    assert_eq!(address.uri(false).expect("complete").authority.host, "2001:db8::1");
    assert_eq!(address.to_string(), "amqps://u@[2001:db8::1]:5000/v");
    assert!(!address.is_loopback());
    assert!(read("amqp://u:p@[::1]/v").is_loopback());
    assert!(refusal("amqp://u:p@2001:db8::1/v").contains("brackets"));
    assert!(refusal("amqp://u:p@[localhost]/v").contains("no IPv6 address"));
}

#[test]
fn an_address_without_password_can_be_completed_but_not_used() {
    let address = read("amqps://east@ho.example/salesync");
    let failure = address.uri(false).expect_err("no password");
    let plain = BrokerAddress::parse("amqp://user@host/v").expect("an address");
    plain.uri(true).expect_err("a certificate is shown over TLS only");
    assert!(failure.to_string().contains("there is no password"), "{failure}");
    let uri = address.with_password("secret").uri(true).expect("complete");
    assert_eq!(uri.authority.userinfo.password, "secret");
    assert_eq!(uri.query.heartbeat, Some(10));
}

#[test]
fn the_empty_virtual_host_is_explained() {
    assert!(refusal("amqps://u:p@ho.example/").contains("HOST/%2F"));
}

#[test]
fn what_would_be_misread_is_refused() {
    for (url, because) in [
        ("", "not a URL"),
        ("localhost", "not a URL"),
        ("http://u:p@h/v", "neither amqps"),
        ("amqp://h/v", "no user"),
        ("amqp://:p@h/v", "user is empty"),
        ("amqp://u:p@/v", "no host name"),
        ("amqp://u:p@h o/v", "no host name"),
        ("amqp://u:p@h:/v", "no number"),
        ("amqp://u:p@h:+5/v", "no number"),
        ("amqp://u:p@h:0/v", "no number"),
        ("amqp://u:p@h:65536/v", "no number"),
        ("amqp://u:p@h/a/b", "%2F"),
        ("amqp://u:p@h/v?heartbeat=0", "parameters"),
        ("amqp://u:p@h?x", "parameters"),
        ("amqp://u:p@h/v#x", "fragment"),
        ("amqp://u:p@w@h/v", "two '@'"),
        ("amqp://u:p/w@h/v", "'@' behind the host"),
        ("amqp://u:p%2@h/v", "two hexadecimal digits"),
        ("amqp://u:%ff@h/v", "not UTF-8"),
        ("amqp://u%00root:p@h/v", "control character"),
    ] {
        let said = refusal(url);
        assert!(said.contains(because), "{url}: {said}");
    }
    assert!(refusal(&format!("amqp://u:p@h/{}", "v".repeat(256))).contains("255"));
}

proptest! {
    #[test]
    fn what_is_encoded_is_read_back(
        user in "[^\\p{C}]{1,40}", password in "[^\\p{C}]{0,40}", vhost in "[^\\p{C}]{1,40}", port in 1u16..
    ) {
        let url = format!("amqps://{}:{}@ho.example:{port}/{}", encode(&user), encode(&password), encode(&vhost));
        let address = read(&url);
        prop_assert_eq!(address.user(), &user);
        prop_assert_eq!(address.password.as_deref(), Some(password.as_str()));
        prop_assert_eq!((&address.vhost, address.port), (&vhost, port));
        let shown = address.to_string();
        prop_assert_eq!(read(&shown).with_password(password), address);
    }

    #[test]
    fn no_text_makes_it_panic_and_no_failure_repeats_the_password(
        before in "(amqps?://)?[a-z:@/%?#\\[\\]]{0,8}", after in "[a-z:@/%?#\\[\\]0-9]{0,12}"
    ) {
        let secret = "S3CRET";
        let shown = match BrokerAddress::parse(&format!("{before}u:{secret}{after}")) {
            Ok(address) if address.password.as_deref().is_some_and(|password| password.contains(secret)) => {
                format!("{address} {address:?}")
            }
            Ok(_) => String::new(),
            Err(failure) => format!("{failure:?}"),
        };
        prop_assert!(!shown.contains(secret), "{}", shown);
    }
}
