//! The engine of one router: whom it lets ask, and how it refuses.
//!
//! In the order of RFC 3412 section 7.2 and RFC 3414 section 3.2, of which each
//! step tells apart one more thing that may be wrong. Nothing is reported to
//! who did not ask for reports, and nothing at all is said in version 2c.

use super::ber::Reader;
use super::keys::Keys;
use super::message::{
    self, Answer, Data, Message, Pdu, Scoped, V3, flag, kind, put_binding, status,
};
use super::mib::{Engine, View};
use super::oid::Oid;
use super::usm::{Envelope, Security};
use super::value::Value;
use super::{Access, Clock, Outcome, SnmpRefused, Source, User, walk};

/// Bytes around the bindings of a response: every length in its longest form,
/// every text as long as it may be.
const AROUND_2C: usize = 40;
const AROUND_3: usize = 240;

/// What a refusal is told by: the counters of RFC 3414 section 5 in their order,
/// and two of RFC 3412 and 3413.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Report {
    Level,
    Window,
    User,
    Engine,
    Digest,
    Decryption,
    Context,
    Handler,
}

impl Report {
    const COUNT: usize = Report::Handler as usize + 1;

    fn name(self) -> Oid {
        match self {
            Report::Context => Oid::new(&[1, 3, 6, 1, 6, 3, 12, 1, 5, 0]),
            Report::Handler => Oid::new(&[1, 3, 6, 1, 6, 3, 11, 2, 1, 3, 0]),
            _ => Oid::new(&[1, 3, 6, 1, 6, 3, 15, 1, 1, self as u32 + 1, 0]),
        }
    }

    fn refused(self) -> SnmpRefused {
        match self {
            Report::Level => SnmpRefused::Level,
            Report::Window => SnmpRefused::Window,
            Report::User => SnmpRefused::User,
            Report::Engine => SnmpRefused::Engine,
            Report::Digest => SnmpRefused::Digest,
            Report::Decryption => SnmpRefused::Decryption,
            Report::Context | Report::Handler => SnmpRefused::Context,
        }
    }
}

/// The engine of one router.
#[derive(Clone, Debug)]
pub struct Agent {
    access: Access,
    engine: Vec<u8>,
    /// Of users that have asked: making them takes milliseconds.
    keys: Vec<Option<Keys>>,
    reports: [u32; Report::COUNT],
}

/// Around one datagram.
struct Asked<'a> {
    source: &'a dyn Source,
    clock: &'a mut Clock,
    /// The longest reply.
    limit: usize,
}

impl Agent {
    pub fn new(access: Access, engine: Vec<u8>) -> Agent {
        let keys = vec![None; access.users.len()];
        Agent {
            access,
            engine,
            keys,
            reports: [0; Report::COUNT],
        }
    }

    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The reply to a datagram, in at most `limit` bytes.
    pub fn answer(
        &mut self,
        datagram: &[u8],
        source: &dyn Source,
        clock: &mut Clock,
        limit: usize,
    ) -> Outcome {
        let asked = Asked {
            source,
            clock,
            limit,
        };
        let mut outcome = match Message::read(datagram) {
            Err(_) => Outcome::silence(SnmpRefused::Malformed),
            Ok(Message::Other) => Outcome::silence(SnmpRefused::Version),
            Ok(Message::V2c { community, pdu }) => self.open(community, &pdu, &asked),
            Ok(Message::V3(message)) => self.secured(datagram, &message, asked),
        };
        if outcome
            .reply
            .as_ref()
            .is_some_and(|reply| reply.len() > limit)
        {
            outcome = Outcome::silence(SnmpRefused::TooBig);
        }
        outcome
    }

    /// Version 2c.
    fn open(&self, community: &[u8], pdu: &Pdu<'_>, asked: &Asked<'_>) -> Outcome {
        let mut known = self.access.communities.iter();
        if !known.any(|known| known.as_bytes() == community) {
            return Outcome::silence(SnmpRefused::Community);
        }
        if !pdu.is_request() {
            return Outcome::silence(SnmpRefused::NotARequest);
        }
        let room = asked.limit.saturating_sub(AROUND_2C + community.len());
        let answer = walk::respond(&self.view(asked), pdu, room);
        Outcome {
            refused: refusal_of(&answer),
            reply: Some(message::v2c(community, &answer)),
        }
    }

    /// Version 3.
    fn secured(&mut self, datagram: &[u8], message: &V3<'_>, mut asked: Asked<'_>) -> Outcome {
        if message.model != message::USM {
            return Outcome::silence(SnmpRefused::Model);
        }
        if message.flags & (flag::AUTH | flag::PRIV) == flag::PRIV {
            return Outcome::silence(SnmpRefused::Flags);
        }
        let Ok(security) = Security::read(message.security) else {
            return Outcome::silence(SnmpRefused::Malformed);
        };
        let (keys, data) = match self.admit(datagram, message, &security, asked.clock) {
            Ok(admitted) => admitted,
            Err((report, keys)) => {
                let request = request_of(message);
                return self.report(report, request, keys, (message, &security), asked);
            }
        };
        let Ok(scoped) = Scoped::read(Reader::new(&data)) else {
            // Only who has the key can make sense, and not everybody has it.
            let report = Report::Decryption;
            return match message.data {
                Data::Plain(_) => Outcome::silence(SnmpRefused::Malformed),
                Data::Encrypted(_) => {
                    self.report(report, 0, Some(keys), (message, &security), asked)
                }
            };
        };
        if !scoped.pdu.is_request() {
            return Outcome::silence(SnmpRefused::NotARequest);
        }
        let report = if scoped.engine != self.engine {
            Some(Report::Handler)
        } else if !scoped.context.is_empty() {
            Some(Report::Context)
        } else {
            None
        };
        if let Some(report) = report {
            let request = scoped.pdu.request;
            return self.report(report, request, Some(keys), (message, &security), asked);
        }
        let theirs = usize::try_from(message.max_size).unwrap_or(0);
        let room = asked.limit.min(theirs).saturating_sub(AROUND_3);
        let level = message.flags & (flag::AUTH | flag::PRIV);
        let (answer, refused) = if level == self.level_of(security.user) {
            let answer = walk::respond(&self.view(&asked), &scoped.pdu, room);
            let refused = refusal_of(&answer);
            (answer, refused)
        } else {
            let answer = walk::refuse(&scoped.pdu, status::AUTHORIZATION_ERROR, 0, room);
            (answer, Some(SnmpRefused::Access))
        };
        let reply = self.seal(&answer, level, &keys, (message, &security), &mut asked);
        Outcome {
            reply: Some(reply),
            refused,
        }
    }

