//! What is wrong, where, and what would be right.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One thing that is wrong with a set of objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Path of the key, such as `binding[2].vnet`; empty for the whole.
    pub path: String,
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Line and column, from 1, when the objects came from a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<(usize, usize)>,
    /// What runs, of a key that cannot change while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Box<Value>>,
    /// What the file wants instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Box<Value>>,
}

impl Problem {
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem {
            path: path.into(),
            message: message.into(),
            hint: None,
            at: None,
            old: None,
            new: None,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// Adds `did you mean` when one of the names is near enough.
    #[must_use]
    pub fn near<'a>(self, given: &str, names: impl IntoIterator<Item = &'a str>) -> Problem {
        match nearest(given, names) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// As [`Problem::near`], and lists the names there are when none is near
    /// and they are few.
    #[must_use]
    pub fn known<'a>(self, given: &str, names: impl IntoIterator<Item = &'a str>) -> Problem {
        let names: Vec<_> = names.into_iter().collect();
        let problem = self.near(given, names.iter().copied());
        match names.len() {
            _ if problem.hint.is_some() => problem,
            0 => problem.hint("there is none"),
            1 => problem.hint(format!("there is `{}`", names.join(""))),
            2..=8 => problem.hint(format!("there are {}", names.join(", "))),
            _ => problem,
        }
    }

    /// One block: position, path and message, and the hint on a line of its own.
    fn write(&self, f: &mut fmt::Formatter<'_>, file: &str, kind: &str) -> fmt::Result {
        write!(f, "{file}")?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {kind}")?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Problems shown to people; the rest is counted.
const SHOWN: usize = 100;

/// Why a file was refused: everything that was found, in the file's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problems {
    pub file: String,
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(SHOWN).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            problem.write(f, &self.file, "")?;
        }
        match self.problems.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n{}: and {more} more", self.file),
        }
    }
}

impl std::error::Error for Problems {}

/// Something that is allowed but hardly meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    pub file: String,
    #[serde(flatten)]
    pub problem: Problem,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.write(f, &self.file, "warning: ")
    }
}

/// The name that was probably meant: the nearest by edit distance, if at most
/// a third of its letters differ. A difference in case alone always counts.
pub(super) fn nearest<'a>(
    given: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let folded = given.to_lowercase();
    names
        .into_iter()
        .filter(|name| name.len() <= 64 && given.len() <= 64)
        .map(|name| {
            let distance = strsim::damerau_levenshtein(&folded, &name.to_lowercase());
            (distance, name)
        })
        .filter(|(distance, name)| distance * 3 <= longer(given, name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn longer(a: &str, b: &str) -> usize {
    a.chars().count().max(b.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_problems_are_counted() {
        let problems = Problems {
            file: "f".to_owned(),
            problems: vec![Problem::new("a", "b"); 103],
        };
        assert!(problems.to_string().ends_with("\nf: a: b\nf: and 3 more"));
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let keys = ["locator", "layout", "name"];
        assert_eq!(nearest("locater", keys), Some("locator"));
        assert_eq!(nearest("lcoator", keys), Some("locator"));
        assert_eq!(nearest("z", ["Y", "Z"]), Some("Z"));
        assert_eq!(nearest("X", ["Y", "Z"]), None);
        assert_eq!(nearest("upp", ["down", "up"]), Some("up"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("", keys), None);
    }
}
