//! What can be told of a broker by asking it, without leaving anything there.
//!
//! A message that is published in a transaction is checked as any other (does the exchange exist, may this login write to
//! it, under this routing key, does an alarm keep publishers waiting), and is gone when the transaction is rolled back: no
//! queue ever had it. A queue that is declared again as it is stays as it is; one of another type is refused. What a
//! policy says, and how large a message may be, AMQP does not tell.

use lapin::ExchangeKind;
use lapin::options::{BasicGetOptions, BasicNackOptions, ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};

use super::connection::Broker;
use super::failure;
use super::link::Trouble;
use super::topology::{BUNDLES, DEAD, RECEIPTS, name, queue_of};
use super::trial::code;
use crate::domain::{Check, Count, Examination, Failure, Finding, Kind, NodeName};

/// So many messages in one queue are not the usual.
const MANY: u32 = 1000;
/// What every `RabbitMQ` takes whose operator has changed nothing.
const TAKEN_BY_ALL: u64 = 16 << 20;

/// A broker that has let this node in.
pub struct BrokerSubject {
    /// The connection.
    pub broker: Broker,
    /// Whose queues are looked at: the branch itself, or head office's branches.
    pub branches: Vec<NodeName>,
    /// The largest bundle, at a branch.
    pub max_bytes: u64,
    /// False if nothing is to be published, not even in a transaction that is rolled back.
    pub may_publish: bool,
}

/// What a branch looks at.
pub const BRANCH_EXAMINATIONS: &[Examination<BrokerSubject>] = &[
    (Check::Exchanges, |subject| subject.exchanges(&[BUNDLES])),
    (Check::Queues, BrokerSubject::queues_of_branch),
    (Check::Publish, |subject| subject.publish(BUNDLES)),
    (Check::Rights, BrokerSubject::rights),
    (Check::Limits, |subject| Ok(vec![subject.limits()])),
];

/// What head office looks at.
pub const HEAD_OFFICE_EXAMINATIONS: &[Examination<BrokerSubject>] = &[
    (Check::Exchanges, |subject| subject.exchanges(&[BUNDLES, RECEIPTS, DEAD])),
    (Check::Queues, BrokerSubject::queues_of_head_office),
    (Check::Publish, |subject| subject.publish(RECEIPTS)),
    (Check::DeadLetters, BrokerSubject::dead_letters),
    (Check::Limits, |subject| Ok(vec![subject.limits()])),
];

/// What is seen of a queue.
enum Seen {
    /// It is there, with so many messages.
    There(u32),
    Missing,
    /// This login may not look.
    Forbidden,
}

