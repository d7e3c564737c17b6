//! The message broker, behind a blocking face: the only place that knows `lapin` and `tokio`.
//!
//! What it promises to the layers above:
//!
//! * Every call returns within its deadline (`Deadlines`), whatever the broker or the line does.
//! * `Broker::publish_bundle` returns `Ok` only when a queue has the message on disk: persistent,
//!   routed, confirmed. After any failure the outcome is unknown; publish the same message again.
//! * `Broker::acknowledge` returns `Ok` only when the broker has the acknowledgement. A message
//!   that was not acknowledged comes again.
//! * The order of a queue is no promise at all: returned messages move.
//! * A failure of `Kind::Unreachable` may go away by itself; any other needs somebody to change
//!   something. After either, `Broker::is_connected` says whether to connect anew.
//!
//! Architecture invariant: no caller's code ever runs inside the runtime. The `PostgreSQL` client
//! panics there, and a long transaction between two calls must not stop the heartbeats, which one
//! worker thread keeps sending.
//!
//! Known limitation: `lapin` parses nested header tables by recursion on its I/O thread. A hostile
//! message nested deep enough overflows that thread's stack and ends the process, before any code here
//! sees it. Nothing is acknowledged by that; the queue's delivery limit removes the message in the end.

mod address;
mod branch_user;
mod condition;
mod connection;
mod consume;
mod deadlines;
mod encryption;
mod failure;
mod link;
mod nesting;
mod probe;
mod publish;
mod receive;
mod topology;
mod transport;
mod trial;

pub use address::BrokerAddress;
pub use branch_user::{branch_definitions, branch_rights};
pub use condition::{BRANCH_EXAMINATIONS, BrokerSubject, HEAD_OFFICE_EXAMINATIONS};
pub use connection::{Broker, ConnectOptions};
pub use consume::Wake;
pub use deadlines::Deadlines;
pub use publish::OutgoingBundle;
pub use receive::{Delivery, Headers};
