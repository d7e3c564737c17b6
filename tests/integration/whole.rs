//! What must be so whatever has happened: the commands, run again, bring the company to rest, and then
//! nothing is lost, doubled, left over or stuck.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use salesync::domain::Digest;
use salesync::sandbox::wait_until;
use walkdir::WalkDir;

use crate::company::{Company, Node};

/// More rounds than any trouble needs: a negative receipt, a repetition, and the answer to that.
const ROUNDS: u32 = 6;
/// A query per log: how many keys it has that were in a cut. What has come since is of rows born and gone.
const PROVEN_KEYS: &str = "
    SELECT format('SELECT count(*) FROM salesync.log_%s, salesync.node WHERE pg_visible_in_snapshot(xid, watermark)',
                  table_id) FROM salesync.tracked_table";

impl Company {
    /// One more sale at every branch, and then the commands of a working day until there is nothing left for
    /// them to do.
    pub fn heal(&self) {
        self.branches.iter().for_each(|branch| branch.sell("Tea"));
        for _ in 0..ROUNDS {
            self.round(&[0, 3]);
            if self.is_at_rest() {
                return;
            }
        }
        panic!("not at rest after {ROUNDS} rounds: {:?}", self.states());
    }

    /// Every branch bundles, head office applies, the branches take in the answers.
    fn round(&self, statuses: &[i32]) {
        let bundle = || {
            for branch in &self.branches {
                branch.run(&["bundle"]).exits_with_any(statuses);
            }
        };
        bundle();
        self.head_office.run(&["apply"]).exits_with_any(statuses);
        bundle();
    }

    fn states(&self) -> Vec<String> {
        let sql = "SELECT string_agg(sequence || ' ' || state, ', ' ORDER BY sequence) FROM salesync.bundle
                   JOIN salesync.node USING (epoch)";
        self.branches.iter().map(|branch| format!("{}: {}", branch.name, branch.value(sql))).collect()
    }

    fn is_at_rest(&self) -> bool {
        let mut broker = self.broker();
        let unproven =
            "SELECT count(*) FROM salesync.bundle JOIN salesync.node USING (epoch) WHERE state <> 'applied'";
        let unsent = "SELECT count(*) FROM salesync.receipt WHERE published_at IS NULL";
        self.head_office.value(unsent) == "0"
            && self.branches.iter().all(|branch| {
                branch.value(unproven) == "0" && broker.queue_depth(&branch.name).unwrap() == Some(0)
            })
    }

    /// At rest, everything is as if nothing had ever gone wrong.
    pub fn assert_whole(&self) {
        self.assert_whole_but_for_pruned_files(false);
    }

