//! Cutting, and publishing what is recorded while the rest is still being cut.

use std::panic::resume_unwind;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use postgres::Client;

use super::Exchange;
use super::outgoing::Outgoing;
use crate::branch::{CutOptions, Cutter, Sealing, Since, cut};
use crate::cli::settings::Settings;
use crate::domain::{Failure, Stage};

/// Does something for which it may take a cut.
pub(super) fn with_cutter<R>(
    settings: &Settings,
    on_part: Option<&dyn Fn()>,
    work: impl FnOnce(&Cutter<'_>) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let connect = || settings.connect_database("bundle, reading");
    let (name, archive, key) = (&settings.node, &settings.archive, settings.signing_key()?);
    let sealing = Sealing { key: key.as_ref(), recipients: &settings.recipients };
    work(&Cutter { name, archive, sealing, connect: &connect, on_part })
}

fn cut_and_record(
    client: &mut Client,
    settings: &Settings,
    since: Since,
    on_part: Option<&dyn Fn()>,
) -> Result<(), Failure> {
    with_cutter(settings, on_part, |cutter| cut(client, cutter, &options(settings, since)))
}

pub(super) fn options(settings: &Settings, since: Since) -> CutOptions {
    let Settings { limits, tables, .. } = settings;
    CutOptions { since, limits: *limits, even_if_empty: false, tables: tables.clone() }
}

impl Exchange<'_> {
    /// Cuts what is unsynced and seals it.
    pub(in crate::cli) fn seal(&mut self, since: Since) -> Result<(), Failure> {
        cut_and_record(&mut self.client, self.settings, since, None)
    }

    /// The same, and parts that are recorded are published while the next are being cut. What stands in the way of
    /// that does not stop the cut; the next [`visit_broker`](Self::visit_broker) fails with it.
    pub(in crate::cli) fn seal_and_send(
        &mut self,
        since: Since,
        outgoing: &mut Outgoing,
        may_begin: &dyn Fn() -> bool,
    ) -> Result<(), Failure> {
        let Self { settings, onlooker, client, broker, trouble } = self;
        let (settings, onlooker) = (*settings, *onlooker);
        onlooker.sees(&Stage::Cutting);
        thread::scope(|scope| {
            let (recorded, parts) = mpsc::channel();
            let on_part = move || recorded.send(()).unwrap_or_default();
            let cutting = scope.spawn(move || cut_and_record(client, settings, since, Some(&on_part)));
            *trouble = None;
            if parts.recv().is_ok() {
                match settings.connect_database("bundle, publishing") {
                    Ok(client) => {
                        let mut beside = Exchange::with(settings, onlooker, client, broker.take());
                        *trouble = beside.send_parts(&parts, outgoing, may_begin).err();
                        *broker = beside.broker;
                    }
                    Err(failure) => tracing::warn!("nothing is published before the cut is over: {failure}"),
                }
            }
            cutting.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Publishes everything recorded, again and again until no `parts` come any more. It does not have the lock:
    /// whoever cuts has it.
    fn send_parts(
        &mut self,
        parts: &Receiver<()>,
        outgoing: &mut Outgoing,
        may_begin: &dyn Fn() -> bool,
    ) -> Result<(), Failure> {
        // They may prove that this database must not send anything.
        self.take_answers(outgoing)?;
        loop {
            let node = self.node()?;
            self.collect(&node, outgoing)?;
            self.publish(outgoing, may_begin)?;
            if parts.recv().is_err() {
                return Ok(());
            }
            // One round is for all that are there by now.
            while parts.try_recv().is_ok() {}
        }
    }
}
