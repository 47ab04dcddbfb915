//! A whole file at once: `config.apply` and what came of it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Kind;
use super::change::is_zero;
use crate::config::{Problem, SettingChange};
use crate::model::Origin;

/// Makes the running state that of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigApply<'a> {
    /// Name of the file in messages.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// The file's content, all of it.
    #[serde(borrow)]
    pub text: Cow<'a, str>,
    /// Say what would change, and change nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Mappings to list of each sort (added, changed, removed); 20 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mappings: Option<u64>,
}

/// Mappings listed of each sort unless asked for otherwise.
pub const LISTED_MAPPINGS: u64 = 20;

/// Reply of `config.apply`: the difference, which has been applied unless it
/// was a dry run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyReport {
    pub dry_run: bool,
    /// Settings that took another value.
    pub settings: Vec<SettingChange>,
    /// Objects, by kind and key.
    pub objects: Vec<Difference>,
    pub added: u64,
    /// Objects and settings.
    pub changed: u64,
    pub removed: u64,
    pub unchanged: u64,
    /// Differences left out of `objects`, counted all the same.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unlisted: u64,
    /// Objects of the file that stay as an operator or agent wants them.
    pub overridden: Vec<Overridden>,
    /// Overridden ones left out of the list.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_overridden: u64,
    /// What is allowed in the file but hardly meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Problem>,
}

impl ApplyReport {
    /// Objects and settings that differed.
    pub fn changes(&self) -> u64 {
        self.added + self.changed + self.removed
    }
}

/// What becomes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    Added,
    Changed,
    Removed,
}

/// An object that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub kind: Kind,
    /// As messages name it: `Z`, `Z 10.0.0.3/32`.
    pub key: String,
    pub change: Fate,
    /// Fields that differ; all of an added or removed one.
    pub fields: Vec<FieldChange>,
}

/// A field of an object before and after; absent where it has no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    pub field: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

/// An object that the file cannot change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overridden {
    pub kind: Kind,
    pub key: String,
    /// Who holds it, or has removed it.
    pub origin: Origin,
}

/// Takes the bytes that a value is as JSON off what is left; false if that is
/// too little.
pub(crate) fn fits(value: &impl Serialize, left: &mut usize) -> bool {
    let size = serde_json::to_vec(value).map_or(0, |text| text.len() + 1);
    let enough = size <= *left;
    *left = if enough { *left - size } else { 0 };
    enough
}
