//! A company in which something happens, and its operators.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use chrono::{SecondsFormat, Utc};
use regex::Regex;
use salesync::domain::BundleId;
use salesync::sandbox::find_postgres;

use crate::company::{Company, Node, SALES};
use crate::enrolled::{KEY, enrolled, key_of, know_branches, public_key};
use crate::enrolment::{await_standing, head_office, machine};
use crate::forge::{forged, signed_by};
use crate::line::Line;
use crate::running::Running;
use crate::servers::{control_broker, fresh_database, fresh_vhost};
use crate::small_disk::SmallDisk;

/// What is typed at a node finds the program, and `psql` finds the node's database.
const PREPARED: &str = "exec 2>&1; psql() { command psql \"$SALESYNC_DATABASE_URL\" \"$@\"; }; ";

/// No file may have more than 8 KiB: a full disk, where none can be mounted.
const NO_ROOM: &str = "trap '' XFSZ; ulimit -f 8; ";

/// Where the broker is, or a line to it, and what the tests' virtual hosts are called.
static SERVER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"127\.0\.0\.1:[0-9]+").unwrap());
static VHOST: LazyLock<Regex> = LazyLock::new(|| Regex::new("test-[0-9]+").unwrap());
static PUBLIC_KEY: LazyLock<Regex> = LazyLock::new(|| Regex::new("ed25519:[0-9a-f]{64}").unwrap());

pub(super) struct World {
    pub(super) company: Company,
    /// The line of the first branch.
    line: Option<Line>,
    /// The disk of the first branch's archive.
    disk: Option<SmallDisk>,
    /// What runs since it was typed.
    running: Option<(String, Running)>,
    limit: &'static str,
    /// The public key that was printed last: `{key}` in what is typed.
    key: String,
}

/// Head office's sections: it expects every branch daily.
fn expected(company: &Company) -> String {
    let section = |name: &str| ["[branches.", name, "]\nexpect_every = \"26h\"\n"].concat();
    company.branches.iter().map(|branch| section(&branch.name)).collect()
}

/// The node's folder by another name.
fn etc(node: &Node) -> PathBuf {
    node.folder.join("etc")
}

impl World {
    /// Every branch has one sale, which is at head office; head office expects each branch daily.
    pub(super) fn new(branches: &[&str]) -> Self {
        let company = Company::of_sales(branches);
        company.head_office.configure("role = \"head-office\"", &company.broker_url, &expected(&company));
        company.branches.iter().for_each(|branch| branch.sell("Ink"));
        company.sync();
        company.branches.iter().for_each(|branch| drop(branch.run(&["bundle"]).ok()));
        let world = Self { company, line: None, disk: None, running: None, limit: "", key: String::new() };
        fs::create_dir(world.stick()).unwrap();
        world
    }

    /// Instead a company in which everybody signs, with one branch.
    pub(super) fn signs(&mut self) {
        self.company = enrolled(&["east"]);
        fs::create_dir(self.stick()).unwrap();
        self.sells_and_bundles("east");
        self.head().run(&["apply"]).ok();
        self.east().run(&["bundle"]).ok();
    }

    /// Instead a head office that signs, with its `apply` as a service, and a machine that is to be a branch.
    pub(super) fn has_a_machine_to_enrol(&mut self, name: &str) {
        self.company = head_office();
        fs::create_dir(self.stick()).unwrap();
        self.company.branches.push(machine(&self.company, name));
        for node in [self.head(), self.east()] {
            symlink(".", etc(node)).unwrap();
        }
        self.starts("head$ salesync apply --follow");
    }

    /// Instead of the first branch's machine there is an empty one.
    pub(super) fn gets_another_machine(&mut self) {
        let new = machine(&self.company, &format!("new-{}", self.east().name));
        self.company.branches[0] = Node { name: self.east().name.clone(), ..new };
        symlink(".", etc(self.east())).unwrap();
    }

    /// The service has taken in that the first branch's key counts.
    pub(super) fn is_believed(&self) {
        await_standing(self.east(), "confirmed");
    }

    /// The first key of the branch's file at head office that is not revoked is revoked there, by hand.
    pub(super) fn revokes_first_key(&self) {
        let file = self.head().folder.join(format!("branches.d/{}.toml", self.east().name));
        let text = fs::read_to_string(&file).unwrap();
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        fs::write(file, text.replacen("Z },", &format!("Z, revoked_at = {now} }},"), 1)).unwrap();
    }

