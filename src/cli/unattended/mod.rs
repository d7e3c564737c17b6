//! What it takes to run without anybody watching: to try again, to be a service of systemd, to be stopped.

pub(super) mod retry;
pub(super) mod service;
pub(super) mod stop;
