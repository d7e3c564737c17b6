//! Numbers as `OpenMetrics` has them: floats, which are exact for whole numbers up to 2^53.
#![expect(clippy::cast_precision_loss, reason = "no count comes near to 2^53")]

pub(super) fn whole(number: u64) -> f64 {
    number as f64
}

pub(super) fn count(number: usize) -> f64 {
    number as f64
}

pub(super) fn signed(number: i64) -> f64 {
    number as f64
}

pub(super) fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}
