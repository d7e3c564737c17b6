//! The page: head office's monitor, a branch's place to work. One server for both roles.
//!
//! Every page is rendered here, by templates that are checked when the program is compiled; scripts and styles
//! are a part of the program. A handler asks the database through [`Databases`](database::Databases) only, in a thread that may
//! block.

mod access;
mod assets;
mod branch;
mod bundle;
mod crowd;
mod database;
mod download;
mod field;
mod form;
mod head_office;
mod health;
mod house;
mod listen;
mod live;
mod metrics;
mod notices;
mod options;
mod page;
mod random;
mod server;
mod site;
mod thread;
mod tls;
mod trouble;
mod viewer;
mod words;

pub use self::access::{Password, User, hash_password};
pub use self::options::Options;
pub use self::server::serve;
pub use self::site::{
    BranchSite, Connect, ConnectBroker, HeadOfficeSite, KnownBranches, LookUpBranches, Role, Site,
    Synchronise,
};
pub use self::tls::Certificate;
