//! A branch's probe is answered where it comes, between two bundles.

use crate::broker::{Broker, Delivery};
use crate::domain::{Failure, NodeName};
use crate::head_office::Receiver;

/// Answers a probe, or puts it aside if nothing proves whose it is. After a failure it is in its queue again.
pub(super) fn answer(
    receiver: &mut Receiver<'_>,
    broker: &mut Broker,
    branch: &NodeName,
    delivery: Delivery,
) -> Result<(), Failure> {
    match receiver.answer_probe(broker, branch, &delivery) {
        Ok(Ok(probe)) => {
            tracing::info!("a probe of {branch} with key {} is answered", probe.key_id());
            broker.acknowledge(delivery)
        }
        Ok(Err(reason)) => {
            tracing::warn!("a probe in the queue of {branch} is refused: {reason}");
            broker.bury(delivery, &reason)
        }
        // The branch asks again. In the queue it would come back at once, and again.
        Err(failure) if broker.is_connected() && receiver.is_connected() => {
            tracing::warn!("{failure}; this probe has no answer");
            broker.acknowledge(delivery)
        }
        Err(failure) => {
            if let Err(also) = broker.return_to_queue(delivery) {
                tracing::debug!(%also, "could not give the probe back");
            }
            Err(failure)
        }
    }
}
