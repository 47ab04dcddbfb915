//! The two walks as workers run them, over ports in memory: what nodes and
//! substrate send on one side, and every byte that comes out on the other.

mod common;

mod addresses;
mod carriage;
mod clamp;
mod counted;
mod cycles;
mod dhcp;
mod drops;
mod garbage;
mod given;
mod gone;
mod groups;
mod holds;
mod isolation;
mod macs;
mod native;
mod offload;
mod plain;
mod ports;
mod punts;
mod relay;
mod routers;
mod slot;
mod vectors;
mod watching;
mod workers;
