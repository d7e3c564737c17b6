//! The stations of a bundle's life: what is known of each, and by whose clock.

use chrono::{DateTime, Utc};

use crate::domain::{Count, Manifest, Receipt};
use crate::head_office::history::{Biography, Recorded};
use crate::web::bundle::{Station, cut_in_words, effect_in_words, sealed_in_words};
use crate::web::words::Moment;

const BRANCH: &str = "the branch's clock";
const HERE: &str = "head office's clock";
const UNTOLD: &str = "the branch tells it with a later bundle";

/// All of them, as far as the bundle has come.
pub(super) fn stations(
    known: &Biography,
    manifest: Option<&Manifest>,
    receipt: Option<&Receipt>,
) -> Vec<Station> {
    let Some(recorded) = &known.recorded else { return Vec::new() };
    let mut all = vec![cut(manifest), sealed(recorded)];
    all.extend(on_the_way(known, recorded));
    all.push(received(known, recorded));
    all.push(Station {
        name: "Verified",
        when: None,
        clock: "each time before anything is applied",
        words: "Size, headers, checksums and the seal of the manifest, its place in the sequence, the hash of the one \
                before it."
            .to_owned(),
    });
    all.push(applied(recorded, receipt));
    all.push(receipted(known));
    all
}

fn cut(manifest: Option<&Manifest>) -> Station {
    let Some(Manifest { cut, .. }) = manifest else {
        return Station { name: "Cut", when: None, clock: "its manifest says it", words: String::new() };
    };
    let words = cut_in_words(cut.part, cut.last, &cut.watermark);
    Station { name: "Cut", when: Some(Moment(cut.taken_at)), clock: BRANCH, words }
}

fn sealed(recorded: &Recorded) -> Station {
    Station {
        name: "Sealed",
        when: Some(Moment(recorded.created_at)),
        clock: BRANCH,
        words: sealed_in_words(recorded.rows, recorded.tombstones, recorded.bytes),
    }
}

fn on_the_way(known: &Biography, recorded: &Recorded) -> [Station; 2] {
    let came_by_queue = known.deliveries.iter().any(|delivery| delivery.source == "queue");
    let words = match (recorded.confirmed_at.is_some(), came_by_queue) {
        (true, _) => "A broker had confirmed that it has it on disk.",
        (false, true) => "It came by the queue, so a broker had confirmed it, or was about to.",
        (false, false) => "It came as a file. Head office knows of no broker that had it.",
    };
    let station = |name, when: Option<DateTime<Utc>>, words: &str| Station {
        name,
        clock: if when.is_some() { BRANCH } else { UNTOLD },
        when: when.map(Moment),
        words: words.to_owned(),
    };
    [station("Published", recorded.published_at, ""), station("Confirmed", recorded.confirmed_at, words)]
}

fn received(known: &Biography, recorded: &Recorded) -> Station {
    let way = known.deliveries.first().map_or("", |delivery| match &*delivery.source {
        "queue" => "By the queue.",
        "file" => "As a file, named on the command line.",
        _ => "From head office's own archive, after an earlier delivery.",
    });
    let again = known.deliveries.iter().filter(|delivery| delivery.outcome == "duplicate").count();
    let again = if again > 0 {
        format!(" It came again {}, which changed nothing.", Count(again as u64, "time"))
    } else {
        String::new()
    };
    Station {
        name: "Received",
        when: Some(Moment(recorded.received_at)),
        clock: HERE,
        words: format!("{way}{again}"),
    }
}

fn applied(recorded: &Recorded, receipt: Option<&Receipt>) -> Station {
    let when = recorded.applied_at.map(Moment);
    let words = match (when.is_some(), receipt) {
        (false, _) => recorded.reason.clone().unwrap_or_default(),
        (true, None) => String::new(),
        (true, Some(receipt)) => effect_in_words(receipt),
    };
    Station { name: "Applied", clock: if when.is_some() { HERE } else { "not yet" }, when, words }
}

fn receipted(known: &Biography) -> Station {
    let last =
        known.receipts.iter().rev().find(|receipt| receipt.outcome == "applied").or(known.receipts.last());
    let when = last.map(|receipt| Moment(receipt.created_at));
    let words = last.map_or("", |receipt| {
        if receipt.published_at.is_some() { "A broker has it." } else { "It waits for a broker." }
    });
    Station {
        name: "Receipted",
        clock: if when.is_some() { HERE } else { "not yet" },
        when,
        words: words.to_owned(),
    }
}
