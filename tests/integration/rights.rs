//! The program has no more rights than migrations/roles.sql gives it, whatever server a test uses.
//!
//! A node's `database_url` is the sandbox's superuser. [`program_url`] prepares the database for the role that the
//! program runs as, and the tests' own statements are those of [`DBA`], another superuser, who owns what they make: the
//! company's tables. The rights on these, and to make others, are granted here as the file says that a company does.

use std::sync::{Mutex, PoisonError};

use postgres::{Client, NoTls};

const ROLES: &str = include_str!("../../migrations/roles.sql");

/// Who has the sandbox's servers made.
const SUPERUSER: &str = "//salesync@";

/// Who plays the database's administrator and the application in tests. Roles belong to a whole server, and two sessions
/// cannot change the same at once.
const DBA: &str = "
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dba') THEN
            CREATE ROLE dba SUPERUSER LOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END $$;";

/// The company's tables are the DBA's, and `import` and the page work with those in public.
const AT_A_BRANCH: &str = "
    GRANT dba TO salesync_init;
    ALTER DEFAULT PRIVILEGES FOR ROLE dba, salesync_init IN SCHEMA public
        GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO salesync_sell;
    ALTER DEFAULT PRIVILEGES FOR ROLE dba, salesync_init IN SCHEMA public GRANT USAGE ON SEQUENCES TO salesync_sell;";

/// Tables at head office that somebody has made by hand must belong to whoever applies.
const AT_HEAD_OFFICE: &str = "GRANT dba TO salesync_apply;";

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// One side of a company.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Branch,
    HeadOffice,
}

impl Side {
    /// Whose configuration says this.
    pub fn of(role: &str) -> Self {
        if role.contains("head-office") { Self::HeadOffice } else { Self::Branch }
    }

    /// The role that does nearly everything.
    fn role(self) -> &'static str {
        match self {
            Self::Branch => "salesync_bundle",
            Self::HeadOffice => "salesync_apply",
        }
    }

    /// The statements of the file for this side.
    pub fn statements(self) -> &'static str {
        let begin = match self {
            Self::Branch => "\n\\if :is_branch\n",
            Self::HeadOffice => "\n\\elif :is_head_office\n",
        };
        let (_, rest) = ROLES.split_once(begin).unwrap();
        rest.split_once("\n\\").unwrap().0
    }
}

/// The URL for another role.
pub fn as_role(url: &str, role: &str) -> String {
    let (scheme, rest) = url.split_once("//").unwrap();
    let (_, place) = rest.split_once('@').unwrap();
    format!("{scheme}//{role}@{place}")
}

/// The URL with which the program is configured: a superuser's becomes that of the role that runs it, with what that
/// needs in the database, if the database is there. Others stay.
pub fn program_url(url: &str, side: Side) -> String {
    if !url.contains(SUPERUSER) {
        return url.to_owned();
    }
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Ok(mut client) = Client::connect(url, NoTls) {
        let row = client.query_one("SELECT pg_catalog.pg_is_in_recovery()", &[]).unwrap();
        // A standby has what its primary has.
        if !row.get::<_, bool>(0) {
            prepare(&mut client, side);
        }
    }
    as_role(url, side.role())
}

fn prepare(client: &mut Client, side: Side) {
    let (of_side, makers) = match side {
        Side::Branch => (AT_A_BRANCH, "salesync_init"),
        Side::HeadOffice => (AT_HEAD_OFFICE, "salesync_apply"),
    };
    // Some tables are in other schemas than public.
    let makes_schemas = format!(
        "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {makers}', current_database()); END $$;"
    );
    let path = "SET search_path = pg_catalog; SET default_transaction_read_only = off;";
    for statements in [path, side.statements(), DBA, of_side, &makes_schemas] {
        client.batch_execute(statements).unwrap();
    }
}

/// The role that runs a command at a branch, if not the one that runs nearly all.
pub fn role_for(arguments: &[&str]) -> Option<&'static str> {
    let is = |word: &str| arguments.contains(&word);
    let roles = [("init", "salesync_init"), ("leave", "salesync_init"), ("--into-branch", "salesync_init")];
    let roles = roles.into_iter().chain([("import", "salesync_sell"), ("serve", "salesync_page")]);
    roles.into_iter().find_map(|(word, role)| is(word).then_some(role))
}

/// The configured URL, or that of the role that runs this command.
pub fn url_for_command(configured: &str, arguments: &[&str]) -> String {
    match role_for(arguments) {
        Some(role) if configured.contains("//salesync_bundle@") => as_role(configured, role),
        _ => configured.to_owned(),
    }
}

/// Makes a superuser's session the DBA's.
pub fn become_dba(client: &mut Client) {
    client.batch_execute(DBA).unwrap();
    client.batch_execute("SET SESSION AUTHORIZATION dba").unwrap();
}
