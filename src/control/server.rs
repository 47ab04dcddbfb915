//! The socket's side of the control thread.
//!
//! The thread has other work (neighbour discovery, misses), so
//! [`Server::poll`] comes back after a slice of about a millisecond, however
//! much is waiting, and goes on where it left off; connections take turns by
//! the line. The unit of work is a line: a batch of 1,000 mappings is under a
//! millisecond, one of the largest allowed a few. Work that grows with the
//! whole store (the sweep of a sync, expiry) goes in steps.
//!
//! Nothing here waits for a client. One that does not read its replies is no
//! longer read from; if it then takes nothing for some seconds, or its queue
//! is full, it is cut off and counted.

mod apply;
mod bind;
mod dispatch;
mod ports;
mod read;
mod write;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mio::net::UnixListener;
use mio::{Interest, Poll, Token};
use serde_json::value::RawValue;

use super::clients::{Admission, Client, Clients};
use super::codec::{self, Fill};
use super::journal::Journal;
use super::plant::Plant;
use super::proto::{Access, Error, ErrorCode, Event, TraceRecord};
use super::store::Store;
pub use bind::BindError;

const LISTENER: Token = Token(usize::MAX);

/// Settings of the socket.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub path: PathBuf,
    /// Permissions of the socket.
    pub mode: u32,
    /// Group of the socket; that of the process when absent.
    pub group: Option<u32>,
    /// Most that members of the group are granted.
    pub group_access: Access,
    pub clients: usize,
    /// Longest line in bytes.
    pub line: usize,
    /// Most objects in a request.
    pub batch: usize,
    /// Most items on a page.
    pub page: usize,
    /// Bytes that may wait for one client.
    pub queue: usize,
    /// How long a client may take nothing of what waits for it.
    pub stall: Duration,
    /// How long one [`Server::poll`] works.
    pub slice: Duration,
}

impl ServerConfig {
    pub fn new(path: impl Into<PathBuf>) -> ServerConfig {
        ServerConfig {
            path: path.into(),
            mode: 0o660,
            group: None,
            group_access: Access::ReadWrite,
            clients: 128,
            line: codec::MAX_LINE,
            batch: 10_000,
            page: 1000,
            queue: 8 << 20,
            stall: Duration::from_secs(10),
            slice: Duration::from_millis(1),
        }
    }
}

/// What the socket counts; shown by `status.get`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub accepted: u64,
    /// Too many clients.
    pub refused: u64,
    pub requests: u64,
    pub errors: u64,
    /// Clients that did not read.
    pub cut_slow: u64,
    /// Clients that sent a line beyond the limit.
    pub cut_line: u64,
    /// Events that had no room in a queue.
    pub events_lost: u64,
    /// Mappings whose time was over.
    pub expired: u64,
    /// Changes refused because the journal could not be written.
    pub journal_errors: u64,
}

impl Counters {
    fn report(&self) -> BTreeMap<String, u64> {
        let all = [
            ("accepted", self.accepted),
            ("refused", self.refused),
            ("requests", self.requests),
            ("errors", self.errors),
            ("cut_slow", self.cut_slow),
            ("cut_line", self.cut_line),
            ("events_lost", self.events_lost),
            ("expired", self.expired),
            ("journal_errors", self.journal_errors),
        ];
        all.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

/// The control socket.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    poll: Poll,
    ready: mio::Events,
    listener: UnixListener,
    /// More may wait to be accepted.
    accepting: bool,
    clients: Clients,
    journal: Option<Journal>,
    /// Changes whose journal lines are not on disk yet.
    pending: Vec<write::Pending>,
    /// A sync at work; nothing else is done before it ends.
    job: Option<write::Job>,
    /// A file that is being read, to be applied then.
    reading: Option<apply::Reading>,
    counters: Counters,
    /// Removed last, when nobody can connect any more.
    _place: Option<bind::Place>,
}

/// Who asked, to be answered now or later.
#[derive(Debug)]
pub(crate) struct Asker {
    token: usize,
    /// None: a notification, nobody waits for an answer.
    id: Option<Box<RawValue>>,
}

impl Server {
    /// Listens on the configured path. Load the journal into the store first.
    pub fn bind(config: ServerConfig, journal: Option<Journal>) -> Result<Server, BindError> {
        let (listener, place) = bind::bind(&config.path, config.mode, config.group)?;
        let path = config.path.clone();
        Server::over(config, listener, journal, Some(place)).map_err(|error| BindError::Io {
            what: "cannot set up",
            path,
            error,
        })
    }

