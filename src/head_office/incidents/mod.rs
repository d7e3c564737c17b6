//! What goes wrong at head office, for those who decide: what is open, what was, and what a decision costs.

mod matter;
mod open;
mod price;
mod trail;

pub use matter::{Matter, MatterKind, OpenDecision};
pub use open::{Open, open_matters};
pub use price::{BundleSize, FullSize, bundle_size, full_size};
pub use trail::{Entry, EntryKind, Position, Trail, TrailFilter, trail};
