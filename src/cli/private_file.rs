//! New files, whole or not at all, and never over another.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::domain::{Failure, Kind};

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Its owner.
    Owner,
    /// Everybody.
    All,
}

/// Writes a file that is not there yet: whole and on disk, or not at all. `what` it is stands in complaints, and so does
/// what `instead` can be done where there is a file already.
pub(super) fn write_new(
    what: &str,
    path: &Path,
    bytes: &[u8],
    readers: Readers,
    instead: &str,
) -> Result<(), Failure> {
    let doing = format!("writing {what}");
    let failed = |error: &io::Error| Failure::file(&doing, path, error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // For its owner only, from the first moment on.
    let mut draft = NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
    let mode = if readers == Readers::All { 0o644 } else { 0o600 };
    let write = |file: &mut File| {
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write(draft.as_file_mut()).map_err(|error| failed(&error))?;
    draft.persist_noclobber(path).map_err(|refused| match refused.error.kind() {
        io::ErrorKind::AlreadyExists => {
            let why = "there is a file already, which is never overwritten";
            Failure::new(Kind::Failed, format!("{doing} {}", path.display()), why).hint(instead)
        }
        _ => failed(&refused.error),
    })?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(&error))
}
