//! The worst that a bundle can be, before the real program, which is given little memory.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::PoisonError;
use std::{fs, iter};

use serde_json::{Value, json};

use crate::TURN;
use crate::salesync_fuzz::file::{digest, put_together, take_apart};
use crate::salesync_fuzz::rules::sealed;

/// What the program may have of address space, in KiB. It reads every good bundle in a small part of it.
const ADDRESS_SPACE: &str = "1048576";

/// `salesync verify` of this file.
fn verify(folder: &Path, file: &[u8]) -> Output {
    let path = folder.join("x.bundle");
    fs::write(&path, file).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v $1 && exec \"$2\" verify \"$3\"", "sh", ADDRESS_SPACE]);
    command.arg(env!("CARGO_BIN_EXE_salesync")).arg(path).env_clear().output().unwrap()
}

/// It is refused for this reason, and no other.
fn is_refused(folder: &Path, file: &[u8], reason: &str) {
    let output = verify(folder, file);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(65), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("DAMAGED") && said.contains(reason), "not {reason:?} but {said}");
}

fn is_taken(folder: &Path, file: &[u8]) {
    let output = verify(folder, file);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// The first golden bundle's manifest with these tables.
fn manifest(tables: Value) -> Value {
    let golden =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bundles/v1/0000000001.bundle"));
    let mut manifest: Value = serde_json::from_slice(&take_apart(&golden.unwrap())[0].1).unwrap();
    manifest["tables"] = tables;
    manifest
}

fn sealed_file(manifest: &Value) -> Vec<u8> {
    put_together(&[("manifest.json".to_owned(), sealed(manifest))])
}

const MEMBER: &str = "0/inserts.csv.zst";

/// A bundle with this frame, said to hold one row of so many bytes.
fn with_frame(frame: Vec<u8>, raw_bytes: u64) -> Vec<u8> {
    let manifest = manifest(json!([{
        "name": {"schema": "public", "table": "t"}, "mode": "changes",
        "columns": [{"name": "id", "type": "bigint", "key": 1}, {"name": "note", "type": "text"}],
        "members": [{
            "name": MEMBER, "kind": "inserts", "rows": 1, "bytes": frame.len(), "raw_bytes": raw_bytes,
            "sha256": digest(&frame), "totals": {"id": {"sum": "1", "values": 1}},
        }],
    }]));
    put_together(&[("manifest.json".to_owned(), sealed(&manifest)), (MEMBER.to_owned(), frame)])
}

/// The most that one block of a frame becomes, in bytes.
const BLOCK: u32 = 128 << 10;
const BEGINNING: &[u8] = b"id,note\n1,\"";
const END: &[u8] = b"\"\n";

/// A frame with a window of 8 MiB (RFC 8878): one row whose text is as long as so many blocks. Four bytes are a block of
/// one letter.
fn bomb(blocks: u32) -> (Vec<u8>, u64) {
    let head = |kind: u32, size: u32, is_last: bool| {
        ((size << 3) | (kind << 1) | u32::from(is_last)).to_le_bytes()[..3].to_vec()
    };
    let plain =
        |bytes: &[u8], is_last| [&head(0, u32::try_from(bytes.len()).unwrap(), is_last), bytes].concat();
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3];
    frame.extend(plain(BEGINNING, false));
    let block = [&head(1, BLOCK, false)[..], b"a"].concat();
    frame.extend(iter::repeat_n(block, blocks as usize).flatten());
    frame.extend(plain(END, true));
    let raw_bytes = BEGINNING.len() + END.len();
    (frame, u64::from(blocks) * u64::from(BLOCK) + raw_bytes as u64)
}

#[test]
fn a_bomb_is_read_in_bounded_memory_and_stops_at_what_it_declares() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // A member of 320 KiB becomes 10 GiB.
    let (frame, raw_bytes) = bomb(80 << 10);
    assert!(frame.len() < 400 << 10 && raw_bytes > 10 << 30);
    is_taken(folder, &with_frame(frame.clone(), raw_bytes));
    for lie in [1000, raw_bytes - 1, raw_bytes + 1] {
        let reason = format!("does not decompress to the declared {lie} bytes");
        is_refused(folder, &with_frame(frame.clone(), lie), &reason);
    }
    let mut wide = frame;
    wide[5] = 17 << 3;
    is_refused(folder, &with_frame(wide, raw_bytes), "cannot be decompressed");
}

#[test]
fn the_longest_manifests_are_judged_in_bounded_memory() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let table = |number: u32| {
        json!({"columns": [{"key": 1, "name": "a", "type": "text"}], "members": [], "mode": "changes",
               "name": {"schema": "a", "table": number.to_string()}})
    };
    is_taken(folder, &sealed_file(&manifest((0..30_000).map(table).collect())));
    is_refused(folder, &sealed_file(&manifest((0..100_000).map(table).collect())), "over the limit of 4 MiB");
    // Small to write, large to hold.
    let hollow = |piece: &str| {
        let begin = r#"{"branch":["#;
        let count = (4 << 20) / (piece.len() + 1) - 50;
        let mut text = begin.to_owned();
        (0..count).for_each(|_| write!(text, "{piece},").unwrap());
        text.pop();
        text + "],\"format\":\"salesync-bundle/1\"}"
    };
    for piece in ["0", "[0]", "{\"\":0}"] {
        let file = put_together(&[("manifest.json".to_owned(), hollow(piece).into_bytes())]);
        is_refused(folder, &file, "checksum");
    }
    let deep = ["{\"branch\":", &"[".repeat(4 << 19)].concat();
    is_refused(folder, &put_together(&[("manifest.json".to_owned(), deep.into_bytes())]), "recursion limit");
}
