#![deny(unsafe_code)]

pub mod arch;
pub mod clock;
pub mod config;
#[allow(unsafe_code)]
pub mod mapping;
pub mod model;
pub mod node;
pub mod packet;
pub mod siit;
pub mod substrate;
pub mod time;
pub mod wire;
