//! Get, GetNext, GetBulk (RFC 3416 section 4.2) over the objects of a view.
//! Nothing can be set.

use super::message::{Answer, Pdu, kind, put_binding, status};
use super::mib::{self, View};
use super::oid::Oid;
use super::value::Value;

/// Names and values, as many as there is room for.
struct Bindings {
    bytes: Vec<u8>,
    room: usize,
}

impl Bindings {
    /// False if it does not fit, and then it is not there.
    fn put(&mut self, name: &Oid, value: &Value) -> bool {
        let before = self.bytes.len();
        put_binding(&mut self.bytes, name, value);
        let fits = self.bytes.len() <= self.room;
        if !fits {
            self.bytes.truncate(before);
        }
        fits
    }
}

/// The response to a request, its bindings in at most `room` bytes.
pub fn respond(view: &View<'_>, pdu: &Pdu<'_>, room: usize) -> Answer {
    let mut list = Bindings {
        bytes: Vec::new(),
        room,
    };
    match pdu.kind {
        kind::GET => {
            for name in &pdu.names {
                if !list.put(name, &mib::get(view, name)) {
                    return too_big(pdu);
                }
            }
        }
        kind::GET_NEXT => {
            for name in &pdu.names {
                let (name, value) = next(view, name);
                if !list.put(&name, &value) {
                    return too_big(pdu);
                }
            }
        }
        kind::GET_BULK => bulk(view, pdu, &mut list),
        _ if pdu.names.is_empty() => {}
        _ => return refuse(pdu, status::NO_ACCESS, 1, room),
    }
    answer(pdu, status::NO_ERROR, 0, list.bytes)
}

/// A refusal has the bindings of the request.
pub fn refuse(pdu: &Pdu<'_>, status: i32, index: i32, room: usize) -> Answer {
    if pdu.bindings.len() > room {
        return too_big(pdu);
    }
    answer(pdu, status, index, pdu.bindings.to_vec())
}

fn too_big(pdu: &Pdu<'_>) -> Answer {
    answer(pdu, status::TOO_BIG, 0, Vec::new())
}

fn answer(pdu: &Pdu<'_>, status: i32, index: i32, bindings: Vec<u8>) -> Answer {
    Answer {
        kind: kind::RESPONSE,
        request: pdu.request,
        status,
        index,
        bindings,
    }
}

/// At the end the name stays as it was.
fn next(view: &View<'_>, name: &Oid) -> (Oid, Value) {
    let end = || (name.clone(), Value::EndOfMibView);
    mib::next(view, name).unwrap_or_else(end)
}

/// As far as there is room; what is missing the next request gets.
fn bulk(view: &View<'_>, pdu: &Pdu<'_>, list: &mut Bindings) {
    let once = usize::try_from(pdu.first).unwrap_or(0);
    let (once, often) = pdu.names.split_at(once.min(pdu.names.len()));
    for name in once {
        let (name, value) = next(view, name);
        if !list.put(&name, &value) {
            return;
        }
    }
    let mut names = often.to_vec();
    for _ in 0..pdu.second.max(0) {
        let mut more = false;
        for name in &mut names {
            let (found, value) = next(view, name);
            if !list.put(&found, &value) {
                return;
            }
            more |= value != Value::EndOfMibView;
            *name = found;
        }
        if !more {
            return;
        }
    }
}

#[cfg(test)]
#[path = "tests/walk.rs"]
mod tests;
