//! A line to the broker that goes silent in the middle of things: nothing is closed, nothing arrives.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Forwards bytes between a client and the broker, as many as it is allowed to.
pub(super) struct CutLine {
    port: u16,
    allowance: Arc<AtomicUsize>,
}

impl CutLine {
    /// A line to `127.0.0.1:broker_port` that carries everything.
    pub(super) fn new(broker_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let allowance = Arc::new(AtomicUsize::new(usize::MAX));
        let left = Arc::clone(&allowance);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let broker = TcpStream::connect(("127.0.0.1", broker_port)).unwrap();
                carry(client.try_clone().unwrap(), broker.try_clone().unwrap(), Arc::clone(&left));
                carry(broker, client, Arc::clone(&left));
            }
        });
        Self { port, allowance }
    }

    /// From now on it carries `byte_count` more bytes, and then nothing at all.
    pub(super) fn cut_after(&self, byte_count: usize) {
        self.allowance.store(byte_count, Ordering::SeqCst);
    }

    /// The same URL by way of this line.
    pub(super) fn by_way_of(&self, url: &str, broker_port: u16) -> String {
        url.replace(&format!(":{broker_port}/"), &format!(":{}/", self.port))
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, left: Arc<AtomicUsize>) {
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let spent = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(count));
            if spent.is_err() {
                left.store(0, Ordering::SeqCst);
            } else if to.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}
