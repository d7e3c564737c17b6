//! The format as a whole: what is written reads back, and nothing else does.

mod confirmations;
mod damage;
mod encrypted;
mod forgery;
mod golden;
mod golden_content;
mod lies;
mod properties;
mod round_trip;
mod sample;
mod signed;
mod workshop;
