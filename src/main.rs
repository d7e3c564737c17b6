//! The `salesync` command.

fn main() {}
