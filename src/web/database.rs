//! The database of the node, for handlers: a few connections, and threads in which they may block.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use postgres::Client;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::download::{Outlet, download};
use super::site::Connect;
use super::thread::in_thread;
use crate::database::database_failure;
use crate::domain::{Failure, Kind};

/// So many queries of pages run at the same time; the others wait for their turn.
const CONNECTIONS: usize = 6;
/// So many files are made from it at the same time. They have connections of their own: whoever fetches slowly keeps
/// no page waiting.
const DOWNLOADS: usize = 2;
/// Whoever has waited so long is told that the database is busy.
const PATIENCE: Duration = Duration::from_secs(10);
/// A page may read and no more, and no statement of it holds the database up.
const READ_ONLY: &str = "SET default_transaction_read_only = on; SET statement_timeout = '15s'";
const READ_WRITE: &str = "SET default_transaction_read_only = off; SET statement_timeout = '60s'";

/// A bounded number of connections that outlive a request.
#[derive(Clone)]
pub(super) struct Databases(Arc<Inner>);

struct Inner {
    connect: Connect,
    turns: Arc<Semaphore>,
    downloads: Arc<Semaphore>,
    idle: Mutex<Vec<Client>>,
}

impl Databases {
    pub(super) fn new(connect: Connect) -> Self {
        let turns = Arc::new(Semaphore::new(CONNECTIONS));
        let downloads = Arc::new(Semaphore::new(DOWNLOADS));
        Self(Arc::new(Inner { connect, turns, downloads, idle: Mutex::default() }))
    }

    /// A file that `produce` writes from a connection which cannot write and ends with it.
    pub(super) async fn download(
        &self,
        produce: impl FnOnce(&mut Client, &mut Outlet) -> Result<(), Failure> + Send + 'static,
    ) -> Result<Body, Failure> {
        let turn = Arc::clone(&self.0.downloads).try_acquire_owned().map_err(|_| {
            Failure::new(Kind::Postponed, "making a file", "others are fetching files just now")
                .hint("try again in a few minutes")
        })?;
        let inner = Arc::clone(&self.0);
        download(move |outlet| {
            let _turn = turn;
            let mut client = (inner.connect)()?;
            client
                .batch_execute(READ_ONLY)
                .map_err(|error| database_failure("preparing a connection", &error))?;
            produce(&mut client, outlet)
        })
        .await
    }

    /// Runs `query` in a thread that may block, on a connection that cannot write.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Client) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.run(READ_ONLY, query).await
    }

    /// The same with a connection that may write.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Client) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.run(READ_WRITE, query).await
    }

    /// A connection of its own, which may take as long as it takes. Blocks.
    pub(super) fn connect(&self) -> Result<Client, Failure> {
        (self.0.connect)()
    }

    async fn run<T: Send + 'static>(
        &self,
        session: &'static str,
        query: impl FnOnce(&mut Client) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let busy =
            || Failure::new(Kind::Postponed, "waiting for the database", "too many pages are asked for");
        let turn = timeout(PATIENCE, Arc::clone(&self.0.turns).acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or_else(busy)?;
        let inner = Arc::clone(&self.0);
        let done = in_thread("asking the database", move || {
            let _turn = turn;
            let mut client = inner.client(session)?;
            let done = query(&mut client);
            inner.keep(client);
            done
        });
        done.await?
    }
}

impl Inner {
    fn client(&self, session: &str) -> Result<Client, Failure> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let is_fresh = idle.is_none();
            let mut client = idle.map_or_else(|| (self.connect)(), Ok)?;
            match client.batch_execute(session) {
                Ok(()) => return Ok(client),
                // It broke while nobody used it.
                Err(_) if !is_fresh => {}
                Err(error) => return Err(database_failure("preparing a connection", &error)),
            }
        }
    }

    fn keep(&self, client: Client) {
        if !client.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
        }
    }
}

/// A connection is closed by a thread of its own: where the server ends, in the midst of its tasks, closing one would
/// panic.
impl Drop for Inner {
    fn drop(&mut self) {
        let idle = std::mem::take(self.idle.get_mut().unwrap_or_else(PoisonError::into_inner));
        drop(std::thread::spawn(move || drop(idle)).join());
    }
}
