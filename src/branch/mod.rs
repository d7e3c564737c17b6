//! The branch's side: its sales come in, and go on to head office.

pub mod import;
