//! The file that `enroll` writes and `join` reads: the branch's configuration, all but its database, and behind it the
//! certificates of the broker's authority, if that is one of the company's own.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{SecondsFormat, Utc};
use zeroize::Zeroizing;

use super::private_file::{Readers, write_new};
use super::settings::Settings;
use crate::broker::BrokerAddress;
use crate::domain::{Failure, Kind, NodeName, PublicKey, Recipient};
use crate::tls::{PEM_BEGIN, check_authority};

/// The authority's file, beside the configuration.
const AUTHORITY: &str = "broker-ca.pem";

/// What head office gives a branch.
pub(super) struct Enrolment<'a> {
    pub(super) branch: &'a NodeName,
    pub(super) head_office: &'a NodeName,
    /// With the branch's own login.
    pub(super) address: &'a BrokerAddress,
    pub(super) allow_plaintext: bool,
    /// The certificates that the broker's has to be signed with, in PEM; none for the system's authorities.
    pub(super) authority: Option<String>,
    /// Head office's key.
    pub(super) key: PublicKey,
    /// What bundles are encrypted to, if head office can read such.
    pub(super) recipient: Option<Recipient>,
}

impl Enrolment<'_> {
    /// As it stands in the file.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let Self { branch, head_office, key, .. } = self;
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        let plaintext = if self.allow_plaintext { "allow_plaintext = true\n" } else { "" };
        let (mut ca_file, mut certificates) = (String::new(), String::new());
        if let Some(authority) = &self.authority {
            ca_file = format!("ca_file = \"{AUTHORITY}\"\n");
            certificates =
                format!("\n# `salesync join` makes {AUTHORITY} of this. Nothing may follow it.\n{authority}");
        }
        let encryption = self.recipient.as_ref().map(|recipient| {
            format!(
                "\n# So only head office can read the bundles. A key of the branch's own may stand beside it.\n\
                 [encryption]\nrecipients = [\"{recipient}\"]\n"
            )
        });
        Zeroizing::new(format!(
            "# {branch}, a branch of {head_office}: its enrolment of {now}.
# It has a password: hand it over by a way that you trust, and remove it when the branch has joined. There:
#   salesync join FILE --dir /etc/salesync --database 'postgres:///{branch}?host=/var/run/postgresql'
# Other tables that are to travel, and another folder for the bundles, are written here before that.
node = \"{branch}\"
role = \"branch\"

[[table]]
name = \"public.sales\"
day = \"date\"
amount = \"total\"

[broker]
url = \"{}\"
{plaintext}{ca_file}
[archive]
dir = \"bundles\"

[signing]
key = \"signing.key\"

[head_office]
public_key = \"{key}\"  # id {}
{}{certificates}",
            *self.address.secret_url(),
            key.id(),
            encryption.unwrap_or_default(),
        ))
    }
}

/// What a branch was given, checked as far as that can be done without a server.
pub(super) struct Offered {
    pub(super) settings: Settings,
    /// The configuration as it was written.
    pub(super) text: Zeroizing<String>,
    authority: Option<String>,
}

