//! From a line to a typed request, and to whom it concerns.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::write::Answer;
use super::{Asker, Server};
use crate::control::plant::Plant;
use crate::control::proto::*;
use crate::control::store::Store;
use crate::model::Origin;

#[derive(Serialize)]
struct Success<'a> {
    jsonrpc: &'static str,
    id: Option<&'a RawValue>,
    result: &'a RawValue,
}

#[derive(Serialize)]
struct Failure<'a> {
    jsonrpc: &'static str,
    id: Option<&'a RawValue>,
    error: &'a Error,
}

/// A line that answers with a result, which is JSON already.
pub(super) fn success(id: Option<&RawValue>, result: &[u8]) -> Vec<u8> {
    let result: &RawValue = match serde_json::from_slice(result) {
        Ok(result) => result,
        Err(e) => return failure(id, &Error::new(ErrorCode::Internal, e.to_string())),
    };
    serde_json::to_vec(&Success {
        jsonrpc: "2.0",
        id,
        result,
    })
    .unwrap_or_default()
}

pub(super) fn failure(id: Option<&RawValue>, error: &Error) -> Vec<u8> {
    serde_json::to_vec(&Failure {
        jsonrpc: "2.0",
        id,
        error,
    })
    .unwrap_or_default()
}

/// Reads the params. The way to the field that is wrong is only sought when
/// one is, by reading once more.
pub(super) fn params<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Result<T, Error> {
    let text = raw.map_or("{}", RawValue::get);
    if !text.starts_with('{') {
        return Err(Error::new(
            ErrorCode::InvalidParams,
            "params must be an object",
        ));
    }
    match serde_json::from_str(text) {
        Ok(params) => Ok(params),
        Err(first) => {
            let reader = &mut serde_json::Deserializer::from_str(text);
            let (field, message) = match serde_path_to_error::deserialize::<_, T>(reader) {
                Ok(_) => (String::new(), first.to_string()),
                Err(error) => (error.path().to_string(), error.into_inner().to_string()),
            };
            // The column counts from the start of the params, which nobody sees.
            let told = message
                .rsplit_once(" at line ")
                .map_or(&*message, |(told, _)| told);
            let error = Error::new(ErrorCode::InvalidParams, told);
            Err(match field.as_str() {
                "." => error,
                _ => error.field(field),
            })
        }
    }
}

/// Reads what is around the params.
fn envelope(line: &[u8]) -> Result<Envelope<'_>, Error> {
    let text = std::str::from_utf8(line)
        .map_err(|e| Error::new(ErrorCode::Parse, format!("not UTF-8: {e}")))?;
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|e| match e.classify() {
        serde_json::error::Category::Data => Error::new(ErrorCode::InvalidRequest, e.to_string())
            .hint(r#"a request is {"jsonrpc":"2.0","id":1,"method":"...","params":{...}}"#),
        _ => Error::new(ErrorCode::Parse, e.to_string()),
    })?;
    if envelope.jsonrpc != "2.0" {
        return Err(
            Error::new(ErrorCode::InvalidRequest, "jsonrpc is not \"2.0\"").field("jsonrpc"),
        );
    }
    match envelope.id.map(RawValue::get) {
        Some(id) if id.len() > 128 || id.starts_with(['{', '[', 't', 'f']) => Err(Error::new(
            ErrorCode::InvalidRequest,
            "id is not a number or a short text",
        )
        .field("id")),
        _ => Ok(envelope),
    }
}