impl BrokerSubject {
    fn exchanges(&mut self, names: &[&'static str]) -> Result<Vec<Finding>, Failure> {
        let options = ExchangeDeclareOptions { passive: true, durable: true, ..Default::default() };
        for exchange in names {
            let looked = self.broker.on_own_channel(async |channel| {
                let kind = ExchangeKind::Topic;
                channel.exchange_declare((*exchange).into(), kind, options, FieldTable::default()).await
            });
            looked.map_err(|trouble| {
                failure::during(format!("looking for the exchange {exchange}"), trouble)
            })?;
        }
        Ok(vec![Finding::ok(Check::Exchanges, format!("there: {}", names.join(", ")))])
    }

    /// Its own two queues: the one it fills, and the one with its answers.
    fn queues_of_branch(&mut self) -> Result<Vec<Finding>, Failure> {
        let mut findings = Vec::new();
        for branch in self.branches.clone() {
            let (bundles, receipts) =
                (queue_of(BUNDLES, branch.as_str())?, queue_of(RECEIPTS, branch.as_str())?);
            match self.look(&bundles)? {
                Seen::There(waiting) => {
                    findings.extend(too_many(&bundles, waiting, "`salesync apply`", "head office"));
                }
                Seen::Missing => findings.push(missing(&bundles)),
                Seen::Forbidden => findings.push(Finding::note(
                    Check::Queues,
                    format!("whether {bundles} is there cannot be seen with this login"),
                )),
            }
            match self.look(&receipts)? {
                Seen::There(0) => findings.extend(self.cannot_read(&receipts)?),
                Seen::There(_) | Seen::Forbidden => {}
                Seen::Missing => findings.push(missing(&receipts)),
            }
        }
        if findings.is_empty() {
            findings.push(Finding::ok(Check::Queues, "both queues of this branch are there"));
        }
        Ok(findings)
    }

    /// The queues of every branch: there, of the type that has a message on disk when it confirms it, and emptied.
    fn queues_of_head_office(&mut self) -> Result<Vec<Finding>, Failure> {
        let mut findings = Vec::new();
        let mut waiting = 0;
        for branch in self.branches.clone() {
            for (exchange, who, place) in [
                (BUNDLES, "`salesync apply`", "head office"),
                (RECEIPTS, "`salesync bundle`", branch.as_str()),
            ] {
                let queue = queue_of(exchange, branch.as_str())?;
                match self.look(&queue)? {
                    Seen::There(messages) => {
                        waiting += if exchange == BUNDLES { messages } else { 0 };
                        findings.extend(too_many(&queue, messages, who, place));
                        findings.extend(self.is_of_another_type(&queue)?);
                    }
                    Seen::Missing => findings.push(missing(&queue)),
                    Seen::Forbidden => findings.push(Finding::note(
                        Check::Queues,
                        format!("whether {queue} is there cannot be seen with this login"),
                    )),
                }
            }
        }
        if findings.is_empty() {
            let what =
                format!("every branch has its quorum queues; to be applied: {}", Count(waiting, "bundle"));
            findings.push(Finding::ok(Check::Queues, what));
        }
        Ok(findings)
    }

    /// Whether this node may publish what it has to, as it has to.
    fn publish(&mut self, exchange: &'static str) -> Result<Vec<Finding>, Failure> {
        if !self.may_publish {
            return Ok(vec![Finding::unchecked(Check::Publish, "--no-probe")]);
        }
        let Some(branch) = self.branches.first().cloned() else {
            return Ok(vec![Finding::unchecked(Check::Publish, "there is no branch")]);
        };
        let doing = format!("publishing to {exchange} as {} (rolled back)", self.broker.user());
        self.broker
            .try_publishing(exchange, name(branch.as_str())?)
            .map_err(|trouble| failure::during(doing, trouble))?;
        let what = format!("{exchange} takes messages of this login with the key {branch}");
        Ok(vec![Finding::ok(Check::Publish, what)])
    }

    /// What a branch's login may do that no branch needs.
    fn rights(&mut self) -> Result<Vec<Finding>, Failure> {
        if !self.may_publish {
            return Ok(vec![Finding::unchecked(Check::Rights, "--no-probe")]);
        }
        let Some(branch) = self.branches.first().cloned() else { return Ok(Vec::new()) };
        let receipts = queue_of(RECEIPTS, branch.as_str())?;
        let mut more = Vec::new();
        if matches!(self.look(&receipts)?, Seen::There(_)) {
            match self.broker.declare_again(&receipts) {
                Ok(()) => more.push("declare and delete queues"),
                Err(trouble) if code(&trouble) == Some(403) => {}
                Err(trouble) if code(&trouble) == Some(406) => {
                    return Ok(vec![other_type(&receipts, &trouble)]);
                }
                Err(trouble) => return Err(failure::during("trying to declare a queue", trouble)),
            }
        }
        let foreign = name(format!("{branch}.salesync-doctor"))?;
        for (exchange, key, what) in [
            (BUNDLES, foreign, "publish bundles under another branch's name"),
            (RECEIPTS, name(branch.as_str())?, "publish receipts"),
            ("", receipts, "publish into any queue (the default exchange)"),
        ] {
            match self.broker.try_publishing(exchange, key) {
                Ok(()) => more.push(what),
                // An exchange that is not there cannot be written to.
                Err(trouble) if matches!(code(&trouble), Some(403 | 404)) => {}
                Err(trouble) => {
                    return Err(failure::during(format!("trying to {what} (rolled back)"), trouble));
                }
            }
        }
        Ok(vec![if more.is_empty() {
            Finding::ok(
                Check::Rights,
                format!("{} may do nothing that a branch does not need", self.broker.user()),
            )
        } else {
            let what = format!("{} may also {}", self.broker.user(), more.join(", "));
            let cure =
                "rabbitmqctl set_permissions and set_topic_permissions as in rabbitmq/README.md, \"Users\"";
            Finding::note(Check::Rights, what).cure(cure)
        }])
    }

    fn limits(&self) -> Finding {
        if self.max_bytes > TAKEN_BY_ALL {
            let what = "bundle.max_bytes is over 16 MiB, which RabbitMQ 4 refuses after the whole upload where nothing else is set";
            let cure =
                "have the broker's max_message_size looked up, or set bundle.max_bytes to less than 16 MiB";
            return Finding::warning(Check::Limits, what, cure);
        }
        let what = "policies, max_message_size and consumer_timeout cannot be seen over AMQP";
        let cure = "at the broker: rabbitmqctl list_policies -p VHOST; rabbitmqctl environment (rabbitmq/README.md has what they should be)";
        Finding::note(Check::Limits, what).cure(cure)
    }

    fn dead_letters(&mut self) -> Result<Vec<Finding>, Failure> {
        let queue: ShortString = DEAD.into();
        Ok(match self.look(&queue)? {
            Seen::Missing => vec![Finding { check: Check::DeadLetters, ..missing(&queue) }],
            Seen::Forbidden => vec![Finding::unchecked(Check::DeadLetters, "this login may not look")],
            Seen::There(0) => vec![Finding::ok(Check::DeadLetters, "none")],
            Seen::There(count) => {
                let what =
                    format!("{} in {DEAD}: rejected, or given up by the broker", Count(count, "message"));
                let cure = "see `salesync status` for the reasons; head office keeps rejected bundles in its archive, so when \
                            all is mended: rabbitmqctl purge_queue salesync.dead -p VHOST";
                vec![Finding::warning(Check::DeadLetters, what, cure)]
            }
        })
    }

    fn look(&mut self, queue: &ShortString) -> Result<Seen, Failure> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let asked = self.broker.on_own_channel(async |channel| {
            channel.queue_declare(queue.clone(), options, FieldTable::default()).await
        });
        match asked {
            Ok(queue) => Ok(Seen::There(queue.message_count())),
            Err(trouble) => match code(&trouble) {
                Some(404) => Ok(Seen::Missing),
                Some(403) => Ok(Seen::Forbidden),
                _ => Err(failure::during(format!("looking at the queue {queue}"), trouble)),
            },
        }
    }