    /// From now on operators' changes are kept there.
    pub fn keep(&mut self, journal: Journal) {
        self.journal = Some(journal);
    }

    /// Serves on a socket that is listening already, handed over by a process
    /// that keeps the path and its lock.
    pub fn from_listener(
        config: ServerConfig,
        listener: StdListener,
        journal: Option<Journal>,
    ) -> io::Result<Server> {
        listener.set_nonblocking(true)?;
        Server::over(config, listener, journal, None)
    }

    fn over(
        config: ServerConfig,
        listener: StdListener,
        journal: Option<Journal>,
        place: Option<bind::Place>,
    ) -> io::Result<Server> {
        let poll = Poll::new()?;
        let mut listener = UnixListener::from_std(listener);
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Server {
            config,
            poll,
            ready: mio::Events::with_capacity(256),
            listener,
            accepting: true,
            clients: Clients::default(),
            journal,
            pending: Vec::new(),
            job: None,
            reading: None,
            counters: Counters::default(),
            _place: place,
        })
    }

    /// Serves for a slice. Waits up to `timeout` for something to do, unless
    /// there is. `now` is the second on the clock of the plant's expiries.
    /// True: there is more to do at once.
    pub fn poll(
        &mut self,
        timeout: Duration,
        store: &mut Store,
        plant: &mut impl Plant,
        now: u32,
    ) -> io::Result<bool> {
        let wait = if self.has_work() {
            Duration::ZERO
        } else {
            timeout
        };
        match self.poll.poll(&mut self.ready, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => other?,
        }
        for event in &self.ready {
            match event.token() {
                LISTENER => self.accepting = true,
                Token(token) => {
                    if let Some(client) = self.clients.get_mut(token) {
                        client.readable |= event.is_readable() || event.is_read_closed();
                    }
                }
            }
        }
        let started = Instant::now();
        self.accept();
        self.apply_read(store, plant, now);
        while started.elapsed() < self.config.slice {
            if self.job.is_some() {
                self.work(store, plant, now);
            } else if let Some(token) = self.clients.next_turn() {
                self.serve(token, store, plant, now);
            } else {
                break;
            }
        }
        self.settle(store, plant, now);
        self.send_out(store, plant);
        self.counters.expired += store.expire(plant, now) as u64;
        Ok(self.has_work())
    }

    fn has_work(&self) -> bool {
        self.accepting || self.job.is_some() || self.clients.any_work()
    }

    /// Whether anybody has said to answer misses. Who only looks on does not
    /// count: packets would wait for nobody.
    pub fn has_answerer(&self) -> bool {
        self.clients.iter().any(|(_, client)| client.answers)
    }

    /// Sends an event to all who subscribed to its topic.
    pub fn publish(&mut self, event: &Event) {
        self.counters.events_lost += self.clients.publish(event);
    }

    /// Sends a record of a trace to the client that started it.
    pub fn trace_record(&mut self, trace: u64, record: TraceRecord) {
        let owner = self.clients.iter().find(|(_, c)| c.traces.contains(&trace));
        if let Some((token, _)) = owner {
            let event = Event::Trace { trace, record };
            self.counters.events_lost += self.clients.tell(token, &event);
        }
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn accept(&mut self) {
        // A few at a time: connecting must not starve who is connected.
        for _ in 0..16 {
            if !self.accepting {
                return;
            }
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.accepting = false,
                Err(error) => {
                    // Out of descriptors, mostly: the next event tries again.
                    log::warn!("control socket: accept: {error}");
                    self.accepting = false;
                }
            }
        }
    }

