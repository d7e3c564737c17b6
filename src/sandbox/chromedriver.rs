//! A private `ChromeDriver`, by which tests drive Chromium.

use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::folder::{Folder, Sandbox};
use super::leash::Leash;
use super::port::free_port;
use super::program::{Program, find_chromedriver};
use crate::domain::Failure;

/// It takes a tenth of a second, but not while the machine compiles.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A `ChromeDriver` with a port of its own on 127.0.0.1. When dropped it ends, and with it every browser that it
/// has started: they stay in its process group. Their profiles are in its home.
#[derive(Debug)]
pub struct ChromeDriver {
    /// Declared before the folder, so that it is dropped first.
    _leash: Leash,
    port: u16,
    _folder: Arc<Folder>,
}

impl ChromeDriver {
    /// Starts it and waits until it accepts connections. Its home in the folder is called `name`.
    pub fn start(sandbox: &Sandbox, name: &str) -> Result<Self, Failure> {
        let folder = sandbox.folder();
        let home = folder.make_home(name)?;
        let port = free_port()?;
        let program = Program::new(&find_chromedriver()?).arg(format!("--port={port}"));
        let program = program.env("HOME", &home).env("TMPDIR", &home);
        let mut leash = Leash::start(&folder, &home, "chromedriver.log", &program, "TERM")?;
        leash.wait_until_ready("a private ChromeDriver", START_LIMIT, || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        })?;
        Ok(Self { _leash: leash, port, _folder: folder })
    }

    /// Where it talks `WebDriver`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
