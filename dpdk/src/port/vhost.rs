//! What the vhost driver says of its guest's queues.

use dpdk_sys as sys;

use super::Port;

/// A guest has switched a queue on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEvent {
    pub queue: u16,
    /// It is one that the guest sends by.
    pub guest_sends: bool,
    pub enabled: bool,
}

impl Port {
    /// What has changed of a queue since it was last asked, one queue a call;
    /// `None` when there is nothing more to tell. Only for a port of `net_vhost`.
    pub fn vhost_queue_event(&self) -> Option<QueueEvent> {
        let mut event = sys::dpdk_sys_vhost_event::default();
        // SAFETY: the port is open, hence valid; the event is written.
        let ret = unsafe { sys::dpdk_sys_vhost_queue_event(self.shared.id, &raw mut event) };
        (ret == 0).then_some(QueueEvent {
            queue: event.queue,
            guest_sends: event.rx != 0,
            enabled: event.enable != 0,
        })
    }
}
