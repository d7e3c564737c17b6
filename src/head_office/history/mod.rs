//! What became of each bundle, for those who ask later.

mod arrivals;
mod biography;
mod preview;

pub use arrivals::{Arrived, ArrivalFilter, ArrivalPage, ArrivalTurn, ArrivedAs, arrivals};
pub use biography::{
    Biography, DecisionTaken, Delivered, IncidentNoted, ReceiptWritten, Recorded, RejectedFile, biography, rejected_file,
};
pub use preview::{Examined, Glimpse, Preview, PREVIEW_ROWS, examine};
