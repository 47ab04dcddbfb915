//! SIGHUP: the file is read again. Objects change at once and without loss;
//! what needs a restart is named, and stays as it is.

use std::path::Path;

use crate::config::Config;
use crate::control::store::Store;
use crate::model::Origin;

use super::logging;
use super::plant::Plant;
use super::start::desired;

pub(super) fn reload(path: &Path, running: &Config, store: &mut Store, plant: &mut Plant) {
    let config = match Config::load(path) {
        Ok((config, warnings)) => {
            for warning in &warnings {
                log::warn!("{warning}");
            }
            config
        }
        Err(problems) => return log::error!("not reloaded, nothing has changed:\n{problems}"),
    };
    for key in needs_restart(running, &config) {
        log::warn!(
            "`{key}` has changed in {}; it takes effect at the next start",
            path.display()
        );
    }
    let now = plant.seconds();
    match store.replace(plant, Origin::File, &desired(&config), now) {
        Ok(changes) => {
            log::info!(
                "reloaded: {} applied, {} unchanged, {} removed",
                changes.applied,
                changes.unchanged,
                changes.removed
            );
            for object in &changes.overridden {
                log::warn!("{object} stays: the operator or the agent has changed it");
            }
        }
        Err(error) => return log::error!("not reloaded, nothing has changed: {error}"),
    }
    if running.log.level != config.log.level {
        let level = log::LevelFilter::from(config.log.level);
        if let Err(error) = logging::set(&level.to_string()) {
            log::error!("{error}");
        }
    }
}

/// Keys outside the objects that differ.
fn needs_restart(running: &Config, wanted: &Config) -> Vec<&'static str> {
    [
        ("name", running.name != wanted.name),
        ("layout", running.layout != wanted.layout),
        ("locator", running.locator != wanted.locator),
        ("mtu", running.mtu != wanted.mtu),
        ("runtime", running.runtime != wanted.runtime),
        ("control", running.control != wanted.control),
        ("limits", running.limits != wanted.limits),
        ("metrics", running.metrics != wanted.metrics),
        ("state", running.state != wanted.state),
        ("port", running.port != wanted.port),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect()
}
