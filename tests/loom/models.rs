//! `src/mapping` as the crate has it, and around it no more than it names. The
//! models are `src/mapping/loom.rs`.

#![allow(
    dead_code,
    unused_imports,
    reason = "models use the parts of the table, not its front"
)]

#[path = "../../src/arch.rs"]
mod arch;
#[path = "../../src/mapping/mod.rs"]
mod mapping;

use ::wire;
