//! How far a branch's exchange with head office is, for whoever looks on.

use std::time::Duration;

use super::failure::Failure;

/// Where an exchange stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Another one is at work, in words; its turn comes when that has ended.
    AwaitingTurn(String),
    /// What has changed is being cut.
    Cutting,
    /// Bundles go over the line.
    Sending(Extent),
    /// None does any more: all are sent, or it has failed.
    SendingEnded,
    /// All are sent, and so many have no answer of head office.
    AwaitingAnswers(usize),
}

/// How much there is to send, and how much of it is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Bundles that are sent.
    pub sent: usize,
    /// All bundles that are known of.
    pub bundles: usize,
    /// Bytes that are sent.
    pub sent_bytes: u64,
    /// The bytes of the one that is on its way: of how many of them are over the line nobody is told.
    pub on_way_bytes: u64,
    /// The bytes of all.
    pub bytes: u64,
    /// The rows and tombstones of all.
    pub rows: u64,
    /// How long the rest takes at the rate that was measured, if one was.
    pub time_left: Option<Duration>,
}

/// Somebody who looks on: a terminal, a page.
pub trait Onlooker {
    /// It has come to this stage, or on within it.
    fn sees(&self, stage: &Stage);
    /// Something went wrong that does not end it.
    fn hears(&self, trouble: &Failure);
}