    /// Only of an empty queue: what is fetched is counted as delivered once more. Should something have come just now,
    /// it goes back.
    fn cannot_read(&mut self, queue: &ShortString) -> Result<Option<Finding>, Failure> {
        let read = self.broker.on_own_channel(async |channel| {
            if let Some(message) = channel.basic_get(queue.clone(), BasicGetOptions::default()).await? {
                let back = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                message.delivery.acker.nack(back).await?;
            }
            Ok(())
        });
        match read {
            Ok(()) => Ok(None),
            Err(trouble) if code(&trouble) == Some(403) => {
                let failure = failure::during(format!("fetching from queue {queue}"), trouble);
                Ok(Some(Finding::of(Check::Queues, &failure)))
            }
            Err(trouble) => Err(failure::during(format!("fetching from queue {queue}"), trouble)),
        }
    }

    fn is_of_another_type(&mut self, queue: &ShortString) -> Result<Option<Finding>, Failure> {
        match self.broker.declare_again(queue) {
            Ok(()) => Ok(None),
            Err(trouble) if code(&trouble) == Some(406) => Ok(Some(other_type(queue, &trouble))),
            Err(trouble) if code(&trouble) == Some(403) => {
                let what = format!("of which type {queue} is cannot be seen with this login");
                Ok(Some(Finding::note(Check::Queues, what)))
            }
            Err(trouble) => Err(failure::during(format!("looking at the queue {queue}"), trouble)),
        }
    }
}

fn missing(queue: &ShortString) -> Finding {
    let what = format!("there is no queue {queue}");
    Finding::failed(Check::Queues, Kind::Configuration, what, failure::INIT)
}

fn other_type(queue: &ShortString, trouble: &Trouble) -> Finding {
    let said = match trouble {
        Trouble::Lapin(error) => error.to_string(),
        _ => String::new(),
    };
    let what = format!("{queue} is no durable quorum queue, and may lose what it has confirmed: {said}");
    let cure = "once it is empty, delete it and run `salesync init` at head office";
    Finding::warning(Check::Queues, what, cure)
}

fn too_many(queue: &ShortString, messages: u32, command: &str, place: &str) -> Option<Finding> {
    (messages > MANY).then(|| {
        let what = format!("{} in {queue}", Count(messages, "message"));
        Finding::warning(Check::Queues, what, format!("see whether {command} runs at {place}"))
    })
}
