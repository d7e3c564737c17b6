//! What a URL means, and what is refused.

use super::*;

fn read(url: &str) -> DatabaseUrl {
    url.parse().unwrap_or_else(|failure| panic!("{url}: {failure}"))
}

fn refusal(url: &str) -> String {
    let failure = url.parse::<DatabaseUrl>().expect_err(url);
    assert_eq!(failure.kind(), Kind::Configuration, "{url}");
    format!("{failure}; {}", failure.advice().expect("a hint"))
}

#[test]
fn a_database_url_is_never_shown_with_its_password() {
    let url = read("postgres://east:s3cret@db:5433/sales");
    assert_eq!(url.to_string(), "postgres://east@db:5433/sales");
    assert!(!format!("{url:?}").contains("s3cret"));
}

#[test]
fn a_refusal_repeats_nothing_that_a_password_could_have_slipped_into() {
    for url in [
        "postgres://east:s3cret@db:port/sales",
        "postgres://east:p@s3cret@db/sales",
        "postgres://east:p@x?s3cret=1@db/sales",
        "postgres://db/sales?password=s3cret@x",
        "postgres://db/sales?s3cret=1",
        "postgres://east:p@db/sales?s3cret@x",
        "host=db password=s3cret user='",
        "mysql://east:s3cret@db/sales",
        "s3cret",
        "postgres://east:s3cret@",
        "postgres://east:s3cret@db/sales?sslmode=s3cret",
        "postgres://east:s3cret@db/sales?connect_timeout=s3cret",
    ] {
        let said = refusal(url);
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn a_parameter_that_is_not_known_is_named() {
    assert!(refusal("postgres://db/sales?sslcrl=x").contains("unknown option `sslcrl`"));
}

#[test]
fn sslmode_means_what_libpq_means_by_it() {
    use Verification::{Authority, Name, Nothing};
    for (parameters, mode) in [
        ("", TlsMode::Prefer),
        ("?sslmode=prefer", TlsMode::Prefer),
        ("?sslmode=disable", TlsMode::Disable),
        ("?sslmode=require", TlsMode::Require(Nothing)),
        ("?sslmode=require&sslrootcert=ca.pem", TlsMode::Require(Authority)),
        ("?connect_timeout=5&sslmode=verify-ca&sslrootcert=ca.pem", TlsMode::Require(Authority)),
        ("?sslmode=verify-full&application_name=x", TlsMode::Require(Name)),
        ("?sslmode=verify-full&sslrootcert=system", TlsMode::Require(Name)),
    ] {
        let url = read(&format!("postgres://u:p%3F@db/sales{parameters}"));
        assert_eq!(url.tls().0, mode, "{parameters}");
        assert_eq!(url.config.get_password(), Some(&b"p?"[..]));
        assert_eq!(read(&format!("postgres://%2Frun%2Fpg/sales{parameters}")).tls().0, TlsMode::Disable);
    }
    assert!(refusal("postgres://db/sales?sslmode=allow").contains("verify-full"));
    assert!(refusal("postgres://db/sales?sslmode=verify-ca").contains("sslrootcert"));
    assert!(refusal("postgres://db/sales?sslcert=a").contains("belong together"));
}

#[test]
fn paths_are_decoded_and_meant_from_the_configuration() {
    let url = read("postgres://db/s?sslmode=verify-full&sslrootcert=a%20b.pem&sslcert=/c.pem&sslkey=k.pem");
    let url = url.relative_to(Path::new("/etc/salesync"));
    let identity = Identity { certificate: "/c.pem".into(), key: "/etc/salesync/k.pem".into() };
    let files = TlsFiles { authority: Some("/etc/salesync/a b.pem".into()), identity: Some(identity) };
    assert_eq!(url.tls().1, &files);
    assert_eq!(read("postgres://db/s?sslrootcert=system").tls().1.authority, None);
}

#[test]
fn nothing_crosses_a_network_unencrypted_unless_it_is_written_down() {
    let refused = |url: &str| read(url).check_privacy("connecting").is_err();
    for url in [
        "postgres://u@localhost/s",
        "postgres://u@127.0.0.1/s?sslmode=disable",
        "postgres://u@[::1]/s",
        "postgres://u@%2Frun%2Fpostgresql/s",
        "postgres://u@db.example/s?hostaddr=127.0.0.1",
        "postgres://u@db.example/s?sslmode=require",
        "postgres://u@db.example/s?sslmode=verify-full",
    ] {
        assert!(!refused(url), "{url}");
    }
    for url in [
        "postgres://u@db.example/s",
        "postgres://u@db.example/s?sslmode=prefer",
        "postgres://u@10.0.0.1/s?sslmode=disable",
        "postgres://u@localhost,db.example/s",
        "postgres://u@localhost/s?hostaddr=10.0.0.1",
        "postgres:///s?hostaddr=10.0.0.1",
    ] {
        assert!(refused(url), "{url}");
        assert!(read(url).allowing_plaintext(true).check_privacy("connecting").is_ok(), "{url}");
    }
}
