//! What systemd is told (sd_notify): ready, reloading, stopping, alive.

use sd_notify::NotifyState;

/// Tells systemd, if it listens; says nothing otherwise.
#[derive(Debug, Default, Clone, Copy)]
pub struct Notify;

impl Notify {
    pub fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    pub fn reloading(&self) {
        let mut states = vec![NotifyState::Reloading];
        states.extend(NotifyState::monotonic_usec_now().ok());
        self.tell(&states);
    }

    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    pub fn watchdog(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(states) {
            log::debug!("systemd was not told: {error}");
        }
    }
}
