//! A private `RabbitMQ` node.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::definitions::{Definitions, PASSWORD, USER};
use super::folder::{Folder, Sandbox};
use super::leash::{Leash, run_to_end};
use super::port::free_port;
use super::program::{Program, find_rabbitmq};
use super::url::path_segment;
use crate::broker::{Broker, BrokerAddress, ConnectOptions};
use crate::domain::{Failure, Kind};

/// Known to nobody else: the name service is private too.
const NODE: &str = "salesync@localhost";

/// On the loopback interface only. Each virtual host would look every half minute whether it still exists, and a scheduler
/// without work would spin.
const EMULATOR: &str = "-kernel inet_dist_use_interface {127,0,0,1} -kernel net_ticktime 1200 \
                        +sbwt none +sbwtdcpu none +sbwtdio none";

/// 4 s on an idle machine, many times that on a busy one.
const START_LIMIT: Duration = Duration::from_mins(5);

/// A single node with its own name service, data folder and port on 127.0.0.1. It ends when dropped.
#[derive(Debug)]
pub struct BrokerServer {
    /// `None` while killed. The fields end in this order: the node, its name service, the folder.
    node: Option<Leash>,
    _name_service: Leash,
    program: Program,
    control: Program,
    home: PathBuf,
    port: u16,
    /// Where it is tried out whether it lets anybody in.
    vhost: Option<String>,
    folder: Arc<Folder>,
}

impl BrokerServer {
    /// Starts a node with these definitions and waits until it lets its user in, about 4 s. Its
    /// home in the folder is called `name`, so each server of a sandbox needs another.
    pub fn start(sandbox: &Sandbox, name: &str, definitions: &Definitions) -> Result<Self, Failure> {
        let folder = sandbox.folder();
        let server = find_rabbitmq("rabbitmq-server")?;
        let control = find_rabbitmq("rabbitmqctl")?;
        let home = folder.make_home(name)?;
        let port = free_port()?;
        folder.write(&home.join("enabled_plugins"), &definitions.plugins())?;
        folder.write(&home.join("definitions.json"), &definitions.to_json())?;
        folder.write(&home.join("rabbitmq.conf"), &(configuration(&home, port) + definitions.settings()))?;
        let names_port = free_port()?;
        let name_service = start_name_service(&folder, &home, names_port)?;
        let program = node_environment(Program::new(&server), &home, names_port, free_port()?);
        let control = node_environment(Program::new(&control), &home, names_port, free_port()?);
        let vhost = definitions.first_vhost();
        let mut broker =
            Self { node: None, _name_service: name_service, program, control, home, port, vhost, folder };
        broker.start_again()?;
        Ok(broker)
    }

    /// The port on 127.0.0.1; the same for the node's whole life.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The connection URL of a virtual host for the user that may do everything.
    #[must_use]
    pub fn url(&self, vhost: &str) -> String {
        self.url_for(USER, PASSWORD, vhost)
    }

    /// The connection URL of a virtual host for another user.
    #[must_use]
    pub fn url_for(&self, user: &str, password: &str, vhost: &str) -> String {
        let [user, password, vhost] = [user, password, vhost].map(path_segment);
        format!("amqp://{user}:{password}@127.0.0.1:{}/{vhost}", self.port)
    }

    /// Kills the node as `kill -9` does. Returns when it is gone; its data stay. Queues declared
    /// just now need [`Self::record_queues`] first.
    pub fn kill(&mut self) {
        self.node = None;
    }

    /// Starts the node over the same data on the same port and waits until it lets its user in: it talks before, and
    /// its first login takes long where the machine is busy. If it runs, it is killed first.
    pub fn start_again(&mut self) -> Result<(), Failure> {
        self.kill();
        let mut node = Leash::start(&self.folder, &self.home, "node.log", &self.program, "KILL")?;
        node.wait_until_ready("a private RabbitMQ server", START_LIMIT, || {
            talks_amqp(self.port) && self.lets_in()
        })?;
        self.node = Some(node);
        Ok(())
    }

    fn lets_in(&self) -> bool {
        let Some(vhost) = &self.vhost else { return true };
        let address = BrokerAddress::parse(&self.url(vhost));
        address.and_then(|address| Broker::connect(&address, &ConnectOptions::default())).is_ok()
    }

    /// Makes the node record on disk which quorum queues it has, about 1 s. By itself `RabbitMQ` does that some
    /// seconds after a declaration. Killed before, it comes back with the queue empty, confirmed messages
    /// gone, and without a leader, so that `basic.get` waits for ever (seen with 3.10.8).
    pub fn record_queues(&self) -> Result<(), Failure> {
        self.control(&["eval", "[ok = dets:sync(Table) || Table <- dets:all()]."]).map(drop)
    }

