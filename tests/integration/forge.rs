//! Bundles that no branch would write: well-formed, with the right checksums, and wrong in what they say.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use salesync::bundle::{Bundle, Draft, RowReader};
use salesync::domain::{Manifest, Member};

/// The bundle at `path`, except for what `change` does to its manifest.
pub fn forged(path: &Path, change: impl FnOnce(&mut Manifest)) -> Vec<u8> {
    let mut bundle = Bundle::open(File::open(path).unwrap()).unwrap();
    let mut manifest = bundle.manifest().clone();
    let mut draft = Draft::new(&std::env::temp_dir(), 3).unwrap();
    for (index, table) in manifest.tables.clone().iter().enumerate() {
        for member in &table.members {
            draft.begin(index, member.kind, &member.kind.columns(&table.columns)).unwrap();
            for line in rows(&mut bundle, &manifest, index, member) {
                draft.write_row(&line).unwrap();
            }
        }
        draft.end().unwrap();
        manifest.tables[index].members = draft.members_of(index, index);
    }
    change(&mut manifest);
    let mut bytes = Vec::new();
    draft.assemble(&manifest, &mut bytes).unwrap();
    bytes
}

fn rows(bundle: &mut Bundle<File>, manifest: &Manifest, table: usize, member: &Member) -> Vec<Vec<u8>> {
    let mut csv = Vec::new();
    bundle.pour(&manifest.tables[table], member, &mut csv).unwrap();
    let mut reader = RowReader::new(BufReader::new(csv.as_slice()));
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row().unwrap() {
        rows.push(row.to_vec());
    }
    rows
}
