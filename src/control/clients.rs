//! The connections: who is there, what they said, what waits for them.

use std::time::{Duration, Instant};

use mio::net::UnixStream;
use rustix::net::sockopt::socket_peercred;

use super::codec::{LineReader, OutQueue};
use super::proto::{Access, Hello, Subscribed};

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: UnixStream,
    pub(super) reader: LineReader,
    pub(super) out: OutQueue,
    pub(super) queue_limit: usize,
    /// Most it may be granted.
    pub(super) may: Access,
    /// What was granted.
    pub(super) session: Option<Hello>,
    /// Subscriptions, a bit for each topic.
    pub(super) topics: u16,
    /// It answers misses, and was allowed to say so.
    pub(super) answers: bool,
    /// Events it lost and was not told of yet.
    pub(super) lost: u64,
    pub(super) traces: Vec<u64>,
    /// Has an open sync of its origin.
    pub(super) syncing: bool,
    /// Its request is at work elsewhere: nothing more is read before the answer.
    pub(super) waiting: bool,
    /// The kernel may have bytes for us.
    pub(super) readable: bool,
    /// Whole lines may be in the reader.
    pub(super) lines: bool,
    /// It sends no more.
    pub(super) ended: bool,
    /// It is over as soon as the queue is empty.
    pub(super) closing: bool,
    /// Cut off at once.
    pub(super) dead: bool,
    /// When it last took a byte while some waited.
    progress: Instant,
}

/// What is needed to admit a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admission {
    pub(super) line: usize,
    pub(super) queue: usize,
    /// For peers that are neither root nor our own user.
    pub(super) others: Access,
}

impl Client {
    /// Root and our own user may do everything. Whoever else could open the
    /// socket is of its group.
    pub(super) fn new(stream: UnixStream, admission: Admission) -> std::io::Result<Client> {
        let peer = socket_peercred(&stream)?;
        let own = peer.uid.is_root() || peer.uid == rustix::process::geteuid();
        Ok(Client {
            stream,
            reader: LineReader::new(admission.line),
            out: OutQueue::new(admission.queue),
            queue_limit: admission.queue,
            may: if own {
                Access::ReadWrite
            } else {
                admission.others
            },
            session: None,
            topics: 0,
            answers: false,
            lost: 0,
            traces: Vec::new(),
            syncing: false,
            waiting: false,
            readable: true,
            lines: false,
            ended: false,
            closing: false,
            dead: false,
            progress: Instant::now(),
        })
    }

    /// What it is subscribed to.
    pub(super) fn subscribed(&self) -> Subscribed {
        Subscribed {
            topics: super::events::topics(self.topics),
            answers: self.answers,
        }
    }

    /// Nothing more is read from a client that does not take its replies.
    pub(super) fn may_read(&self) -> bool {
        !self.closing && !self.dead && !self.waiting && self.out.len() <= self.queue_limit / 2
    }

    pub(super) fn has_work(&self) -> bool {
        self.may_read() && (self.lines || self.readable && !self.ended)
    }

    /// Writes what the peer takes. False: it took nothing for too long.
    pub(super) fn flush(&mut self, stall: Duration, now: Instant) -> bool {
        self.tell_lost();
        if self.out.is_empty() {
            self.progress = now;
            return true;
        }
        match self.out.flush(&mut self.stream) {
            Ok(0) => now.duration_since(self.progress) < stall,
            Ok(_) => {
                self.progress = now;
                true
            }
            Err(_) => {
                self.dead = true;
                true
            }
        }
    }

    /// Is there a reason to drop it?
    pub(super) fn is_over(&self) -> bool {
        let served = self.out.is_empty() && !self.lines && !self.waiting;
        self.dead || self.closing && self.out.is_empty() || self.ended && served
    }
}

/// All connections, by token.
#[derive(Debug, Default)]
pub(super) struct Clients {
    places: Vec<Option<Box<Client>>>,
    /// Where the last round ended.
    turn: usize,
}

impl Clients {
    pub(super) fn len(&self) -> usize {
        self.iter().count()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Client)> {
        let places = self.places.iter().enumerate();
        places.filter_map(|(i, place)| Some((i, place.as_deref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Client)> {
        let places = self.places.iter_mut().enumerate();
        places.filter_map(|(i, place)| Some((i, place.as_deref_mut()?)))
    }

    pub(super) fn get_mut(&mut self, token: usize) -> Option<&mut Client> {
        self.places.get_mut(token)?.as_deref_mut()
    }

    /// The token the next [`Clients::insert`] gives.
    pub(super) fn free_token(&self) -> usize {
        let free = self.places.iter().position(Option::is_none);
        free.unwrap_or(self.places.len())
    }

    pub(super) fn insert(&mut self, token: usize, client: Client) {
        if self.places.len() <= token {
            self.places.resize_with(token + 1, || None);
        }
        self.places[token] = Some(Box::new(client));
    }

    pub(super) fn remove(&mut self, token: usize) -> Option<Box<Client>> {
        self.places.get_mut(token)?.take()
    }

    /// The next client that has work, in turn.
    pub(super) fn next_turn(&mut self) -> Option<usize> {
        let all = self.places.len();
        let has_work = |i: &usize| self.places[*i].as_ref().is_some_and(|c| c.has_work());
        let next = (1..=all).map(|n| (self.turn + n) % all).find(has_work)?;
        self.turn = next;
        Some(next)
    }

    pub(super) fn any_work(&self) -> bool {
        self.iter().any(|(_, client)| client.has_work())
    }
}
