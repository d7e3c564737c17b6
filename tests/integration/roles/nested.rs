//! A message that no client library would write: it is said byte by byte.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::company::Company;
use crate::servers::as_branch;

/// A connection of a branch's own user that talks AMQP 0-9-1 by hand.
struct Raw(TcpStream);

impl Raw {
    fn login(url: &str) -> Self {
        let (login, place) = url.strip_prefix("amqp://").unwrap().split_once('@').unwrap();
        let ((user, password), (address, vhost)) =
            (login.split_once(':').unwrap(), place.split_once('/').unwrap());
        let mut raw = Self(TcpStream::connect(address).unwrap());
        raw.0.write_all(b"AMQP\0\0\x09\x01").unwrap();
        raw.hears(10, 10);
        let secret = [b"\0", user.as_bytes(), b"\0", password.as_bytes()].concat();
        raw.says(0, 10, 11, &[&[0; 4], &short("PLAIN")[..], &long(&secret), &short("en_US")].concat());
        let tune = raw.hears(10, 30);
        raw.says(0, 10, 31, &[&tune[..6], &[0, 0]].concat());
        raw.says(0, 10, 40, &[&short(vhost)[..], &[0, 0]].concat());
        raw.hears(10, 41);
        raw.says(1, 20, 10, &[0]);
        raw.hears(20, 11);
        raw.says(1, 85, 10, &[0]);
        raw.hears(85, 11);
        raw
    }

    /// Publishes this with these headers, and waits until the broker has it.
    fn publishes(&mut self, key: &str, headers: &[u8], body: &[u8]) {
        self.says(1, 60, 40, &[&[0, 0], &short("salesync.bundles")[..], &short(key), &[1]].concat());
        let size = (body.len() as u64).to_be_bytes();
        self.frame(2, 1, &[&[0, 60, 0, 0], &size[..], &[0x20, 0], &long(headers)].concat());
        self.frame(3, 1, body);
        self.hears(60, 80);
    }

    fn says(&mut self, channel: u8, class: u8, method: u8, arguments: &[u8]) {
        self.frame(1, channel, &[&[0, class, 0, method], arguments].concat());
    }

    fn frame(&mut self, kind: u8, channel: u8, payload: &[u8]) {
        self.0.write_all(&[&[kind, 0, channel], &long(payload)[..], b"\xce"].concat()).unwrap();
    }

    /// The next method must be this one; its arguments.
    fn hears(&mut self, class: u8, method: u8) -> Vec<u8> {
        let mut head = [0; 7];
        self.0.read_exact(&mut head).unwrap();
        let size = u32::from_be_bytes(head[3..].try_into().unwrap()) as usize;
        let mut payload = vec![0; size + 1];
        self.0.read_exact(&mut payload).unwrap();
        assert_eq!((head[0], &payload[..4]), (1, &[0, class, 0, method][..]), "{payload:?}");
        payload[4..size].to_vec()
    }
}

fn short(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// The client library goes one call deeper for each, and a few hundred would be enough to end the program: for all branches.
#[test]
fn headers_that_are_nested_as_deep_as_a_frame_can_hold_are_read_and_stop_nobody() {
    let company = Company::of_sales(&["east", "west"]);
    let (west, head) = (&company.branches[1], &company.head_office);
    west.sell("Ink");
    west.run(&["bundle"]).ok();
    let mut raw = Raw::login(&as_branch(&company.broker_url, "east"));
    for levels in [500, 26_000] {
        let mut inner = Vec::new();
        for _ in 0..levels {
            inner = [b"A", &long(&inner)[..]].concat();
        }
        raw.publishes("east", &[&short("x")[..], &inner].concat(), b"nothing");
    }
    let report = head.run(&["apply", "--json"]).exits(3).json();
    assert_eq!(report["applied"][0]["branch"], "west", "{report}");
    let rejected = report["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), 2, "{report}");
    assert!(rejected.iter().all(|one| one["reason"].as_str().unwrap().contains("the file ends")), "{report}");
    assert_eq!(company.broker().queue_depth("east").unwrap(), Some(0));
    assert!(company.broker().next_dead().unwrap().is_some(), "it is put aside");
}
