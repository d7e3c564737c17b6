//! The runtime the connection lives on, and waiting on it: never past a deadline, never on while
//! the broker has blocked the connection.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use lapin::{ErrorKind, Event};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// How long the reason for what has broken may take to be told.
const REASON: Duration = Duration::from_secs(1);

/// Why a call to the broker did not end well, before it is put into words.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It was not done within this time.
    Late(Duration),
    /// An alarm of the broker keeps publishers waiting, for the reason it gave.
    Blocked(String),
    /// It was answered with an error, or the connection went away.
    Lapin(lapin::Error),
}

type Events = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// The runtime, and what the broker has said about the connection as a whole.
pub(super) struct Link {
    /// Taken when the link is dropped.
    runtime: Option<Runtime>,
    watch: Watch,
}

impl Link {
    pub(super) fn new() -> std::io::Result<Self> {
        // A worker of its own, so that heartbeats go on between the calls.
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("broker").enable_all().build()?;
        Ok(Self { runtime: Some(runtime), watch: Watch::default() })
    }

    /// Listens to what happens to the connection from here on.
    pub(super) fn listen(&mut self, events: impl Stream<Item = Event> + Send + 'static) {
        self.watch = Watch { events: Some(Box::pin(events)), ..Watch::default() };
    }

    /// Whether an alarm of the broker blocks the connection; `lapin` writes nothing meanwhile, so
    /// any call would hang.
    pub(super) fn is_blocked(&mut self) -> bool {
        self.watch.read(&mut Context::from_waker(Waker::noop()));
        self.watch.blocked.is_some()
    }

    /// Whether the connection has broken down.
    pub(super) fn is_broken(&self) -> bool {
        self.watch.fatal.is_some()
    }

    /// Does `work`, for at most `deadline` and as long as the connection is neither broken nor blocked.
    pub(super) fn wait<T>(
        &mut self,
        deadline: Duration,
        work: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, Trouble> {
        let Self { runtime: Some(runtime), watch } = self else {
            return Err(Trouble::Late(Duration::ZERO));
        };
        watch.channel_error = None;
        let result = runtime.block_on(async {
            let mut work = pin!(work);
            let watched = poll_fn(|context| {
                watch.read(context);
                if let Some(reason) = &watch.blocked {
                    return Poll::Ready(Err(Trouble::Blocked(reason.clone())));
                }
                match (work.as_mut().poll(context), &watch.fatal) {
                    // `lapin` forgets a message it was in the middle of receiving: that would hang.
                    (Poll::Pending, Some(error)) => Poll::Ready(Err(Trouble::Lapin(error.clone()))),
                    (polled, _) => polled.map_err(Trouble::Lapin),
                }
            });
            timeout(deadline, watched).await.unwrap_or(Err(Trouble::Late(deadline)))
        });
        result.map_err(|trouble| {
            // A channel is marked as broken a moment before the reason is told.
            let told = poll_fn(|context| {
                watch.read(context);
                if watch.reason().is_some() { Poll::Ready(()) } else { Poll::Pending }
            });
            if matches!(&trouble, Trouble::Lapin(error) if is_echo(error)) {
                let _ = runtime.block_on(async { timeout(REASON, told).await });
            }
            watch.cause(trouble)
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Waiting for it could take for ever: a blocked or frozen broker never answers.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The events of the connection, remembered as far as they matter.
#[derive(Default)]
struct Watch {
    events: Option<Events>,
    blocked: Option<String>,
    /// What broke the connection.
    fatal: Option<lapin::Error>,
    /// What broke a channel during the current call.
    channel_error: Option<lapin::Error>,
}

impl Watch {
    /// Takes in all events there are; `context` is woken by the next one.
    fn read(&mut self, context: &mut Context<'_>) {
        let Some(events) = &mut self.events else { return };
        while let Poll::Ready(Some(event)) = events.as_mut().poll_next(context) {
            match event {
                Event::ConnectionBlocked(reason) => self.blocked = Some(reason),
                Event::ConnectionUnblocked => self.blocked = None,
                Event::Error(error) if error.is_amqp_soft_error() => self.channel_error = Some(error),
                Event::Error(error) => self.fatal = self.fatal.take().or(Some(error)),
                _ => {}
            }
        }
    }

    /// What has broken the connection, or a channel during the current call.
    fn reason(&self) -> Option<&lapin::Error> {
        self.fatal.as_ref().or(self.channel_error.as_ref())
    }

    /// `lapin` tells once why a channel or the connection broke; what comes later only says that it
    /// is broken. This puts the reason back in place.
    fn cause(&mut self, trouble: Trouble) -> Trouble {
        self.read(&mut Context::from_waker(Waker::noop()));
        match (trouble, self.reason()) {
            (Trouble::Lapin(error), Some(cause)) if is_echo(&error) => Trouble::Lapin(cause.clone()),
            (trouble, _) => trouble,
        }
    }
}

fn is_echo(error: &lapin::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidChannel(_)
            | ErrorKind::InvalidChannelState(..)
            | ErrorKind::InvalidConnectionState(_)
    )
}
