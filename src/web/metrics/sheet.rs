//! A sheet of figures as they are now.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};

use crate::web::server::State;
use crate::web::site::Role;

/// Names and values of labels.
pub(super) type Labels<const N: usize> = [(&'static str, String); N];

/// Figures to be written.
pub(super) struct Sheet(Registry);

impl Sheet {
    pub(super) fn new() -> Self {
        Self(Registry::with_prefix("salesync"))
    }

    /// Something that goes up and down.
    pub(super) fn gauge<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<N>, f64)>,
    ) {
        let family = Family::<Labels<N>, Gauge<f64, AtomicU64>>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(value);
        }
        self.add(name, help, family);
    }

    /// Something that only grows. `_total` is added to its name.
    pub(super) fn counter<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<N>, u64)>,
    ) {
        let family = Family::<Labels<N>, Counter>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).inc_by(value);
        }
        self.add(name, help, family);
    }

    /// Something that is counted elsewhere.
    pub(super) fn add(&mut self, name: &str, help: &str, metric: impl Metric) {
        self.0.register(name, help, metric);
    }

    /// Which program serves which node.
    pub(super) fn build(&mut self, state: &State) {
        let role = match state.role {
            Role::HeadOffice(_) => "head-office",
            Role::Branch(_) => "branch",
        };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let labels = [("node", state.node.to_string()), ("role", role.to_owned()), ("version", version)];
        // Not as an `info`, which older readers do not know; it reads the same.
        self.gauge("build_info", "The program and the node it serves", [(labels, 1.0)]);
    }

    pub(super) fn registry(self) -> Registry {
        self.0
    }
}
