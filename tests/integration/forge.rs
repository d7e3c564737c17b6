//! Bundles that no branch would write: well-formed, with the right checksums, and wrong in what they say.

use std::fs;
use std::path::Path;

use salesync::bundle::Draft;
use salesync::domain::{Manifest, MemberKind, Signable, Signature, SigningKey};
use tar::{EntryType, Header};

const BLOCK: usize = 512;

/// The bundle at `path`, except for what `change` does to its manifest.
pub fn forged(path: &Path, change: impl FnOnce(&mut Manifest)) -> Vec<u8> {
    let bundle = fs::read(path).unwrap();
    let size = Header::from_byte_slice(&bundle[..BLOCK]).entry_size().unwrap();
    let size = usize::try_from(size).unwrap();
    let mut manifest = Manifest::from_bytes(&bundle[BLOCK..BLOCK + size]).unwrap();
    change(&mut manifest);
    let mut content = manifest.to_bytes().unwrap();
    let mut forged = header("manifest.json", content.len()).to_vec();
    content.resize(content.len().next_multiple_of(BLOCK), 0);
    forged.append(&mut content);
    forged.extend_from_slice(&bundle[BLOCK + size.next_multiple_of(BLOCK)..]);
    forged
}

fn header(name: &str, size: usize) -> [u8; BLOCK] {
    let mut header = Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size as u64);
    header.set_cksum();
    *header.as_bytes()
}

/// A bundle with these rows as inserts of its only table, and otherwise what `manifest` says.
pub fn written(manifest: Manifest, rows: &[&[u8]]) -> Vec<u8> {
    written_as(MemberKind::Inserts, manifest, rows)
}

/// The same with rows of this kind.
pub fn written_as(kind: MemberKind, mut manifest: Manifest, rows: &[&[u8]]) -> Vec<u8> {
    let mut draft = Draft::new(&std::env::temp_dir(), 3).unwrap();
    draft.begin(0, kind, &kind.columns(&manifest.tables[0].columns)).unwrap();
    for row in rows {
        draft.write_row(row).unwrap();
    }
    draft.end().unwrap();
    manifest.tables[0].members = draft.members_of(0, 0);
    manifest.tables[0].day_totals = None;
    let mut file = Vec::new();
    draft.assemble(&manifest, None, &mut file).unwrap();
    file
}

/// The bytes of `manifest.json`.
pub fn manifest_bytes(bundle: &[u8]) -> &[u8] {
    let size = Header::from_byte_slice(&bundle[..BLOCK]).entry_size().unwrap();
    &bundle[BLOCK..BLOCK + usize::try_from(size).unwrap()]
}

/// The bundle with this signature in place of its own, or with none.
pub fn with_signature(bundle: &[u8], signature: Option<Signature>) -> Vec<u8> {
    let (manifest, mut rest) = bundle.split_at(BLOCK + manifest_bytes(bundle).len().next_multiple_of(BLOCK));
    if rest.starts_with(b"manifest.sig\0") {
        rest = &rest[2 * BLOCK..];
    }
    let mut changed = manifest.to_vec();
    if let Some(signature) = signature {
        let bytes = signature.to_bytes();
        changed.extend(header("manifest.sig", bytes.len()));
        changed.extend(bytes);
        changed.resize(changed.len().next_multiple_of(BLOCK), 0);
    }
    changed.extend_from_slice(rest);
    changed
}

/// The bundle, signed with this key.
pub fn signed_by(key: &SigningKey, bundle: &[u8]) -> Vec<u8> {
    with_signature(bundle, Some(key.sign(Signable::Manifest, manifest_bytes(bundle))))
}
