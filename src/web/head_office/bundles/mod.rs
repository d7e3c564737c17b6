//! The ledger, and the biography of each bundle.

mod ask;
mod bundle;
mod file;
mod life;
mod list;
mod rejected;

pub(super) use self::bundle::page as bundle;
pub(super) use self::file::{file, rejected_file};
pub(super) use self::list::page as list;
pub(super) use self::rejected::page as rejected;
