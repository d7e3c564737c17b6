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

    /// Takes note of where the links of this page lead within the site, but for files to be fetched.
    pub fn follow(&mut self, html: &str) {
        let is_page = |link: &&str| !link.split('>').next().unwrap_or_default().contains(" download");
        for link in html.split(" href=\"").skip(1).filter(is_page) {
            let path = link.split('"').next().unwrap_or_default().replace("&amp;", "&").replace("&#38;", "&");
            if path.starts_with('/') && !path.starts_with("/assets/") {
                self.add(path.split('#').next().unwrap_or_default());
            }
        }
    }

    /// A page with parameters is of a new kind if it has one that no page of its path has had.
    fn add(&mut self, path: &str) {
        let (plain, query) = path.split_once('?').unwrap_or((path, ""));
        let plain = self.without_names(plain);
        let keys = query.split('&').filter_map(|pair| pair.split('=').next()).filter(|key| !key.is_empty());
        let keys = keys.map(|key| format!("{plain}?{key}"));
        let mut kinds: Vec<String> = if query.is_empty() { vec![plain.clone()] } else { keys.collect() };
        kinds.retain(|kind| !self.found.contains_key(kind));
        self.waiting.extend(kinds.first().cloned());
        self.found.extend(kinds.into_iter().map(|kind| (kind, path.to_owned())));
        assert!(self.found.len() <= MOST, "{:?}", self.found);
    }

    /// The path without what it is about: names, numbers, dates.
    fn without_names(&self, path: &str) -> String {
        let is_fixed = |segment: &str| {
            !segment.contains(|c: char| c.is_ascii_digit()) && self.names.iter().all(|name| name != segment)
        };
        let segments = path.split('/').map(|segment| if is_fixed(segment) { segment } else { "*" });
        segments.collect::<Vec<_>>().join("/")
    }
}