    /// Somebody has the first branch's key, which is revoked, and brings a bundle that he has signed with it.
    pub(super) fn steals_key(&self) {
        let key = key_of(self.east());
        let revoked = format!("{{ key = \"{}\", revoked_at = 2026-01-01T00:00:00Z }}", key.public());
        know_branches(&self.company, &format!("[branches.east]\npublic_keys = [{revoked}]\n"));
        self.east().sell("Gold");
        self.east().run(&["bundle", "--offline"]).ok();
        let last = self.east().bundles().pop().unwrap();
        let bundle = forged(&last, |manifest| manifest.bundle_id = BundleId::generate());
        fs::write(self.stick().join("false.bundle"), signed_by(&key, &bundle)).unwrap();
    }

    /// The first branch signs with the key in this file.
    pub(super) fn signs_with(&self, name: &str) {
        fs::rename(self.east().folder.join(name), self.east().folder.join(KEY)).unwrap();
    }

    /// Head office knows the key with which the first branch signs, and nothing else of it.
    pub(super) fn knows_key(&self, before: &str) {
        let keys =
            format!("[branches.east]\npublic_keys = [{before}{{ key = \"{}\" }}]\n", public_key(self.east()));
        know_branches(&self.company, &keys);
    }

    pub(super) fn head(&self) -> &Node {
        &self.company.head_office
    }

    pub(super) fn east(&self) -> &Node {
        &self.company.branches[0]
    }

    pub(super) fn branch(&self, name: &str) -> &Node {
        self.company.branches.iter().find(|branch| branch.name == name).expect(name)
    }

    fn stick(&self) -> PathBuf {
        self.head().folder.with_file_name("usb")
    }

    /// A branch sells, and bundles what it has sold.
    pub(super) fn sells_and_bundles(&self, name: &str) {
        self.branch(name).sell("Paper");
        self.branch(name).run(&["bundle"]).exits_with_any(&[0, 3]);
    }

    /// So many sales of a branch more are at head office.
    pub(super) fn has_sold(&self, name: &str, count: u32) {
        let branch = self.branch(name);
        branch.sql(&format!(
            "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
             SELECT '2021-05-01', 'East', 'Ink', 1, 2, 2, 0.14, 2.14 FROM generate_series(1, {count})"
        ));
        branch.run(&["bundle"]).ok();
        self.head().run(&["apply"]).exits_with_any(&[0, 3]);
        branch.run(&["bundle"]).ok();
    }

    /// The next message of a branch never arrives.
    pub(super) fn loses_message(&self, name: &str) {
        let mut broker = self.company.broker();
        let lost = broker.next_bundle(name).unwrap().expect("a message");
        broker.acknowledge(lost).unwrap();
    }

    /// Head office has an empty database.
    pub(super) fn loses_head_offices_database(&mut self) {
        self.company.head_office.database_url = fresh_database();
        self.head().configure("role = \"head-office\"", &self.company.broker_url, &expected(&self.company));
    }

    /// The first branch looks for the broker at this URL.
    pub(super) fn calls(&self, url: &str) {
        self.east().configure("role = \"branch\"", url, SALES);
    }

    /// There is another broker in the place of the old one, with nothing in it.
    pub(super) fn gets_another_broker(&mut self) {
        self.company.broker_url = fresh_vhost();
        self.head().configure("role = \"head-office\"", &self.company.broker_url, &expected(&self.company));
        self.calls(&self.company.broker_url);
    }

    /// Nothing listens where the first branch looks for the broker.
    pub(super) fn loses_broker(&self) {
        let gone = Line::to(&self.company.broker_url);
        self.calls(gone.url());
    }

    /// The first branch has a line of its own to the broker.
    pub(super) fn gets_line(&mut self) -> &Line {
        let line = Line::to(&self.company.broker_url);
        self.calls(line.url());
        self.line.insert(line)
    }

    /// The line is as fast as it can be.
    pub(super) fn is_repaired(&self) {
        self.line.iter().for_each(Line::is_repaired);
    }

    /// The first branch's line, with bundles of 64 KiB.
    pub(super) fn has_small_bundles(&self) {
        let url = self.line.as_ref().expect("a line").url();
        let options = format!("[bundle]\nmax_bytes = \"64 KiB\"\n{SALES}");
        self.east().configure("role = \"branch\"", url, &options);
    }

    /// The first branch on another machine, or with another database.
    pub(super) fn moves(&mut self, folder: &str, database_url: String) {
        let folder = self.head().folder.with_file_name(folder);
        fs::create_dir_all(&folder).unwrap();
        self.company.branches[0] = Node { name: "east".into(), folder, database_url };
        self.calls(&self.company.broker_url);
    }

