//! Passwords from where PostgreSQL's own programs take them: `PGPASSWORD`, then the password file.
//!
//! Source: PostgreSQL documentation, "The Password File".

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Whom the password is for.
pub(super) struct Login<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

/// The password for this login, if the environment or the password file has one.
pub(super) fn find(login: &Login<'_>) -> Option<String> {
    if let Ok(password) = env::var("PGPASSWORD") {
        return Some(password);
    }
    let path = env::var_os("PGPASSFILE").map(PathBuf::from);
    let path = path.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".pgpass")))?;
    let mode = fs::metadata(&path).ok()?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!("{} is ignored: others can read it; `chmod 0600` it", path.display());
        return None;
    }
    in_file(&fs::read_to_string(path).ok()?, login)
}

/// The password of the first line that matches.
fn in_file(text: &str, login: &Login<'_>) -> Option<String> {
    let wanted = [login.host, &login.port.to_string(), login.database, login.user];
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(fields_of).find_map(|fields| {
        let (password, names) = fields.split_last()?;
        let matches = |(name, wanted): (&String, &&str)| name == "*" || name == *wanted;
        (names.len() == wanted.len() && names.iter().zip(&wanted).all(matches)).then(|| password.clone())
    })
}

/// Fields are separated by colons; a backslash takes the next character as it is.
fn fields_of(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let taken = match character {
            ':' if fields.len() < 5 => {
                fields.push(String::new());
                continue;
            }
            '\\' => characters.next(),
            other => Some(other),
        };
        if let Some(field) = fields.last_mut() {
            field.extend(taken);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_line_of_the_password_file_counts() {
        let file = "# shop\nother:5432:*:east:no\nho:*:*:east:pa\\:ss\\\\word\n*:*:*:*:last\n";
        let login = |host| Login { host, port: 5432, database: "sales", user: "east" };
        assert_eq!(in_file(file, &login("ho")).unwrap(), "pa:ss\\word");
        assert_eq!(in_file(file, &login("elsewhere")).unwrap(), "last");
        assert_eq!(in_file("ho:5432:sales\n", &login("ho")), None);
    }
}