impl Server {
    pub(super) fn request(
        &mut self,
        token: usize,
        line: &[u8],
        store: &mut Store,
        plant: &mut impl Plant,
        now: u32,
    ) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        self.counters.requests += 1;
        let envelope = match envelope(line) {
            Ok(envelope) => envelope,
            Err(error) => {
                self.settle(store, plant, now);
                self.counters.errors += 1;
                return self.answer(&Asker { token, id: None }, &failure(None, &error));
            }
        };
        let asker = Asker {
            token,
            id: envelope.id.map(ToOwned::to_owned),
        };
        let checked = self.check(token, &envelope.method);
        let (method, origin) = match checked {
            Ok(checked) => checked,
            Err(error) => {
                self.settle(store, plant, now);
                return self.fail(&asker, &error);
            }
        };
        if !(origin == Origin::Operator && is_change(method)) {
            self.settle(store, plant, now);
        }
        let id = envelope.id;
        match self.act(asker, origin, method, envelope.params, store, plant, now) {
            Ok(Answer::Now(result)) if id.is_some() => {
                self.answer(&Asker { token, id: None }, &success(id, &result));
            }
            Ok(_) => {}
            Err((asker, error)) => {
                // Answers keep the order of the requests.
                self.settle(store, plant, now);
                self.fail(&asker, &error);
            }
        }
    }

    /// May this client ask for that, now?
    fn check(&mut self, token: usize, name: &str) -> Result<(Method, Origin), Error> {
        let Some(client) = self.clients.get_mut(token) else {
            return Err(Error::new(ErrorCode::Internal, "the client is gone"));
        };
        let Some(method) = Method::from_name(name) else {
            let shown: String = name.chars().take(64).collect();
            return Err(Error::new(
                ErrorCode::MethodNotFound,
                format!("there is no method `{shown}`"),
            )
            .field("method"));
        };
        match &client.session {
            None if method == Method::Hello => Ok((method, Origin::Operator)),
            None => Err(
                Error::new(ErrorCode::HelloFirst, "the first request must be hello").hint(
                    r#"send {"jsonrpc":"2.0","id":0,"method":"hello","params":{"version":1}}"#,
                ),
            ),
            Some(_) if method == Method::Hello => Err(Error::new(
                ErrorCode::InvalidRequest,
                "hello was said already",
            )),
            Some(session) if session.access < method.access() => Err(Error::new(
                ErrorCode::Denied,
                format!("{method} needs access rw"),
            )
            .hint(r#"say hello with "access":"rw""#)),
            Some(session) => Ok((method, session.origin)),
        }
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one request with its surroundings"
    )]
    fn act(
        &mut self,
        asker: Asker,
        origin: Origin,
        method: Method,
        raw: Option<&RawValue>,
        store: &mut Store,
        plant: &mut impl Plant,
        now: u32,
    ) -> Result<Answer, (Asker, Error)> {
        if is_change(method) {
            let changes = match changes(method, raw) {
                Ok(changes) => changes,
                Err(error) => return Err((asker, error)),
            };
            return self.change(asker, origin, method, &changes, store, plant, now);
        }
        match method {
            Method::SyncBegin => match params::<SyncBegin>(raw) {
                Ok(ask) => self.sync_begin(asker, origin, &ask, store),
                Err(error) => Err((asker, error)),
            },
            Method::SyncCommit => match params::<SyncCommit>(raw) {
                Ok(SyncCommit {}) => self.sync_commit(asker, origin, store),
                Err(error) => Err((asker, error)),
            },
            Method::ConfigApply => self.config_apply(asker, raw, plant),
            _ => self
                .read(asker.token, origin, method, raw, store, plant, now)
                .map_err(|error| (asker, error)),
        }
    }
}

fn is_change(method: Method) -> bool {
    use Method::*;
    matches!(
        method,
        VnetSet
            | VnetRemove
            | BindingSet
            | BindingRemove
            | HostSet
            | HostRemove
            | MappingSet
            | MappingRemove
            | RouteSet
            | RouteRemove
            | NeighborSet
            | NeighborRemove
            | RelaySet
            | RelayRemove
            | EamSet
            | EamRemove
            | OutsiderSet
            | OutsiderRemove
            | SubnetSet
            | SubnetRemove
            | RouterSet
            | RouterRemove
            | VrouteSet
            | VrouteRemove
            | MemberSet
            | MemberRemove
            | Batch
    )
}

fn changes(method: Method, raw: Option<&RawValue>) -> Result<Vec<Change<'_>>, Error> {
    let change = match method {
        Method::VnetSet => Change::VnetSet(params(raw)?),
        Method::VnetRemove => Change::VnetRemove(params(raw)?),
        Method::BindingSet => Change::BindingSet(params(raw)?),
        Method::BindingRemove => Change::BindingRemove(params(raw)?),
        Method::HostSet => Change::HostSet(params(raw)?),
        Method::HostRemove => Change::HostRemove(params(raw)?),
        Method::MappingSet => Change::MappingSet(params(raw)?),
        Method::MappingRemove => Change::MappingRemove(params(raw)?),
        Method::RouteSet => Change::RouteSet(params(raw)?),
        Method::RouteRemove => Change::RouteRemove(params(raw)?),
        Method::NeighborSet => Change::NeighborSet(params(raw)?),
        Method::NeighborRemove => Change::NeighborRemove(params(raw)?),
        Method::RelaySet => Change::RelaySet(params(raw)?),
        Method::RelayRemove => Change::RelayRemove(params(raw)?),
        Method::EamSet => Change::EamSet(params(raw)?),
        Method::EamRemove => Change::EamRemove(params(raw)?),
        Method::OutsiderSet => Change::OutsiderSet(params(raw)?),
        Method::OutsiderRemove => Change::OutsiderRemove(params(raw)?),
        Method::SubnetSet => Change::SubnetSet(params(raw)?),
        Method::SubnetRemove => Change::SubnetRemove(params(raw)?),
        Method::RouterSet => Change::RouterSet(params(raw)?),
        Method::RouterRemove => Change::RouterRemove(params(raw)?),
        Method::VrouteSet => Change::VrouteSet(params(raw)?),
        Method::VrouteRemove => Change::VrouteRemove(params(raw)?),
        Method::MemberSet => Change::MemberSet(params(raw)?),
        Method::MemberRemove => Change::MemberRemove(params(raw)?),
        Method::Batch => {
            return Ok(params::<Batch<'_>>(raw)?.changes);
        }
        _ => {
            return Err(Error::new(
                ErrorCode::Internal,
                format!("{method} changes nothing"),
            ));
        }
    };
    Ok(vec![change])
}
