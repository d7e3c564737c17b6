//! Passwords, which are nowhere but in somebody's head: the configuration has what argon2id makes of them.

use std::fmt;
use std::str::FromStr;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher as _, PasswordVerifier as _};

use crate::domain::{Failure, Kind};

/// Shorter ones are guessed.
const SHORTEST: usize = 8;
/// Nobody's password is longer.
pub(super) const LONGEST: usize = 512;
/// More memory would be taken from the database, in KiB.
const MOST_MEMORY: u32 = 256 << 10;
const MAKE_ONE: &str = "make one with `salesync hash-password`";

/// What argon2id has made of a password.
#[derive(Clone)]
pub struct Password(PasswordHash);

impl Password {
    /// Whether it was made of this one. Takes a tenth of a second and 19 MiB.
    pub(super) fn is(&self, password: &str) -> bool {
        Argon2::default().verify_password(password.as_bytes(), &self.0).is_ok()
    }
}

impl FromStr for Password {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure::new(Kind::Configuration, "reading a password", why).hint(MAKE_ONE);
        let hash = PasswordHash::new(text).map_err(|_| wrong("it is not hashed by argon2id"))?;
        let is_whole = hash.salt.is_some() && hash.hash.is_some();
        if hash.algorithm.as_str() != "argon2id" || !is_whole {
            return Err(wrong("it is not hashed by argon2id"));
        }
        let params = Params::try_from(&hash).map_err(|_| wrong("argon2id does not know its parameters"))?;
        if params.m_cost() > MOST_MEMORY {
            return Err(wrong("each login would take more than 256 MiB of memory"));
        }
        Ok(Self(hash))
    }
}

/// Never the hash: it could be guessed at.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// What stands in the configuration for this password.
pub fn hash_password(password: &str) -> Result<String, Failure> {
    let doing = "hashing the password";
    if password.chars().count() < SHORTEST || password.len() > LONGEST {
        let why = format!("it must have from {SHORTEST} characters to {LONGEST} bytes");
        return Err(
            Failure::new(Kind::Usage, doing, why).hint("a few words that nobody would put together are good")
        );
    }
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| Failure::new(Kind::Failed, doing, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_and_no_other_is() {
        let hash = hash_password("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let password: Password = hash.parse().unwrap();
        assert!(password.is("correct horse battery"));
        assert!(!password.is("correct horse batterz") && !password.is(""));
        assert!(!format!("{password:?}").contains("argon2"));
    }

    #[test]
    fn what_is_no_hash_is_refused_and_not_repeated() {
        let costly = "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0$\
                      c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ";
        for text in [
            "hunter2hunter2",
            "",
            "$argon2id$v=19$m=19456,t=2,p=1",
            "$argon2i$v=19$m=8,t=1,p=1$c2FsdA$c2FsdA",
            costly,
        ] {
            let failure = text.parse::<Password>().unwrap_err();
            assert_eq!(failure.kind(), Kind::Configuration);
            assert!(text.is_empty() || !failure.to_string().contains(text), "{failure}");
        }
        assert!(costly.parse::<Password>().unwrap_err().to_string().contains("256 MiB"));
    }

    #[test]
    fn a_password_that_would_be_guessed_is_not_hashed() {
        assert_eq!(hash_password("1234567").unwrap_err().kind(), Kind::Usage);
        assert_eq!(hash_password(&"x".repeat(LONGEST + 1)).unwrap_err().kind(), Kind::Usage);
    }
}
