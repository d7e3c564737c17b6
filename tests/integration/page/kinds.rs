//! The pages of a site, found by following its links: one of each kind.

use std::collections::{BTreeMap, VecDeque};

/// More pages than there are kinds: something is wrong with how they are told apart.
const MOST: usize = 80;

/// What has been found, and what of it is still to be looked at.
pub struct Kinds {
    /// Words that say what a page is about, and not of which kind it is.
    names: Vec<String>,
    /// The first page of each kind that was found.
    pub found: BTreeMap<String, String>,
    waiting: VecDeque<String>,
}

impl Kinds {
    /// Begins at the first page of a site on which these names occur.
    pub fn of(names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().collect();
        let mut kinds = Self { names, found: BTreeMap::new(), waiting: VecDeque::new() };
        kinds.add("/");
        kinds
    }

    /// The next one to be looked at: its kind and its path.
    pub fn next(&mut self) -> Option<(String, String)> {
        let kind = self.waiting.pop_front()?;
        let path = self.found[&kind].clone();
        Some((kind, path))
    }

    /// Takes note of where the links of this page lead within the site.
    pub fn follow(&mut self, html: &str) {
        for link in html.split(" href=\"").skip(1) {
            let path = link.split('"').next().unwrap_or_default().replace("&amp;", "&").replace("&#38;", "&");
            if path.starts_with('/') && !path.starts_with("/assets/") {
                self.add(path.split('#').next().unwrap_or_default());
            }
        }
    }

    fn add(&mut self, path: &str) {
        let kind = self.kind(path);
        if !self.found.contains_key(&kind) {
            self.found.insert(kind.clone(), path.to_owned());
            self.waiting.push_back(kind);
        }
        assert!(self.found.len() <= MOST, "{:?}", self.found);
    }

    /// The path without what it is about: names, numbers, dates, and the values of the parameters.
    fn kind(&self, path: &str) -> String {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let is_fixed = |segment: &str| {
            !segment.contains(|c: char| c.is_ascii_digit()) && self.names.iter().all(|name| name != segment)
        };
        let segments = path.split('/').map(|segment| if is_fixed(segment) { segment } else { "*" });
        let path = segments.collect::<Vec<_>>().join("/");
        let mut keys: Vec<_> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
        keys.sort_unstable();
        if query.is_empty() { path } else { format!("{path}?{}", keys.join("&")) }
    }
}