    /// RFC 3414 section 3.2: the user's keys and what is inside, or what to
    /// report and with which keys.
    fn admit(
        &mut self,
        datagram: &[u8],
        message: &V3<'_>,
        security: &Security<'_>,
        clock: &Clock,
    ) -> Result<(Keys, Vec<u8>), (Report, Option<Keys>)> {
        if security.engine != self.engine {
            return Err((Report::Engine, None));
        }
        let mut users = self.access.users.iter();
        let named = |user: &User| user.name.as_bytes() == security.user;
        let Some(at) = users.position(named) else {
            return Err((Report::User, None));
        };
        let level = message.flags & (flag::AUTH | flag::PRIV);
        let user = self.access.users.get(at).ok_or((Report::User, None))?;
        if level & !user.level() != 0 {
            return Err((Report::Level, None));
        }
        let known = self.keys.get_mut(at).ok_or((Report::User, None))?;
        if level == 0 {
            let data = security.open(message, &Keys::default());
            let data = data.ok_or((Report::Decryption, None))?;
            return Ok((Keys::default(), data));
        }
        let keys = known.get_or_insert_with(|| user.keys(&self.engine)).clone();
        if !security.is_genuine(datagram, &keys) {
            return Err((Report::Digest, None));
        }
        if !security.is_timely(clock.boots, clock.seconds()) {
            return Err((Report::Window, Some(keys)));
        }
        match security.open(message, &keys) {
            Some(data) => Ok((keys, data)),
            None => Err((Report::Decryption, Some(keys))),
        }
    }

    /// Tells what is wrong with a message, signed where there are keys, but not
    /// encrypted: the counters are no secret.
    fn report(
        &mut self,
        report: Report,
        request: i32,
        keys: Option<Keys>,
        of: (&V3<'_>, &Security<'_>),
        mut asked: Asked<'_>,
    ) -> Outcome {
        let Some(counter) = self.reports.get_mut(report as usize) else {
            return Outcome::silence(report.refused());
        };
        *counter = counter.wrapping_add(1);
        let mut bindings = Vec::new();
        put_binding(&mut bindings, &report.name(), &Value::Counter32(*counter));
        if of.0.flags & flag::REPORTABLE == 0 {
            return Outcome::silence(report.refused());
        }
        let answer = Answer {
            kind: kind::REPORT,
            request,
            status: status::NO_ERROR,
            index: 0,
            bindings,
        };
        let level = match &keys {
            Some(Keys { auth: Some(_), .. }) => flag::AUTH,
            _ => 0,
        };
        let keys = keys.unwrap_or_default();
        Outcome {
            reply: Some(self.seal(&answer, level, &keys, of, &mut asked)),
            refused: Some(report.refused()),
        }
    }

    fn seal(
        &self,
        answer: &Answer,
        level: u8,
        keys: &Keys,
        (message, security): (&V3<'_>, &Security<'_>),
        asked: &mut Asked<'_>,
    ) -> Vec<u8> {
        if level & flag::PRIV != 0 {
            asked.clock.salt = asked.clock.salt.wrapping_add(1);
        }
        let envelope = Envelope {
            id: message.id,
            max_size: max_size(asked.limit),
            flags: level,
            engine: &self.engine,
            boots: asked.clock.boots,
            time: asked.clock.seconds(),
            user: security.user,
            keys,
            salt: asked.clock.salt,
        };
        envelope.seal(&message::scoped(&self.engine, answer))
    }

    fn level_of(&self, user: &[u8]) -> u8 {
        let mut users = self.access.users.iter();
        let found = users.find(|known| known.name.as_bytes() == user);
        found.map_or(0, User::level)
    }

    fn view<'a>(&'a self, asked: &'a Asked<'_>) -> View<'a> {
        View {
            source: asked.source,
            engine: Engine {
                id: &self.engine,
                boots: asked.clock.boots,
                ticks: asked.clock.ticks,
                max_size: max_size(asked.limit),
                refusals: &self.reports,
            },
        }
    }
}

fn max_size(limit: usize) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX)
}

/// Where a request can be read, the report bears its number.
fn request_of(message: &V3<'_>) -> i32 {
    match message.data {
        Data::Plain(inside) => Scoped::read(inside).map_or(0, |scoped| scoped.pdu.request),
        Data::Encrypted(_) => 0,
    }
}

fn refusal_of(answer: &Answer) -> Option<SnmpRefused> {
    match answer.status {
        status::TOO_BIG => Some(SnmpRefused::TooBig),
        status::NO_ACCESS => Some(SnmpRefused::ReadOnly),
        _ => None,
    }
}
