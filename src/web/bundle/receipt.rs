//! What head office's receipt says of a bundle.

use crate::domain::{Count, Receipt, TableEffect};
use crate::web::words::grouped;

/// Table; rows added, overwritten, deleted, put right.
pub(in crate::web) type Effect = [String; 5];

/// What the bundle did to head office's tables.
pub(in crate::web) fn effects(receipt: Option<&Receipt>) -> Vec<Effect> {
    receipt.iter().flat_map(|receipt| &receipt.tables).map(effect).collect()
}

fn effect(table: &TableEffect) -> Effect {
    [
        table.table.clone(),
        grouped(&table.inserted),
        grouped(&table.updated),
        grouped(&table.deleted),
        grouped(&table.divergences),
    ]
}

/// What was counted besides the bundle itself.
pub(in crate::web) fn days_counted(receipt: &Receipt) -> Option<String> {
    let days: usize =
        receipt.tables.iter().filter_map(|table| table.days.as_ref()).map(|days| days.days.len()).sum();
    (days > 0).then(|| {
        format!(
            "Head office counted {} in its own table as well, equal to what the branch had: otherwise the bundle would \
             have been rejected.",
            Count(days as u64, "business day")
        )
    })
}

/// The JSON with a line for each field. What cannot be read is shown as it is.
pub(in crate::web) fn legible_json(body: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(body);
    value.ok().and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| body.to_owned())
}