    /// The first branch's database as of now, restored from a dump.
    pub(super) fn dump_of_east(&self) -> String {
        let restored = fresh_database();
        let dump =
            self.shell(self.east(), &format!("pg_dump {}", self.east().database_url)).output().unwrap();
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stdout));
        let mut restore = self.shell(self.east(), &format!("command psql -q -o /dev/null {restored}"));
        let mut child = restore.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), &dump.stdout).unwrap();
        assert!(child.wait().unwrap().success());
        restored
    }

    /// The archive of the first branch is on a disk without room.
    pub(super) fn fills_disk(&mut self) {
        let archive = self.east().folder.join("bundles");
        let aside = self.east().folder.with_file_name("disk");
        fs::create_dir(&aside).unwrap();
        let Some(disk) = SmallDisk::mounted_on(&aside, "256k") else {
            self.limit = NO_ROOM;
            return;
        };
        let copied = Command::new("cp").arg("-a").arg(archive.join(".")).arg(disk.path()).status().unwrap();
        assert!(copied.success());
        fs::remove_dir_all(&archive).unwrap();
        symlink(disk.path(), &archive).unwrap();
        disk.fill();
        self.disk = Some(disk);
    }

    pub(super) fn frees_disk(&mut self) {
        self.limit = "";
        self.disk.iter().for_each(SmallDisk::make_room);
    }

    /// Types a command that stays. It is stopped when it is shown.
    pub(super) fn starts(&mut self, line: &str) {
        let (node, typed) = self.typed(line);
        let arguments: Vec<&str> = typed.split(' ').skip(1).collect();
        let running = Running::start(node, &arguments);
        self.running = Some((line.to_owned(), running));
    }

    /// Waits until that has said this.
    pub(super) fn has_said(&self, words: &str) {
        let (_, running) = self.running.as_ref().expect("something that runs");
        running.has_said(words);
    }

    /// The line, what it prints, and its exit status if that is not 0.
    pub(super) fn types(&mut self, line: &str) -> String {
        let running = self.running.take_if(|(known, _)| known == line);
        let line = &line.replace("{key}", &self.key);
        let (node, typed) = self.typed(line);
        let (printed, status) = if let Some((_, running)) = running {
            (running.stops().ok().stderr(), Some(0))
        } else if let Some(typed) = typed.strip_prefix("sudo rabbitmqctl -q ") {
            let typed = self.real(node, typed);
            let arguments: Vec<&str> = typed.split(' ').filter(|word| *word != "<").collect();
            (control_broker(&arguments), Some(0))
        } else {
            let output = self.shell(node, &self.real(node, typed)).output().unwrap();
            (String::from_utf8(output.stdout).unwrap(), output.status.code())
        };
        let status =
            status.filter(|status| *status != 0).map_or_else(String::new, |status| format!("[{status}]\n"));
        let shown = format!("{line}\n{}{status}", self.shown(node, &printed));
        if let Some(key) = PUBLIC_KEY.find_iter(&shown).last() {
            key.as_str().clone_into(&mut self.key);
        }
        shown
    }

    fn typed<'l>(&self, line: &'l str) -> (&Node, &'l str) {
        let (name, typed) = line.split_once("$ ").unwrap_or_else(|| panic!("{line:?} has no prompt"));
        (if name == "head" { self.head() } else { self.branch(name) }, typed)
    }

    fn shell(&self, node: &Node, script: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_salesync")).parent().unwrap();
        let psql = find_postgres("psql").unwrap();
        let path = format!("{}:{}:/usr/bin:/bin", program.display(), psql.parent().unwrap().display());
        let mut command = Command::new("bash");
        command.args(["-c", &format!("{PREPARED}{}{script}", self.limit)]).current_dir(&node.folder);
        command.env_clear().env("HOME", &node.folder).env("USER", "ann").env("PATH", path);
        let configuration = [etc(node), node.folder.clone()].map(|folder| folder.join("salesync.toml"));
        if let Some(file) = configuration.iter().find(|file| file.exists()) {
            let url = node.program_url_for(&script.split_whitespace().collect::<Vec<_>>());
            command.env("SALESYNC_DATABASE_URL", url).env("SALESYNC_CONFIG", file);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// Folders and databases as the document calls them, and where they are.
    fn places(&self, node: &Node) -> [(String, String); 4] {
        [
            ("/etc/salesync".to_owned(), etc(node).display().to_string()),
            ("/var/lib/salesync".to_owned(), node.folder.display().to_string()),
            ("/media/usb".to_owned(), self.stick().display().to_string()),
            (format!("postgres:///{}?host=/var/run/postgresql", node.name), node.database_url.clone()),
        ]
    }

    fn real(&self, node: &Node, text: &str) -> String {
        self.places(node).iter().fold(text.to_owned(), |text, (shown, real)| text.replace(shown, real))
    }

    fn shown(&self, node: &Node, text: &str) -> String {
        let text =
            self.places(node).iter().fold(text.to_owned(), |text, (shown, real)| text.replace(real, shown));
        let text = SERVER.replace_all(&text, "broker.example:5671").replace("salesync_apply", "salesync");
        VHOST.replace_all(&text, "salesync").into_owned()
    }
}
