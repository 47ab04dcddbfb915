#![deny(unsafe_code)]

pub mod appliance;
pub mod arch;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod datapath;
#[allow(unsafe_code)]
pub mod mapping;
pub mod model;
pub mod node;
pub mod packet;
pub mod port;
pub mod siit;
pub mod substrate;
pub mod time;
pub mod wire;