    /// Adds virtual hosts, permissions and policies to what the node has: about 1 s, and 50 ms for each virtual host.
    /// Users have to be known from the start, settings would need a new one; both are passed over.
    pub fn declare(&self, definitions: &Definitions) -> Result<(), Failure> {
        let file = self.home.join("additions.json");
        self.folder.write(&file, &definitions.additions())?;
        self.control(&["import_definitions", &file.to_string_lossy()]).map(drop)
    }

    /// Runs `rabbitmqctl` with the given arguments against the node, about 1 s, and returns what it printed:
    /// for what AMQP cannot do, such as `["set_disk_free_limit", "1000GB"]` to raise an alarm.
    pub fn control(&self, arguments: &[&str]) -> Result<String, Failure> {
        let program = self.control.clone().args(["--quiet"]).args(arguments);
        let doing = format!("running rabbitmqctl {}", arguments.join(" "));
        let done = run_to_end(&self.folder, &self.home, &program);
        let done = done.map_err(|error| Failure::new(Kind::Failed, &doing, error))?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if done.status.success() {
            return Ok(said(&done.stdout));
        }
        let why = format!("{}, {}\ncommand: {program}", done.status, said(&done.stderr));
        Err(Failure::new(Kind::Failed, doing, why))
    }
}

/// Erlang would start a name service that stays behind, so it gets ours.
fn start_name_service(folder: &Folder, home: &Path, port: u16) -> Result<Leash, Failure> {
    let program =
        Program::new(&find_rabbitmq("epmd")?).args(["-address", "127.0.0.1", "-port"]).arg(port.to_string());
    let mut leash = Leash::start(folder, home, "epmd.log", &program, "KILL")?;
    leash.wait_until_ready("a private Erlang name service", Duration::from_secs(30), || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    })?;
    Ok(leash)
}

/// The environment that keeps the node, and the tool that talks to it, away from the system's own.
fn node_environment(program: Program, home: &Path, names_port: u16, port: u16) -> Program {
    program
        .env("HOME", home)
        .env("RABBITMQ_NODENAME", NODE)
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
        .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq.conf"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("enabled_plugins"))
        .env("RABBITMQ_MNESIA_BASE", home.join("data"))
        .env("RABBITMQ_LOG_BASE", home.join("log"))
        .env("RABBITMQ_LOG", "-color")
        .env("RABBITMQ_PID_FILE", home.join("pid"))
        .env("RABBITMQ_DIST_PORT", port.to_string())
        .env("RABBITMQ_CTL_DIST_PORT_MIN", port.to_string())
        .env("RABBITMQ_CTL_DIST_PORT_MAX", port.saturating_add(10).to_string())
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", EMULATOR)
        .env("ERL_EPMD_PORT", names_port.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        // Should ours have ended just now, none is started in its place: it would stay for ever.
        .env("ERL_FLAGS", "-start_epmd false")
        // The start script then becomes the node instead of waiting for it, so that the leash knows
        // when the node itself has ended.
        .env("RUNNING_UNDER_SYSTEMD", "true")
}

/// The message size is limited as in `RabbitMQ` 4, whatever the version. A small log of the quorum queues
/// keeps the folder small.
fn configuration(home: &Path, port: u16) -> String {
    let definitions = home.join("definitions.json");
    format!(
        "listeners.tcp.1 = 127.0.0.1:{port}\n\
         load_definitions = {}\n\
         max_message_size = 16777216\n\
         raft.wal_max_size_bytes = 64000000\n\
         raft.segment_max_entries = 128\n\
         disk_free_limit.absolute = 10MB\n\
         handshake_timeout = 60000\n\
         log.console = true\n\
         log.console.level = info\n\
         log.file = false\n",
        definitions.display()
    )
}

/// Whether the server answers an AMQP 0-9-1 header with `Connection.Start` (class 10, method 10).
fn talks_amqp(port: u16) -> bool {
    let patience = Duration::from_secs(5);
    let talk = || -> std::io::Result<[u8; 11]> {
        let mut stream =
            TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"AMQP\x00\x00\x09\x01")?;
        let mut answer = [0; 11];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    // Frame type 1 (method), two bytes of channel, four of length, then class and method.
    talk().is_ok_and(|answer| answer[0] == 1 && answer[7..] == [0, 10, 0, 10])
}
