//! What the commands are killed at.

use std::fs;
use std::path::{Path, PathBuf};

use salesync::halt::Step;

use super::{killed, without_database};
use crate::company::{Company, Node};
use crate::delivery::enqueue;
use crate::forge::forged;

/// What is brought about, and the command that works on it.
pub(super) struct Scenario {
    /// Brings it about; called before every run of the command, on a company at rest.
    pub(super) prepare: fn(&Company),
    pub(super) command: fn(&Company) -> (&Node, Vec<String>),
    /// The steps that this scenario is there for. It may come to others.
    pub(super) proves: &'static [Step],
    /// The steps after which the broker is killed: those of a program that has still to do with it.
    pub(super) with_broker: &'static [Step],
    /// Whether files of proven bundles go.
    pub(super) prunes: bool,
    /// Whether a bundle comes before an earlier one, so that head office asks for that.
    pub(super) has_gap: bool,
    /// What a person has to do before the usual commands can heal it.
    pub(super) mend: fn(&Company),
}

impl Scenario {
    const PLAIN: Self = Self {
        prepare: |_| (),
        command: |company| (company.branch(), Vec::new()),
        proves: &[],
        with_broker: &[],
        prunes: false,
        has_gap: false,
        mend: |_| (),
    };
}

/// Declares the scenarios, each with a test in which the program is killed and one in which its database server
/// is.
macro_rules! scenarios {
    ($($(#[$doc:meta])+ $name:ident = $scenario:expr;)+) => {
        pub(super) const SCENARIOS: &[&Scenario] = &[$(&$name::SCENARIO,)+];

        $($(#[$doc])+ mod $name {
            use super::*;

            pub(super) const SCENARIO: Scenario = $scenario;

            #[test]
            fn the_program_is_killed_after_every_step() {
                killed(&SCENARIO);
            }

            #[test]
            fn the_database_is_killed_after_every_step_it_is_there_for() {
                without_database(&SCENARIO);
            }
        })+
    };
}

scenarios! {
    /// Receipts wait, a sealed bundle waits, and a cut in two parts is made. They begin to leave while it is made.
    bundle = Scenario {
        prepare: |company| {
            let east = company.branch();
            trade(east);
            company.sync();
            trade(east);
            east.run(&["bundle", "--offline"]).ok();
            trade(east);
            fill_two_parts(east);
        },
        command: |company| (company.branch(), words(&["bundle"])),
        proves: &[
            Step::SnapshotTaken, Step::FileWritten, Step::FileSynced, Step::FileNamed, Step::PartCommitted,
            Step::CutRecorded, Step::CutCommitted, Step::ReceiptRecorded, Step::AcknowledgementSent, Step::ReceiptTaken,
            Step::LogPruned, Step::MessageSent, Step::BundleConfirmed, Step::BundlePublished,
        ],
        with_broker: &[
            Step::ReceiptRecorded, Step::AcknowledgementSent, Step::ReceiptTaken, Step::LogPruned, Step::MessageSent,
            Step::BundleConfirmed, Step::BundlePublished,
        ],
        ..Scenario::PLAIN
    };

    /// Head office has asked for everything.
    bundle_when_all_is_wanted = Scenario {
        prepare: |company| {
            trade(company.branch());
            company.branch().run(&["bundle", "--offline"]).ok();
            company.head_office.run(&["request", "east", "--full"]).ok();
        },
        command: |company| (company.branch(), words(&["bundle"])),
        proves: &[Step::RequestRecorded, Step::AnswerCut],
        with_broker: &[Step::RequestRecorded],
        ..Scenario::PLAIN
    };

    /// Head office has asked for what it has had already.
    bundle_when_one_is_wanted_again = Scenario {
        prepare: |company| {
            let last = company.branch().value("SELECT last_sequence FROM salesync.node");
            company.head_office.run(&["request", "east", "--resend", &last]).ok();
            trade(company.branch());
        },
        command: |company| (company.branch(), words(&["bundle"])),
        proves: &[Step::RequestRecorded, Step::AnswerPublished],
        ..Scenario::PLAIN
    };

    /// Everything again, in a new epoch, while a bundle of the old one is not sent, and the next was sealed by
    /// a run that was killed before it could record it.
    bundle_since_all = Scenario {
        prepare: |company| {
            let east = company.branch();
            trade(east);
            east.run(&["bundle", "--offline"]).ok();
            trade(east);
            east.halted(&["bundle"], "CutRecorded").kill();
        },
        command: |company| (company.branch(), words(&["bundle", "--since", "all"])),
        proves: &[Step::EpochBegun],
        ..Scenario::PLAIN
    };

    /// A run was killed with a part in the making.
    bundle_after_a_crash = Scenario {
        prepare: |company| {
            let east = company.branch();
            trade(east);
            fill_two_parts(east);
            east.halted(&["bundle", "--offline"], "FileWritten").kill();
        },
        command: |company| (company.branch(), words(&["bundle", "--offline"])),
        proves: &[Step::DraftRemoved],
        ..Scenario::PLAIN
    };

    /// A run was killed with a part sealed and not recorded.
    bundle_after_a_crash_before_recording = Scenario {
        prepare: |company| {
            let east = company.branch();
            trade(east);
            fill_two_parts(east);
            east.halted(&["bundle", "--offline"], "FileNamed").kill();
        },
        command: |company| (company.branch(), words(&["bundle", "--offline"])),
        proves: &[Step::FileDiscarded],
        ..Scenario::PLAIN
    };

    /// A run was killed with one part of two recorded, and head office has it by stick. Some of its rows are not
    /// there any more.
    bundle_after_a_part = Scenario {
        prepare: |company| {
            let east = company.branch();
            trade(east);
            fill_two_parts(east);
            east.halted(&["bundle", "--offline"], "PartCommitted").kill();
            let part = east.bundles().pop().unwrap();
            company.head_office.run(&["apply", text(&part)]).ok();
            trade(east);
            fill_two_parts(east);
        },
        command: |company| (company.branch(), words(&["bundle"])),
        proves: &[Step::SnapshotTaken, Step::PartCommitted, Step::CutRecorded, Step::CutCommitted],
        with_broker: &[Step::PartCommitted],
        ..Scenario::PLAIN
    };

    /// A bundle that head office has, while its receipt waits.
    resend = Scenario {
        prepare: |company| {
            trade(company.branch());
            company.sync();
        },
        command: |company| {
            let last = company.branch().value("SELECT last_sequence FROM salesync.node");
            (company.branch(), words(&["resend", &last]))
        },
        proves: &[Step::BundlePublished],
        ..Scenario::PLAIN
    };

    /// A bundle is in the queue.
    apply = Scenario {
        prepare: |company| {
            trade(company.branch());
            company.branch().run(&["bundle"]).ok();
        },
        command: |company| (&company.head_office, words(&["apply"])),
        proves: &[
            Step::BundleReceived, Step::RowsLoaded, Step::BundleRecorded, Step::BundleCommitted,
            Step::MessageDecided, Step::ReceiptConfirmed, Step::ReceiptPublished, Step::MessageAnswered,
        ],
        with_broker: &[
            Step::BundleReceived, Step::BundleRecorded, Step::MessageDecided, Step::MessageSent,
            Step::ReceiptConfirmed, Step::AcknowledgementSent,
        ],
        ..Scenario::PLAIN
    };

    /// Two parts of a cut are in the queue: the second is loaded while the first is applied.
    apply_two_parts = Scenario {
        prepare: |company| {
            trade(company.branch());
            fill_two_parts(company.branch());
            company.branch().run(&["bundle"]).ok();
        },
        command: |company| (&company.head_office, words(&["apply"])),
        proves: &[Step::RowsLoadedAhead],
        with_broker: &[Step::RowsLoadedAhead],
        ..Scenario::PLAIN
    };

    /// The bundle in the queue has been applied.
    apply_a_duplicate = Scenario {
        prepare: |company| {
            trade(company.branch());
            company.sync();
            let last = company.branch().value("SELECT last_sequence FROM salesync.node");
            company.branch().run(&["resend", &last]).ok();
        },
        command: |company| (&company.head_office, words(&["apply"])),
        proves: &[Step::DuplicateRecorded],
        with_broker: &[
            Step::DuplicateRecorded,
        ],
        ..Scenario::PLAIN
    };

    /// The second of two bundles is in the queue.
    apply_a_later_one = Scenario {
        prepare: |company| {
            let [_, later] = sealed(company);
            enqueue(company, "east", &fs::read(later).unwrap());
        },
        command: |company| (&company.head_office, words(&["apply"])),
        proves: &[Step::HoldRecorded, Step::HoldCommitted],
        with_broker: &[
            Step::HoldCommitted,
        ],
        has_gap: true,
        ..Scenario::PLAIN
    };

    /// The second of two bundles is held, and the first comes.
    apply_what_was_missing = Scenario {
        prepare: |company| {
            let [first, later] = sealed(company);
            company.head_office.run(&["apply", text(&later)]).exits(3);
            enqueue(company, "east", &fs::read(first).unwrap());
        },
        command: |company| (&company.head_office, words(&["apply"])),
        proves: &[Step::BundleCommitted],
        with_broker: &[
            Step::ReceiptPublished,
        ],
        has_gap: true,
        ..Scenario::PLAIN
    };

    /// The same, and the file of the second is gone.
    apply_what_was_missing_and_miss_the_next = Scenario {
        prepare: |company| {
            let [first, later] = sealed(company);
            company.head_office.run(&["apply", text(&later)]).exits(3);
            let kept = later.strip_prefix(&company.branch().folder).unwrap();
            fs::remove_file(company.head_office.folder.join(kept)).unwrap();
            enqueue(company, "east", &fs::read(first).unwrap());
        },
        command: |company| (&company.head_office, words(&["apply"])),
        proves: &[Step::HoldForgotten],
        has_gap: true,
        ..Scenario::PLAIN
    };

    /// Head office asks for something.
    request = Scenario {
        prepare: |company| trade(company.branch()),
        command: |company| (&company.head_office, words(&["request", "east", "--sync-now"])),
        proves: &[Step::RequestConfirmed, Step::RequestPublished],
        with_broker: &[Step::RequestConfirmed],
        ..Scenario::PLAIN
    };

    /// Two bundles are proven.
    prune = Scenario {
        prepare: |company| sealed_and_applied(company),
        command: |company| (company.branch(), words(&["prune", "--keep", "0s", "--newest-epoch-too"])),
        proves: &[Step::FilePruned],
        prunes: true,
        ..Scenario::PLAIN
    };

    /// The same at head office.
    prune_at_head_office = Scenario {
        prepare: |company| sealed_and_applied(company),
        command: |company| (&company.head_office, words(&["prune", "--keep", "0s", "--newest-epoch-too"])),
        proves: &[Step::FilePruned],
        prunes: true,
        ..Scenario::PLAIN
    };

    /// In the queue: no bundle at all, and one whose turn it is, with a wrong total.
    apply_and_reject = Scenario {
        prepare: |company| {
            let [first, _] = sealed(company);
            let noise = company.branch().value("SELECT gen_random_uuid()");
            enqueue(company, "east", format!("no bundle {noise}").as_bytes());
            let false_total = forged(&first, |manifest| {
                let totals = &mut manifest.tables[0].members[0].totals;
                totals.get_mut("total").unwrap().sum = "1000000.00".into();
            });
            enqueue(company, "east", &false_total);
        },
        command: |company| (&company.head_office, words(&["apply"])),
        proves: &[
            Step::FileSetAside, Step::RejectionRecorded, Step::RejectionCommitted, Step::MessageBuried,
        ],
        with_broker: &[
            Step::RejectionCommitted, Step::MessageBuried, Step::MessageAnswered,
        ],
        ..Scenario::PLAIN
    };

    /// A bundle that deletes a lot is held, and the next one behind it.
    approve = Scenario {
        prepare: |company| held_for_deletion(company),
        command: |company| (&company.head_office, on_first_held(company, &["approve"])),
        proves: &[Step::DecisionRecorded, Step::DecisionCarriedOut],
        with_broker: &[Step::DecisionRecorded, Step::DecisionCarriedOut],
        ..Scenario::PLAIN
    };

    /// The same. The branch begins a new epoch, which deletes as much and may.
    reject = Scenario {
        prepare: |company| held_for_deletion(company),
        command: |company| (&company.head_office, on_first_held(company, &["reject", "--reason", "a mistake"])),
        proves: &[Step::DecisionRecorded, Step::FileSetAside, Step::RejectionCommitted, Step::DecisionCarriedOut],
        mend: |company| {
            let head = &company.head_office;
            head.run(&["apply"]).exits_with_any(&[0, 3]);
            company.branch().run(&["bundle", "--since", "all"]).exits_with_any(&[0, 3]);
            head.run(&["apply"]).exits(3);
            let approve = on_first_held(company, &["approve"]);
            head.run(&approve.iter().map(String::as_str).collect::<Vec<_>>()).ok();
        },
        ..Scenario::PLAIN
    };

    /// A bundle was rejected by a constraint that is gone, and the next two are held behind it.
    retry = Scenario {
        prepare: |company| {
            let (east, head) = (company.branch(), &company.head_office);
            head.sql("ALTER TABLE public.sales ADD CONSTRAINT no_pens CHECK (product <> 'Pens') NOT VALID");
            east.sell("Pens");
            east.run(&["bundle"]).ok();
            for _ in 0..2 {
                trade(east);
                east.run(&["bundle"]).ok();
            }
            head.run(&["apply"]).exits(3);
            head.sql("ALTER TABLE public.sales DROP CONSTRAINT no_pens");
        },
        command: |company| (&company.head_office, words(&["retry", "east"])),
        proves: &[Step::DecisionRecorded, Step::BundleCommitted, Step::DecisionCarriedOut],
        ..Scenario::PLAIN
    };

    /// The branch's machine is lost; head office has its bundles.
    rebuild = Scenario {
        prepare: |company| {
            let east = company.branch();
            east.sql("DROP SCHEMA salesync CASCADE; CREATE SCHEMA salesync AUTHORIZATION salesync_bundle;
                      TRUNCATE public.sales, public.shop, public.visit");
            fs::remove_dir_all(east.folder.join("bundles")).unwrap();
        },
        command: |company| {
            let archive = company.head_office.folder.join("bundles");
            (company.branch(), words(&["replay", "--into-branch", text(&archive)]))
        },
        proves: &[Step::BranchRebuilt],
        ..Scenario::PLAIN
    };

    /// Two bundles come by stick.
    apply_files = Scenario {
        prepare: |company| drop(sealed(company)),
        command: |company| {
            let [first, later] = last_two(company.branch());
            (&company.head_office, words(&["apply", text(&first), text(&later)]))
        },
        proves: &[Step::BundleCommitted],
        ..Scenario::PLAIN
    };

    /// Two bundles are in a branch's archive that head office does not have.
    replay = Scenario {
        prepare: |company| drop(sealed(company)),
        command: |company| {
            let archive = company.branch().folder.join("bundles");
            let first = company.branch().value("SELECT last_sequence - 1 FROM salesync.node");
            (&company.head_office, words(&["replay", text(&archive), "--from", &first]))
        },
        proves: &[Step::BundleCommitted],
        ..Scenario::PLAIN
    };
}

/// A head office and a branch with two tables besides its sales.
pub(super) fn company(broker_url: String, database: impl Fn() -> String) -> Company {
    const OPTIONS: &str = "[bundle]\nmax_bytes = \"64 KiB\"\n[[table]]\nname = \"public.sales\"\nday = \"date\"\n\
                           [[table]]\nname = \"public.shop\"\n[[table]]\nname = \"public.visit\"\n";
    const TABLES: &str = "
        CREATE TABLE public.shop (id int PRIMARY KEY, name text NOT NULL);
        CREATE TABLE public.visit (shop int REFERENCES public.shop ON UPDATE CASCADE, no int, noise bytea,
                                   PRIMARY KEY (shop, no));
        CREATE FUNCTION public.noise() RETURNS bytea LANGUAGE sql VOLATILE AS
        $$SELECT string_agg(sha256(random()::text::bytea), '') FROM generate_series(1, 32)$$";
    let company = Company::on(broker_url, database, &["east"], OPTIONS);
    company.branch().sql(TABLES);
    company.head_office.run(&["init"]).ok();
    company.branch().run(&["init", "--with-sales"]).ok();
    trade(company.branch());
    company.heal();
    company
}

/// Inserts, updates, tombstones, changed keys, rows born and gone, in all tables, which do not grow.
pub(super) fn trade(branch: &Node) {
    branch.sell("Ink");
    branch.sql(
        "DELETE FROM public.visit WHERE no > 99 OR shop < (SELECT max(id) FROM public.shop) - 6;
         DELETE FROM public.shop WHERE id < (SELECT max(id) FROM public.shop) - 6;
         UPDATE public.shop SET id = -id WHERE id = (SELECT min(id) FROM public.shop);
         INSERT INTO public.shop SELECT (SELECT coalesce(max(id), 0) FROM public.shop) + n, 'shop'
         FROM generate_series(1, 3) n;
         INSERT INTO public.visit SELECT id, no, public.noise()
         FROM (SELECT id FROM public.shop ORDER BY id DESC LIMIT 3) AS shops, generate_series(1, 3) no;
         UPDATE public.shop SET name = name || '+' WHERE id % 3 = 0;
         UPDATE public.visit SET noise = NULL WHERE no = 2;
         DELETE FROM public.visit WHERE no = 3 AND shop % 2 = 0;
         INSERT INTO public.shop VALUES (0, 'born'); DELETE FROM public.shop WHERE id = 0;
         UPDATE public.sales SET date = date + 1 WHERE id % 4 = 0;
         DELETE FROM public.sales WHERE id % 5 = 0 AND id < (SELECT max(id) FROM public.sales)
         OR id < (SELECT max(id) FROM public.sales) - 20",
    );
}

/// As many rows as do not fit into one bundle.
pub(super) fn fill_two_parts(branch: &Node) {
    branch.sql(
        "INSERT INTO public.visit SELECT (SELECT max(id) FROM public.shop), no, public.noise()
         FROM generate_series(100, 170) no ON CONFLICT DO NOTHING",
    );
}

/// So many rows that nobody deletes them all without being asked. The next trade does.
fn fill_with_many_rows(branch: &Node) {
    branch.sql(
        "INSERT INTO public.visit SELECT (SELECT max(id) FROM public.shop), no FROM generate_series(1000, 2100) no
         ON CONFLICT DO NOTHING",
    );
}

/// Of two bundles in the queue, the first deletes those rows, and waits for a person.
fn held_for_deletion(company: &Company) {
    fill_with_many_rows(company.branch());
    company.sync();
    for _ in 0..2 {
        trade(company.branch());
        company.branch().run(&["bundle"]).ok();
    }
    company.head_office.run(&["apply"]).exits(3);
}

/// What a person decides on the first bundle that is held.
fn on_first_held(company: &Company, decision: &[&str]) -> Vec<String> {
    let sql = "SELECT min(sequence) FROM salesync.bundle WHERE state = 'held' AND epoch =
               (SELECT epoch FROM salesync.bundle ORDER BY epoch DESC LIMIT 1)";
    let held = company.head_office.value(sql);
    words(&[decision, &["east", &held]].concat())
}

/// Two bundles that head office has applied, and the branch knows it.
fn sealed_and_applied(company: &Company) {
    sealed(company);
    company.heal();
}

/// Two bundles that are sealed and not sent.
fn sealed(company: &Company) -> [PathBuf; 2] {
    for _ in 0..2 {
        trade(company.branch());
        company.branch().run(&["bundle", "--offline"]).ok();
    }
    last_two(company.branch())
}

fn last_two(branch: &Node) -> [PathBuf; 2] {
    branch.bundles().last_chunk().expect("two bundles").clone()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn words(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|&argument| argument.to_owned()).collect()
}
