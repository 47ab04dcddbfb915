//! Signals, without `unsafe`: a thread of its own waits for them.

use std::io;

use signal_hook::iterator::Signals;

/// Calls `action` each time the signal arrives.
pub(super) fn on(signal: i32, action: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([signal])?;
    std::thread::Builder::new()
        .name(format!("signal-{signal}"))
        .spawn(move || {
            for _ in signals.forever() {
                action();
            }
        })?;
    Ok(())
}
