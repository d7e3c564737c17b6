//! The architecture, held: a file imports only from lower layers, and some things are in one place.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The layer of each module, as `lib.rs` declares it: `/// L2. …` before `pub mod archive;`.
fn layers() -> BTreeMap<String, u32> {
    let text = fs::read_to_string(source().join("lib.rs")).unwrap();
    let mut layer = None;
    let mut layers = BTreeMap::new();
    for line in text.lines() {
        if let Some(number) = line.strip_prefix("/// L").and_then(|rest| rest.split('.').next()) {
            layer = number.parse().ok();
        }
        if let Some(module) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            let layer = layer.take().unwrap_or_else(|| panic!("lib.rs does not say the layer of {module}"));
            layers.insert(module.to_owned(), layer);
        }
    }
    layers
}

/// Every source file with the module it belongs to and its text.
fn files() -> Vec<(PathBuf, String, String)> {
    let entries = WalkDir::new(source()).into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "rs"));
    files
        .map(|entry| {
            let path = entry.into_path();
            let below = path.strip_prefix(source()).unwrap();
            let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            (path, module, text)
        })
        .collect()
}

/// The modules that a text names after `crate::`.
fn imports(text: &str) -> impl Iterator<Item = &str> {
    text.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn a_file_imports_only_from_lower_layers() {
    let layers = layers();
    assert!(layers.len() >= 8, "lib.rs was not understood: {layers:?}");
    let mut violations = Vec::new();
    for (path, module, text) in files() {
        let Some(layer) = layers.get(&module) else { continue };
        for import in imports(&text).filter(|import| *import != module) {
            match layers.get(import) {
                Some(lower) if lower < layer => {}
                _ => violations.push(format!("{} (L{layer}) imports {import:?}", path.display())),
            }
        }
    }
    assert_eq!(violations, Vec::<String>::new());
}

#[test]
fn only_the_broker_knows_lapin_and_only_it_and_the_page_know_tokio() {
    for (path, module, text) in files() {
        for (library, homes) in
            [("lapin::", &["broker"][..]), ("tokio::", &["broker", "web"]), ("axum::", &["web"])]
        {
            let is_home = homes.contains(&module.as_str());
            assert!(is_home || !text.contains(library), "{} uses {library}", path.display());
        }
    }
}

#[test]
fn files_stay_small_and_modules_have_names_that_say_something() {
    for (path, _, text) in files() {
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines", path.display());
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            !["utils", "util", "common", "helpers", "manager", "misc"].contains(&name),
            "{}",
            path.display()
        );
    }
}

#[test]
fn no_test_file_is_forgotten() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(name == "main" || main.contains(&format!("mod {name};")), "{} is never run", path.display());
    }
}
