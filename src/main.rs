//! The `salesync` command. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    salesync::cli::run()
}
