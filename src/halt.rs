//! Where a test may stop the program between two steps with an effect: to kill it there, to take a
//! server away from under it, or to have it fail.
//!
//! In a debug build, with [`AT`] and [`FILE`] in the environment, the program writes the name of the step it
//! has just done into the file, waits until somebody removes it, and goes on; if [`FAULT`] is written there, the
//! thread that has stopped panics. A release build has nothing
//! of this: [`after`] is empty there, and the names are nowhere in the program.

/// The variable that says when to stop: `CutCommitted`, `CutCommitted#2` for the second time, `#7` for the
/// seventh step of any name.
pub const AT: &str = "SALESYNC_HALT_AT";
/// The variable that names the file.
pub const FILE: &str = "SALESYNC_HALT_FILE";
/// What a test writes into the file where the program is to have a fault.
pub const FAULT: &str = "fault";

/// Declares the steps, and the list of them all.
macro_rules! steps {
    ($($(#[$doc:meta])+ $step:ident,)+) => {
        /// What has just been done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Step { $($(#[$doc])+ $step,)+ }

        impl Step {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$step,)+];
        }
    };
}

steps! {
    /// A file is written under its temporary name.
    FileWritten,
    /// It is on disk.
    FileSynced,
    /// It has its name, which need not be on disk.
    FileNamed,
    /// A file that a killed run left in the making is gone.
    DraftRemoved,
    /// A sealed file that was never recorded is gone.
    FileDiscarded,
    /// A proven file is gone from the archive.
    FilePruned,
    /// A file that stood in the archive is with the rejected ones.
    FileSetAside,

    /// The branch's database is in a new epoch; the marker beside it is not.
    EpochBegun,
    /// The same with a branch's database that is made again from its bundles.
    BranchRebuilt,
    /// A cut has its snapshot.
    SnapshotTaken,
    /// A part of a cut is recorded that is not the last one.
    PartCommitted,
    /// The last part and the watermark are recorded, not committed.
    CutRecorded,
    /// They are committed.
    CutCommitted,
    /// The broker has confirmed a bundle.
    BundleConfirmed,
    /// That is noted.
    BundlePublished,
    /// The branch has a receipt on record, and it is still in the queue.
    ReceiptRecorded,
    /// It is out of the queue.
    ReceiptTaken,
    /// The same with a request of head office.
    RequestRecorded,
    /// What head office has asked for is cut; the request is still open.
    AnswerCut,
    /// What head office has asked for again is published; the request is still open.
    AnswerPublished,
    /// The change log is pruned, not committed.
    LogPruned,

    /// A message is on its way to the broker, not confirmed.
    MessageSent,
    /// An acknowledgement is on its way to the broker.
    AcknowledgementSent,
    /// The dead letters have a message that is still in its queue.
    MessageBuried,

    /// Head office has a bundle in a temporary file.
    BundleReceived,
    /// Its rows are in the tables before its turn has come.
    RowsLoadedAhead,
    /// Its rows are in the tables, nothing is recorded.
    RowsLoaded,
    /// The bundle, its delivery and its receipt are recorded, not committed.
    BundleRecorded,
    /// They are committed.
    BundleCommitted,
    /// A bundle is recorded as held, not committed.
    HoldRecorded,
    /// It is committed.
    HoldCommitted,
    /// A held bundle that is not in the archive any more is forgotten.
    HoldForgotten,
    /// A duplicate's delivery is recorded, its receipt is not yet to be sent again.
    DuplicateRecorded,
    /// A rejection is recorded, not committed.
    RejectionRecorded,
    /// It is committed.
    RejectionCommitted,
    /// What a person has decided is recorded, and nothing of it is carried out.
    DecisionRecorded,
    /// It is carried out, and that is not noted.
    DecisionCarriedOut,
    /// It is decided what becomes of a message; nobody has been told.
    MessageDecided,
    /// The broker has confirmed a receipt.
    ReceiptConfirmed,
    /// That is noted.
    ReceiptPublished,
    /// The broker has confirmed a request.
    RequestConfirmed,
    /// That is noted.
    RequestPublished,
    /// A message has been answered for.
    MessageAnswered,
}

/// The step has been done.
#[cfg(debug_assertions)]
pub fn after(step: Step) {
    armed::after(step);
}

/// Nothing.
#[cfg(not(debug_assertions))]
#[inline]
pub fn after(_: Step) {}

#[cfg(debug_assertions)]
mod armed {
    use std::path::PathBuf;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use std::{env, fs, thread};

    use super::{AT, FAULT, FILE, Step};

    const PAUSE: Duration = Duration::from_millis(2);

    /// Where to stop.
    struct Order {
        /// Any, if there is none.
        step: Option<String>,
        time: usize,
        file: PathBuf,
    }

    static ORDER: LazyLock<Option<Order>> = LazyLock::new(order);
    /// How often what is to be counted has been done.
    static TIMES: AtomicUsize = AtomicUsize::new(0);

    fn order() -> Option<Order> {
        let (at, file) = (env::var(AT).ok()?, env::var_os(FILE)?.into());
        let (step, time) = at.split_once('#').unwrap_or((&at, "1"));
        let step = (!step.is_empty()).then(|| step.to_owned());
        Some(Order { step, time: time.parse().ok()?, file })
    }

    pub(super) fn after(step: Step) {
        let Some(order) = &*ORDER else { return };
        // Another thread may have come to the place.
        stand_still(order);
        let name = format!("{step:?}");
        if order.step.as_ref().is_some_and(|wanted| *wanted != name)
            || TIMES.fetch_add(1, Ordering::Relaxed) + 1 != order.time
            || fs::write(&order.file, name).is_err()
        {
            return;
        }
        while order.file.exists() {
            have_a_fault(order);
            thread::sleep(PAUSE);
        }
    }

    /// If the test wants one.
    #[expect(clippy::panic, reason = "this is the one that is asked for")]
    fn have_a_fault(order: &Order) {
        if fs::read_to_string(&order.file).is_ok_and(|word| word == FAULT)
            && fs::remove_file(&order.file).is_ok()
        {
            panic!("a test has asked for this fault");
        }
    }

    /// Until the file is gone.
    fn stand_still(order: &Order) {
        while order.file.exists() {
            thread::sleep(PAUSE);
        }
    }
}
