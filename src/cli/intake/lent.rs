//! A message whose bundle a worker has.

use std::fs::File;
use std::io::Read as _;

use tempfile::NamedTempFile;

use crate::broker::{Broker, Delivery};
use crate::domain::{Failure, Kind};

/// A message without its body: that is in the worker's file, and need not be in memory as well. The file stays readable here,
/// whatever becomes of its name.
pub(super) struct Lent {
    delivery: Delivery,
    body: File,
}

impl Lent {
    /// The body of `delivery` is in `draft`.
    pub(super) fn open(draft: &NamedTempFile) -> Result<File, Failure> {
        draft.reopen().map_err(|error| Failure::file("opening", draft.path(), &error))
    }

    /// `body` is a file with the body of `delivery`.
    pub(super) fn new(mut delivery: Delivery, body: File) -> Self {
        delivery.payload = Vec::new();
        Self { delivery, body }
    }

    /// Takes the message out of its queue.
    pub(super) fn acknowledge(self, broker: &mut Broker) -> Result<(), Failure> {
        broker.acknowledge(self.delivery)
    }

    /// The message as it came. If it cannot be had any more, it goes back to its queue.
    pub(super) fn whole(self, broker: &mut Broker) -> Result<Delivery, Failure> {
        let Self { mut delivery, mut body } = self;
        match body.read_to_end(&mut delivery.payload) {
            Ok(_) => Ok(delivery),
            Err(error) => {
                let doing = format!("reading a message of {} again", delivery.branch);
                broker.return_to_queue(delivery)?;
                Err(Failure::new(Kind::Failed, doing, error))
            }
        }
    }
}