    /// The same where the first files of an archive may be pruned.
    pub fn assert_whole_but_for_pruned_files(&self, is_pruned: bool) {
        let head = &self.head_office;
        for branch in &self.branches {
            self.assert_same_rows(branch);
            self.assert_same_ledger(branch);
            branch.assert_archive_is(branch.name.as_str(), is_pruned, |_| false);
            for count in branch.column(PROVEN_KEYS) {
                assert_eq!(branch.value(&count), "0", "{} logs what is proven: {count}", branch.name);
            }
            branch.run(&["verify", "bundles"]).ok();
        }
        // What came by stick to a run that was killed before it could apply it, and whose epoch has passed meanwhile,
        // nobody looks at any more.
        let current = head.column("SELECT name || '/' || epoch FROM salesync.branch");
        head.assert_archive_is("' || branch || '", is_pruned, |epoch| {
            current
                .iter()
                .any(|current| Path::new(current).parent() == epoch.parent() && epoch < Path::new(current))
        });
        let unanswered = "SELECT sequence FROM salesync.bundle b WHERE state = 'applied' AND NOT EXISTS (
            SELECT FROM salesync.receipt r WHERE r.bundle_id = b.bundle_id AND outcome = 'applied'
            AND published_at IS NOT NULL)";
        assert_eq!(head.column(unanswered), Vec::<String>::new(), "no receipt");
        let doubled = "SELECT branch || ' ' || epoch || ' ' || sequence FROM salesync.delivery
            WHERE outcome = 'applied' GROUP BY branch, epoch, sequence HAVING count(*) <> 1";
        assert_eq!(head.column(doubled), Vec::<String>::new(), "applied twice");
        self.assert_rejected_is_kept();
        self.branches.iter().chain([head]).for_each(Node::assert_nothing_left);
        head.run(&["status", "--check"]).ok();
    }

    fn assert_same_rows(&self, branch: &Node) {
        let tables = "SELECT schema_name || '.' || table_name FROM salesync.tracked_table";
        for table in branch.column(tables) {
            let here = branch.rows(&table, "true");
            let there = self.head_office.rows(&table, &format!("branch = '{}'", branch.name));
            let differing: Vec<_> =
                here.iter().zip(&there).find(|(here, there)| here != there).into_iter().collect();
            assert!(
                differing.is_empty() && here.len() == there.len(),
                "{table} of {}: {} rows here, {} there, {differing:?}",
                branch.name,
                here.len(),
                there.len(),
            );
        }
    }

    /// The current epoch: the same bundles on both sides, each once and applied. Earlier ones: what head office
    /// has applied of them is a beginning of what the branch sealed. Of epochs before its first, a branch that was
    /// rebuilt knows nothing.
    fn assert_same_ledger(&self, branch: &Node) {
        let list = |node: &Node, condition: &str| {
            node.column(&format!(
                "SELECT format('%s %s %s', epoch, to_char(sequence, 'FM0000000000'), manifest_sha256)
                 FROM salesync.bundle WHERE {condition} ORDER BY 1"
            ))
        };
        let epoch = branch.value("SELECT epoch FROM salesync.node");
        let whose = format!("branch = '{}' AND state = 'applied'", branch.name);
        let sealed = list(branch, &format!("epoch = '{epoch}' AND state = 'applied'"));
        let applied = list(&self.head_office, &format!("epoch = '{epoch}' AND {whose}"));
        assert_eq!(sealed, applied, "the bundles of {}", branch.name);
        let dense = "SELECT count(*) = max(sequence) FROM salesync.bundle GROUP BY epoch";
        assert!(
            branch.column(dense).iter().all(|dense| dense == "true"),
            "a sequence of {} has gaps",
            branch.name
        );
        let all: BTreeSet<_> = list(branch, "true").into_iter().collect();
        let first = branch.value("SELECT epoch FROM salesync.bundle ORDER BY epoch LIMIT 1");
        let since = list(&self.head_office, &format!("{whose} AND epoch >= '{first}'"));
        let unknown: Vec<_> = since.into_iter().filter(|applied| !all.contains(applied)).collect();
        assert_eq!(unknown, Vec::<String>::new(), "applied, but never sealed by {}", branch.name);
        let gaps = format!(
            "SELECT epoch FROM salesync.bundle WHERE {whose} GROUP BY epoch HAVING count(*) <> max(sequence)"
        );
        assert_eq!(self.head_office.column(&gaps), Vec::<String>::new(), "applied with gaps");
    }

    /// What was rejected is kept as a file, is an incident, and is a dead letter if it came by the queue.
    fn assert_rejected_is_kept(&self) {
        let head = &self.head_office;
        let folder = head.folder.join("bundles");
        let kept: BTreeSet<PathBuf> = files_below(&folder.join("_rejected")).collect();
        let told = head.column("SELECT DISTINCT file FROM salesync.incident WHERE kind = 'rejected'");
        let told: BTreeSet<PathBuf> = told.into_iter().map(|file| head.folder.join(file)).collect();
        assert_eq!(kept, told, "rejected files and incidents");
        let mut broker = self.broker();
        let mut letters = Vec::new();
        while let Some(letter) = broker.next_dead().unwrap() {
            letters.push(letter);
        }
        let dead: BTreeSet<_> =
            letters.iter().map(|letter| format!("{}.bundle", Digest::of(&letter.payload))).collect();
        let from_queue = "SELECT DISTINCT i.file FROM salesync.incident i JOIN salesync.delivery d
            ON d.reason = i.detail AND d.branch = i.branch AND d.outcome = 'rejected'
            WHERE i.kind = 'rejected' AND d.source = 'queue'";
        let name = |file: &String| Path::new(file).file_name().unwrap().to_str().unwrap().to_owned();
        let expected: BTreeSet<_> = head.column(from_queue).iter().map(name).collect();
        assert_eq!(dead, expected, "dead letters and rejections");
    }
}

impl Node {
    /// The archive holds what is recorded, but for what is pruned, and nothing else, but in folders that `may_have_more`.
    /// `branch` is the SQL of the folder's name.
    fn assert_archive_is(&self, branch: &str, is_pruned: bool, may_have_more: impl Fn(&Path) -> bool) {
        let archive = self.folder.join("bundles");
        let recorded = format!(
            "SELECT '{branch}/' || epoch || '/' || to_char(sequence, 'FM0000000000') || '.bundle' FROM salesync.bundle"
        );
        let recorded: BTreeSet<_> =
            self.column(&recorded).into_iter().map(|file| archive.join(file)).collect();
        let other = archive.join("_rejected");
        let is_left = |file: &Path| {
            let folder = file.parent().and_then(|folder| folder.strip_prefix(&archive).ok());
            !recorded.contains(file) && folder.is_some_and(&may_have_more)
        };
        let found = files_below(&archive).filter(|file| !file.starts_with(&other) && !is_left(file));
        let found: BTreeSet<_> =
            found.filter(|file| file.file_name().unwrap() != "last-recorded.json").collect();
        let kept = recorded.iter().skip_while(|file| is_pruned && !found.contains(*file)).cloned();
        assert_eq!(found, kept.collect(), "the archive of {}", self.name);
    }

    /// No lock, no open transaction, no message of a run that has ended.
    fn assert_nothing_left(&self) {
        let busy = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        // A server process may take a moment to notice that its program has ended.
        let free = wait_until(Duration::from_secs(20), "the locks of ended programs", || {
            Ok((self.value(busy) == "0").then_some(()))
        });
        free.unwrap();
    }
}

fn files_below(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let exists = fs::exists(folder).unwrap();
    let entries = exists.then(|| WalkDir::new(folder)).into_iter().flatten().map(Result::unwrap);
    entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path)
}
