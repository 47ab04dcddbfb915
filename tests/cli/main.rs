//! The real binary against a socket: what each command sends, what it prints,
//! and how it fails.

mod apply;
mod commands;
mod failures;
mod live;
mod load;
mod manual;
mod objects;
mod relay;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with the tests of the server"
)]
#[path = "../control/rig.rs"]
mod rig;
mod scripted;
mod served;
