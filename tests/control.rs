//! The control socket, over real sockets: a server thread, clients that behave
//! and clients that do not.

#[path = "control/apply.rs"]
mod apply;
#[path = "control/documentation.rs"]
mod documentation;
#[path = "control/eams.rs"]
mod eams;
#[path = "control/hostile.rs"]
mod hostile;
#[path = "control/lasting.rs"]
mod lasting;
#[path = "control/leases.rs"]
mod leases;
#[path = "control/load.rs"]
mod load;
#[path = "control/macs.rs"]
mod macs;
#[path = "control/relay.rs"]
mod relay;
#[path = "control/rig.rs"]
mod rig;
#[path = "control/segments.rs"]
mod segments;
#[path = "control/slots.rs"]
mod slots;
#[path = "control/state.rs"]
mod state;
#[path = "control/sync.rs"]
mod sync;
#[path = "control/told.rs"]
mod told;
