//! Errors of the protocol: a code a program can act on, a sentence, and where
//! it can be said the field and a hint how to put it right.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::change::is_zero;
use crate::config::Problem;

/// Codes: those of JSON-RPC 2.0, and ours from -32001 down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// Not JSON.
    Parse,
    /// JSON, but not a request.
    InvalidRequest,
    MethodNotFound,
    /// Wrong params: a field is missing, unknown, of a wrong type or value.
    InvalidParams,
    Internal,
    /// The first request must be `hello`.
    HelloFirst,
    /// The versions do not fit.
    Version,
    /// The client may not do that.
    Denied,
    /// Held by a stronger origin.
    Conflict,
    /// It, or something it refers to, does not exist.
    NotFound,
    /// Something still refers to it.
    InUse,
    /// A limit was hit.
    Limit,
    /// The change could not be written to the journal.
    Journal,
    /// Another sync of this origin is open, or none is.
    Sync,
    /// The data path could not do it.
    Refused,
    /// It cannot change while the appliance runs.
    Restart,
    /// A code this program does not know.
    Other(i32),
}

impl ErrorCode {
    pub const fn number(self) -> i32 {
        match self {
            ErrorCode::Parse => -32700,
            ErrorCode::InvalidRequest => -32600,
            ErrorCode::MethodNotFound => -32601,
            ErrorCode::InvalidParams => -32602,
            ErrorCode::Internal => -32603,
            ErrorCode::HelloFirst => -32001,
            ErrorCode::Version => -32002,
            ErrorCode::Denied => -32003,
            ErrorCode::Conflict => -32004,
            ErrorCode::NotFound => -32005,
            ErrorCode::InUse => -32006,
            ErrorCode::Limit => -32007,
            ErrorCode::Journal => -32008,
            ErrorCode::Sync => -32009,
            ErrorCode::Refused => -32010,
            ErrorCode::Restart => -32011,
            ErrorCode::Other(number) => number,
        }
    }

    /// Every code with a name of its own.
    pub const ALL: [ErrorCode; 16] = [
        ErrorCode::Parse,
        ErrorCode::InvalidRequest,
        ErrorCode::MethodNotFound,
        ErrorCode::InvalidParams,
        ErrorCode::Internal,
        ErrorCode::HelloFirst,
        ErrorCode::Version,
        ErrorCode::Denied,
        ErrorCode::Conflict,
        ErrorCode::NotFound,
        ErrorCode::InUse,
        ErrorCode::Limit,
        ErrorCode::Journal,
        ErrorCode::Sync,
        ErrorCode::Refused,
        ErrorCode::Restart,
    ];
}

impl Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_i32(self.number())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<ErrorCode, D::Error> {
        let number = i32::deserialize(d)?;
        let known = ErrorCode::ALL.into_iter().find(|c| c.number() == number);
        Ok(known.unwrap_or(ErrorCode::Other(number)))
    }
}

/// A JSON-RPC error object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    pub code: ErrorCode,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<ErrorData>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorData {
    /// Path of the field in the params: `mappings[3].host`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// How to put it right.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// Of a file: everything that is wrong with it, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// Problems left out of the list.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

impl Error {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Error {
        Error {
            code,
            message: message.into(),
            data: None,
        }
    }

    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Error {
        self.data.get_or_insert_default().field = field.into();
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.data.get_or_insert_default().hint = hint.into();
        self
    }

    /// Lists what is wrong with a file, up to about so many bytes.
    #[must_use]
    pub fn problems(mut self, problems: Vec<Problem>, room: usize) -> Error {
        let data = self.data.get_or_insert_default();
        let mut left = room;
        let all = problems.len();
        data.problems = problems
            .into_iter()
            .take_while(|problem| super::apply::fits(problem, &mut left))
            .collect();
        data.more = (all - data.problems.len()) as u64;
        self
    }

    /// Puts `outer` before the path of the field, for an error found deeper.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Error {
        let data = self.data.get_or_insert_default();
        data.field = match data.field.as_str() {
            "" => outer.to_owned(),
            inner if inner.starts_with('[') => format!("{outer}{inner}"),
            inner => format!("{outer}.{inner}"),
        };
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.data {
            Some(data) if !data.field.is_empty() => write!(f, "{}: {}", data.field, self.message)?,
            _ => f.write_str(&self.message)?,
        }
        match &self.data {
            Some(data) if !data.hint.is_empty() => write!(f, " ({})", data.hint),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