impl Offered {
    /// Reads the file that head office has written, or somebody who says so.
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        const DOING: &str = "reading the enrolment";
        let text = fs::read_to_string(file).map(Zeroizing::new);
        let text = text.map_err(|error| Failure::file(DOING, file, &error))?;
        let end = text.find(&format!("\n{PEM_BEGIN}")).map_or(text.len(), |end| end + 1);
        let (configuration, certificates) = text.split_at(end);
        let settings = Settings::read(configuration, file)?;
        let wrong = |why: &dyn std::fmt::Display| {
            Failure::new(Kind::Configuration, format!("{DOING} {}", file.display()), why)
        };
        let authority = match certificates {
            "" => None,
            certificates => Some(check_authority(certificates).map_err(|failure| {
                let refused = wrong(&failure.why());
                failure.advice().map_or(refused.clone(), |hint| refused.hint(hint))
            })?),
        };
        let is_used = settings.broker_authority() == Some(&beside(file.parent()));
        if authority.is_some() && !is_used {
            return Err(wrong(&format!(
                "it has an authority's certificate, and `ca_file` is not {AUTHORITY}"
            ))
            .hint(format!(
                "write ca_file = \"{AUTHORITY}\" in the section [broker], or remove the certificate"
            )));
        }
        let text = Zeroizing::new(configuration.to_owned());
        Ok(Self { settings, text, authority })
    }

    /// Where the configuration that is there says something else than head office does here.
    pub(super) fn differences(&self, there: &Settings) -> Vec<String> {
        let offered = &self.settings;
        let knows = |key| there.head_office.keys().iter().any(|known| known.key == key);
        let is_unknown = offered.head_office.keys().iter().any(|trusted| !knows(trusted.key));
        let has_others = offered.recipients.iter().any(|recipient| !there.recipients.contains(recipient));
        let in_file = [
            (there.differs_in_broker(offered), "[broker]"),
            (is_unknown, "[head_office]"),
            (has_others, "[encryption]"),
        ];
        let in_file = in_file.into_iter().filter_map(|(differs, section)| differs.then_some(section));
        let in_file = in_file.map(|section| format!("{} in {section}", there.file().display()));
        in_file.chain(self.other_authority(there)).collect()
    }

    /// The same of the broker's authority.
    fn other_authority(&self, there: &Settings) -> Option<String> {
        match (&self.authority, there.broker_authority()) {
            (None, None) => None,
            (Some(authority), Some(file)) => {
                // One that is not there is written again.
                let is_other = fs::read_to_string(file).map_or(file.exists(), |text| text != *authority);
                is_other.then(|| file.display().to_string())
            }
            _ => Some(format!("{} in `ca_file` of [broker]", there.file().display())),
        }
    }

    /// Writes the authority's certificates into the configuration's folder, if there are any.
    pub(super) fn write_authority(&self, folder: &Path) -> Result<(), Failure> {
        let Some(authority) = &self.authority else { return Ok(()) };
        let file = beside(Some(folder));
        if fs::read_to_string(&file).is_ok_and(|there| there == *authority) {
            return Ok(());
        }
        let instead = "if it is of an earlier enrolment, remove it; or name another folder with --dir";
        write_new("the broker's authority", &file, authority.as_bytes(), Readers::All, instead)
    }
}

fn beside(folder: Option<&Path>) -> PathBuf {
    folder.unwrap_or(Path::new(".")).join(AUTHORITY)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::domain::SigningKey;

    fn certificate() -> String {
        let key = KeyPair::generate().unwrap();
        CertificateParams::new(["ca".to_owned()]).unwrap().self_signed(&key).unwrap().pem()
    }

    fn offered(text: &str) -> Result<Offered, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("east.toml");
        fs::write(&file, text).unwrap();
        Offered::read(&file)
    }

    #[test]
    fn what_is_written_is_read_and_what_was_added_or_changed_is_refused() {
        let (branch, head_office) = ("east".parse().unwrap(), "head".parse().unwrap());
        let (one, two) = (certificate(), certificate());
        let enrolment = Enrolment {
            branch: &branch,
            head_office: &head_office,
            address: &BrokerAddress::parse("amqps://east:pw@broker/salesync").unwrap(),
            allow_plaintext: false,
            authority: Some(format!("{one}{two}")),
            key: SigningKey::generate().unwrap().public(),
            recipient: None,
        };
        let text = enrolment.to_text();
        let read = offered(&text).unwrap();
        assert_eq!(read.authority, enrolment.authority);
        assert!(text.starts_with(&*read.text) && !read.text.contains(PEM_BEGIN));
        // A mail program's line ends are no change.
        assert_eq!(offered(&text.replace('\n', "\r\n")).unwrap().authority, enrolment.authority);
        let plain = Enrolment { authority: None, ..enrolment };
        assert_eq!(offered(&plain.to_text()).unwrap().authority, None);
        assert_eq!(*offered(&plain.to_text()).unwrap().text, *plain.to_text());

        let key = KeyPair::generate().unwrap().serialize_pem();
        let elsewhere = |file: &str| text.replace("broker-ca.pem\"", &format!("{file}\""));
        for (bad, why) in [
            (format!("{}[serve]\n", *text), "something else beside"),
            (format!("{}{key}", *text), "something else beside"),
            (text.replace(&two, &key), "something else beside"),
            (text.replace(&two, &format!("# ours\n{two}")), "something else beside"),
            (text.replace(&two, &two[..two.len() - 30]), "PEM"),
            (text.replace("\nMI", "\nMJ"), ""),
            (elsewhere("/etc/ssl/certs/broker-ca.pem"), "is not broker-ca.pem"),
            (elsewhere("../broker-ca.pem"), "is not broker-ca.pem"),
            (text.replace("ca_file", "#"), "is not broker-ca.pem"),
        ] {
            let failure = offered(&bad).err().unwrap_or_else(|| panic!("taken: {bad}"));
            assert_eq!(failure.kind(), Kind::Configuration, "{failure}");
            assert!(failure.to_string().contains(why) && failure.advice().is_some(), "{failure}");
        }
    }
}
