//! Logs go to standard error, in one format, and can be changed while running.
//! Nothing is logged per packet.

use std::str::FromStr;
use std::sync::RwLock;

use env_logger::{Builder, Logger, Target, WriteStyle};
use log::{LevelFilter, Log, Metadata, Record};

/// A logger whose filter can be exchanged.
struct Switch(RwLock<Option<Logger>>);

static SWITCH: Switch = Switch(RwLock::new(None));

impl Log for Switch {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let inner = self
            .0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        inner
            .as_ref()
            .is_some_and(|logger| logger.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        let inner = self
            .0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(logger) = inner.as_ref() {
            logger.log(record);
        }
    }

    fn flush(&self) {}
}

/// Starts logging at a level; `RUST_LOG` in the environment goes before.
pub fn init(level: LevelFilter) {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| level.to_string());
    if set(&filter).is_err() {
        // A mistyped RUST_LOG must not make the appliance silent.
        let _ = set(&level.to_string());
    }
    // Only a second start in one process could fail here, as in tests.
    let _ = log::set_logger(&SWITCH);
}

/// Exchanges the filter: `info`, or `warn,weft::control=debug`.
pub fn set(filter: &str) -> Result<(), String> {
    for directive in filter.split(',') {
        let level = directive.rsplit('=').next().unwrap_or(directive).trim();
        if LevelFilter::from_str(level).is_err() {
            return Err(format!(
                "filter: `{level}` is not a level; use off, error, warn, info, debug or trace, \
                 or module=level, separated by commas"
            ));
        }
    }
    let logger = Builder::new()
        .parse_filters(filter)
        .target(Target::Stderr)
        .write_style(WriteStyle::Auto)
        .format_timestamp_millis()
        .build();
    log::set_max_level(logger.filter());
    *SWITCH
        .0
        .write()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(logger);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_checked_and_exchanged() {
        assert!(set("warn,weft::control=debug").is_ok());
        assert_eq!(log::max_level(), LevelFilter::Debug);
        assert!(set("loud").unwrap_err().contains("`loud`"));
        assert!(set("weft::control=loud").is_err());
        assert_eq!(
            log::max_level(),
            LevelFilter::Debug,
            "a bad filter changes nothing"
        );
        assert!(set("off").is_ok());
    }
}
