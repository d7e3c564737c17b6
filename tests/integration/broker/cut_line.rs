//! A line to the broker that goes silent, or is hung up, in the middle of things.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

/// Forwards bytes between a client and the broker, as many as it is allowed to.
pub(super) struct CutLine {
    port: u16,
    state: Arc<State>,
}

struct State {
    /// How many more bytes it carries, both ways together.
    allowance: AtomicUsize,
    /// Whether it then hangs up, or just stays silent.
    hangs_up: AtomicBool,
}

impl CutLine {
    /// A line to `127.0.0.1:broker_port` that carries everything.
    pub(super) fn new(broker_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state =
            Arc::new(State { allowance: AtomicUsize::new(usize::MAX), hangs_up: AtomicBool::new(false) });
        let line = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let broker = TcpStream::connect(("127.0.0.1", broker_port)).unwrap();
                carry(client.try_clone().unwrap(), broker.try_clone().unwrap(), Arc::clone(&line));
                carry(broker, client, Arc::clone(&line));
            }
        });
        Self { port, state }
    }

    /// From now on it carries `byte_count` more bytes, and then nothing: nothing is closed, nothing arrives.
    pub(super) fn falls_silent_after(&self, byte_count: usize) {
        self.state.allowance.store(byte_count, SeqCst);
    }

    /// From now on it carries `byte_count` more bytes, and then hangs up on both ends.
    pub(super) fn hangs_up_after(&self, byte_count: usize) {
        self.state.hangs_up.store(true, SeqCst);
        self.falls_silent_after(byte_count);
    }

    /// The same URL by way of this line.
    pub(super) fn by_way_of(&self, url: &str, broker_port: u16) -> String {
        url.replace(&format!(":{broker_port}/"), &format!(":{}/", self.port))
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, state: Arc<State>) {
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let spent = state.allowance.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(count));
            if spent.is_ok() {
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            } else {
                state.allowance.store(0, SeqCst);
                if state.hangs_up.load(SeqCst) {
                    break;
                }
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}
