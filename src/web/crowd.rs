//! A bounded number of guests, of whom nobody brings more than a few.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Those that are here, by whoever has brought them.
pub(super) struct Crowd<K> {
    guests: Arc<Mutex<Guests<K>>>,
    of_one: usize,
    of_all: usize,
}

struct Guests<K> {
    all: usize,
    by_host: HashMap<K, usize>,
}

/// A guest, until it is dropped.
pub(super) struct Guest<K: Hash + Eq> {
    host: Option<K>,
    guests: Arc<Mutex<Guests<K>>>,
}

impl<K: Hash + Eq + Clone> Crowd<K> {
    /// Room for `of_all`, and for `of_one` of the same host.
    pub(super) fn new(of_one: usize, of_all: usize) -> Self {
        let guests = Guests { all: 0, by_host: HashMap::new() };
        Self { guests: Arc::new(Mutex::new(guests)), of_one, of_all }
    }

    /// Lets one more in. None if there is no room, or none for this host. Where nobody knows the host, only the whole counts.
    pub(super) fn admit(&self, host: Option<K>) -> Option<Guest<K>> {
        let mut guests = lock(&self.guests);
        let own = host.as_ref().and_then(|host| guests.by_host.get(host)).copied().unwrap_or_default();
        if guests.all >= self.of_all || own >= self.of_one {
            return None;
        }
        guests.all += 1;
        if let Some(host) = &host {
            guests.by_host.insert(host.clone(), own + 1);
        }
        Some(Guest { host, guests: Arc::clone(&self.guests) })
    }

    /// Whether nobody is here.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.guests).all == 0
    }
}

impl<K: Hash + Eq> Drop for Guest<K> {
    fn drop(&mut self) {
        let mut guests = lock(&self.guests);
        guests.all -= 1;
        let Some(host) = &self.host else { return };
        match guests.by_host.get_mut(host) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(guests.by_host.remove(host)),
        }
    }
}

fn lock<K>(guests: &Mutex<Guests<K>>) -> MutexGuard<'_, Guests<K>> {
    guests.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_takes_no_more_than_its_share_and_all_together_no_more_than_there_is() {
        let crowd = Crowd::new(2, 5);
        let admit = |host: &'static str| crowd.admit(Some(host));
        let (first, second) = (admit("a").unwrap(), admit("a").unwrap());
        assert!(admit("a").is_none());
        let others: Vec<_> =
            [Some("b"), None, None].into_iter().map(|host| crowd.admit(host).unwrap()).collect();
        assert!(admit("b").is_none() && crowd.admit(None).is_none());
        drop(first);
        let third = admit("a").unwrap();
        drop((second, third, others));
        assert!(crowd.is_empty() && lock(&crowd.guests).by_host.is_empty());
    }
}
