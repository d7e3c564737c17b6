//! A node's page, served by the real program, and somebody who fetches from it.

#![allow(dead_code, reason = "the bench uses a part of it")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, header};

use crate::company::{Node, Run};
use crate::running::Running;

/// A page that is being served. It ends when dropped.
pub struct Site {
    running: Running,
    /// `http://127.0.0.1:PORT`
    pub url: String,
    agent: Agent,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// What the server has answered.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    headers: header::HeaderMap,
    pub text: String,
    pub bytes: Vec<u8>,
}

impl Site {
    /// Serves this node's page on a free port.
    pub fn of(node: &Node) -> Self {
        Self::with(node, &[])
    }

    /// The same with these arguments besides.
    pub fn with(node: &Node, arguments: &[&str]) -> Self {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let running = Running::start(node, &arguments);
        let url = running.has_printed_a_line().trim_end_matches('/').to_owned();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // Whoever refuses a form before it has come closes the connection: the next request is not to meet that.
            .max_idle_connections(0)
            .timeout_global(Some(Duration::from_mins(2)));
        Self { running, url, agent: agent.build().into(), cookies: Mutex::default() }
    }

    /// Fetches a page.
    pub fn get(&self, path: &str) -> Page {
        self.get_with(path, &[])
    }

    /// The same with these headers besides.
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Page {
        let request = self.agent.get(format!("{}{path}", self.url)).header("Cookie", self.cookie());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.page(request.call().unwrap())
    }

    /// Says this over a connection of its own, and returns all that is answered until the connection ends.
    pub fn say(&self, words: &str) -> String {
        let mut stream = self.raw();
        stream.write_all(words.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends a form as a page of ours sends it: with the field `csrf` of the first page.
    pub fn post(&self, path: &str, form: &[(&str, &str)]) -> Page {
        let csrf = self.get("/").csrf();
        self.post_as_is(path, &[form, &[("csrf", &csrf)]].concat())
    }

    /// Sends a form with these fields only.
    pub fn post_as_is(&self, path: &str, form: &[(&str, &str)]) -> Page {
        self.post_with(path, form, &[("Origin", &self.url)])
    }

    /// The same with these headers only.
    pub fn post_with(&self, path: &str, form: &[(&str, &str)], headers: &[(&str, &str)]) -> Page {
        let request = self.agent.post(format!("{}{path}", self.url)).header("Cookie", self.cookie());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.page(request.send_form(form.iter().copied()).unwrap())
    }

    /// Logs in.
    pub fn log_in(&self, name: &str, password: &str) -> Page {
        self.post_as_is("/login", &[("name", name), ("password", password)])
    }

    /// Brings this cookie from now on.
    pub fn bring(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    /// A connection to it, and nothing said yet. What is read from it comes within a minute, or it is an error.
    pub fn raw(&self) -> TcpStream {
        let stream = TcpStream::connect(self.host()).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Forgets its cookies, as another browser.
    pub fn forget(&self) {
        self.cookies.lock().unwrap().clear();
    }

    /// What its cookies are.
    pub fn cookie(&self) -> String {
        let cookies = self.cookies.lock().unwrap();
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Ends the server as systemd does.
    pub fn stops(self) -> Run {
        self.running.stops()
    }

    fn page(&self, answer: Response<ureq::Body>) -> Page {
        let (parts, mut body) = answer.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            if cookie.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let bytes = body.read_to_vec().unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Page { status: parts.status.as_u16(), headers: parts.headers, text, bytes }
    }
}

impl Page {
    /// It has this status.
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// It contains all of these.
    pub fn shows(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.text.contains(word), "the page does not show {word:?}:\n{}", self.text);
        }
        self
    }

    /// It contains all of these, one after another.
    pub fn shows_in_order(&self, words: &[&str]) {
        let places = words.iter().map(|word| self.text.find(word).unwrap_or_else(|| panic!("no {word:?}")));
        let places: Vec<usize> = places.collect();
        assert!(places.is_sorted(), "{words:?} are at {places:?} of\n{}", self.text);
    }

    /// It contains none of these.
    pub fn hides(self, words: &[&str]) -> Self {
        for word in words {
            assert!(!self.text.contains(word), "the page shows {word:?}:\n{}", self.text);
        }
        self
    }

    /// A header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What a form of this page has to send back.
    pub fn csrf(&self) -> String {
        let (_, rest) = self.text.split_once("name=\"csrf\" content=\"").expect("a page with a token");
        rest.split('"').next().unwrap().to_owned()
    }
}
