#![deny(unsafe_code)]

pub mod arch;
pub mod wire;