    fn admit(&mut self, stream: mio::net::UnixStream) {
        let admission = Admission {
            line: self.config.line,
            queue: self.config.queue,
            others: self.config.group_access,
        };
        let mut client = match Client::new(stream, admission) {
            Ok(client) => client,
            Err(error) => return log::warn!("control socket: peer credentials: {error}"),
        };
        if self.clients.len() >= self.config.clients {
            self.counters.refused += 1;
            let error = Error::new(
                ErrorCode::Limit,
                format!("{} clients are connected already", self.config.clients),
            );
            let _ = client.out.push(&dispatch::failure(None, &error));
            drop(client.out.flush(&mut client.stream));
            return;
        }
        let token = self.clients.free_token();
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self
            .poll
            .registry()
            .register(&mut client.stream, Token(token), interest)
        {
            Ok(()) => {
                self.counters.accepted += 1;
                self.clients.insert(token, client);
            }
            Err(error) => log::warn!("control socket: register: {error}"),
        }
    }

    /// One turn of a client: a line, or what the kernel has for it.
    fn serve(&mut self, token: usize, store: &mut Store, plant: &mut impl Plant, now: u32) {
        let Some(client) = self.clients.get_mut(token) else {
            return;
        };
        match client.reader.next_line() {
            Ok(Some(line)) => {
                // The reader leaves its client while its bytes are in use.
                let spare = codec::LineReader::new(self.config.line);
                let reader = std::mem::replace(&mut client.reader, spare);
                self.request(token, reader.bytes(line), store, plant, now);
                if let Some(client) = self.clients.get_mut(token) {
                    client.reader = reader;
                    client.lines = client.reader.has_line();
                }
            }
            Ok(None) => {
                client.lines = false;
                if !client.readable || client.ended {
                    return;
                }
                match client.reader.fill(&mut client.stream) {
                    Ok(Fill::Bytes(_)) => client.lines = true,
                    Ok(Fill::Empty) => client.readable = false,
                    Ok(Fill::End) => client.ended = true,
                    Err(_) => client.dead = true,
                }
            }
            Err(too_long) => {
                let error = Error::new(ErrorCode::Limit, too_long.to_string())
                    .hint("send several requests of fewer objects");
                client.closing = true;
                self.counters.cut_line += 1;
                self.answer(&Asker { token, id: None }, &dispatch::failure(None, &error));
            }
        }
    }

    /// Queues an answer; a client with no room for it is cut off.
    fn answer(&mut self, asker: &Asker, line: &[u8]) {
        if let Some(client) = self.clients.get_mut(asker.token)
            && client.out.push(line).is_err()
        {
            client.dead = true;
            self.counters.cut_slow += 1;
        }
    }

    fn send_out(&mut self, store: &mut Store, plant: &mut impl Plant) {
        let now = Instant::now();
        let mut over = Vec::new();
        for (token, client) in self.clients.iter_mut() {
            if !client.flush(self.config.stall, now) {
                client.dead = true;
                self.counters.cut_slow += 1;
            }
            if client.is_over() {
                over.push(token);
            }
        }
        for token in over {
            self.drop_client(token, store, plant);
        }
    }

    /// Whatever a client had begun ends with it.
    fn drop_client(&mut self, token: usize, store: &mut Store, plant: &mut impl Plant) {
        // The token may be given to another: nobody else gets its answers.
        if let Some(job) = &mut self.job
            && job.asker.token == token
        {
            job.asker.token = usize::MAX;
        }
        if let Some(reading) = &mut self.reading {
            reading.forget(token);
        }
        let Some(mut client) = self.clients.remove(token) else {
            return;
        };
        drop(self.poll.registry().deregister(&mut client.stream));
        for trace in &client.traces {
            drop(plant.trace_stop(*trace));
        }
        if let (true, Some(session)) = (client.syncing, &client.session) {
            drop(store.sync_abort(session.origin));
        }
    }
}
