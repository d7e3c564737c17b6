//! What a page says once: that what the viewer has just done is done.
//!
//! The words wait here until the next page takes them. The browser has only a key, so nobody else can put words
//! on the page.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::random;
use crate::domain::Failure;

/// So many wait at most; of more the oldest go.
const MOST: usize = 256;

/// What the next page is to say, on its way to where such words wait.
#[derive(Clone)]
pub(super) struct Said(pub(super) String);

/// The name of the cookie with the key, beside that of the session.
pub(super) fn cookie(session: &str) -> String {
    format!("{session}-notice")
}

/// The words that wait for their page.
#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<VecDeque<(String, String)>>);

impl Notices {
    /// Keeps the words. Returns their key.
    pub(super) fn put(&self, words: String) -> Result<String, Failure> {
        let key = random::token()?;
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == MOST {
            waiting.pop_front();
        }
        waiting.push_back((key.clone(), words));
        Ok(key)
    }

    /// The words of this key, which are gone afterwards.
    pub(super) fn take(&self, key: &str) -> Option<String> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = waiting.iter().position(|(known, _)| random::is_same(known, key))?;
        waiting.remove(at).map(|(_, words)| words)
    }
}
