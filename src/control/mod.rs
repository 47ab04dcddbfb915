//! The control socket: what runs, who said so, and how to change it while it
//! runs.
//!
//! A request passes three places: [`proto`] gives it a type, [`server`]
//! decides who may ask and answers, [`store`] and [`plant`] act. The store is
//! the desired state with its origins and revisions; the plant is the running
//! appliance, which the store's changes are pushed to.

pub mod client;
mod clients;
pub mod codec;
mod events;
pub mod journal;
pub mod plant;
pub mod proto;
pub mod server;
pub mod store;
