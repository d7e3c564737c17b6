//! The program while it runs: a follower, or a window.

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use salesync::sandbox::wait_until;

use crate::company::{Node, Run};

const LIMIT: Duration = Duration::from_mins(2);

/// A started program. It is killed when dropped.
pub struct Running {
    child: Child,
    arguments: String,
    printed: Pipe,
    said: Pipe,
}

/// What has come out of a pipe so far.
struct Pipe {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Pipe {
    fn of(mut source: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                sink.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    fn end(&mut self) -> Vec<u8> {
        self.reader.take().map(JoinHandle::join).transpose().unwrap();
        self.text().into_bytes()
    }
}

impl Running {
    /// Starts the program at a node.
    pub fn start(node: &Node, arguments: &[&str]) -> Self {
        Self::of(&mut node.command(arguments))
    }

    /// Starts this command.
    pub fn of(command: &mut Command) -> Self {
        let arguments: Vec<_> = command.get_args().map(|part| part.to_string_lossy().into_owned()).collect();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (printed, said) =
            (Pipe::of(child.stdout.take().unwrap()), Pipe::of(child.stderr.take().unwrap()));
        Self { child, arguments: arguments.join(" "), printed, said }
    }

    /// Waits until it has said this.
    pub fn has_said(&self, words: &str) {
        let found = wait_until(LIMIT, words, || Ok(self.said.text().contains(words).then_some(())));
        found.unwrap_or_else(|error| panic!("{error}; it said\n{}", self.said.text()));
    }

    /// Waits for the first line that it prints.
    pub fn has_printed_a_line(&self) -> String {
        let line = || self.printed.text().split_once('\n').map(|(line, _)| line.to_owned());
        let found = wait_until(LIMIT, "a line on stdout", || Ok(line()));
        found.unwrap_or_else(|error| panic!("{error}; it said\n{}", self.said.text()))
    }

    /// Waits for its end.
    pub fn ends(mut self) -> Run {
        let status = wait_until(LIMIT, "the program's end", || Ok(self.child.try_wait().unwrap()));
        let status: ExitStatus =
            status.unwrap_or_else(|error| panic!("{error}; it said\n{}", self.said.text()));
        let (stdout, stderr) = (self.printed.end(), self.said.end());
        Run::ended(self.arguments.clone(), std::process::Output { status, stdout, stderr })
    }

    /// Its number in the list of processes.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal: `TERM`, `INT`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    /// Asks it to stop, and waits for that.
    pub fn stops(self) -> Run {
        self.signal("TERM");
        self.ends()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What systemd would hear of a service.
pub struct Systemd(Arc<Mutex<Vec<String>>>);

impl Systemd {
    /// Listens, with a watchdog that wants an answer this often.
    pub fn watch(node: &Node, command: &mut Command, watchdog: Duration) -> Self {
        let path = node.folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        // As long as the test lasts: a socket that nobody reads would stop the service.
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count) = socket.recv(&mut buffer) {
                let lines = String::from_utf8_lossy(&buffer[..count]).into_owned();
                sink.lock().unwrap().extend(lines.lines().map(str::to_owned));
            }
        });
        Self(heard)
    }

    /// Waits until it is told this, or has been.
    pub fn hears(&self, state: &str) {
        let is_heard = || self.0.lock().unwrap().iter().any(|line| line.starts_with(state));
        let heard = wait_until(LIMIT, state, || Ok(is_heard().then_some(())));
        heard.unwrap_or_else(|error| panic!("{error}; it heard {:?}", self.0.lock().unwrap()));
    }

    /// Forgets what it has been told so far.
    pub fn forgets(&self) {
        self.0.lock().unwrap().clear();
    }
}
