//! What became of each bundle, for those who ask later.

mod arrivals;
mod biography;

pub use arrivals::{ArrivalFilter, ArrivalPage, ArrivalTurn, Arrived, ArrivedAs, arrivals};
pub use biography::{
    Biography, DecisionTaken, Delivered, IncidentNoted, ReceiptWritten, Recorded, RejectedFile, biography,
    rejected_file,
};
