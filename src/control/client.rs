//! A blocking client of the control socket, for the command line and tests.
//!
//! Events may arrive between a request and its reply; they are kept in order
//! and handed out by [`Client::next_event`].

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::value::RawValue;

use super::codec::{Fill, LineReader};
use super::proto::{self, Error, Event, Hello, ReplyLine, Request, RequestLine, Welcome};

/// Longest reply accepted: a full page of mappings is about 1 MiB.
const MAX_REPLY: usize = 64 << 20;

/// How long a call waits for its reply unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// Events kept while nobody asks for them.
const KEPT_EVENTS: usize = 65_536;

/// Why a call failed. The text is fit for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no appliance listens on {}; start `weft run`, or name its socket with --socket", path.display())]
    NobodyListens { path: PathBuf },
    #[error("permission denied on {}; become root or join the group of the socket", path.display())]
    Permission { path: PathBuf },
    #[error("the appliance speaks another version of the protocol: {0}")]
    Version(Error),
    /// The appliance answered with an error.
    #[error("{0}")]
    Refused(Error),
    #[error("no answer to {method} within {} s", after.as_secs())]
    Timeout { method: String, after: Duration },
    #[error("the appliance closed the connection{}", reason(.0))]
    Closed(Option<Error>),
    #[error("the appliance sent what is not this protocol: {0}")]
    Nonsense(String),
    #[error("control socket: {0}")]
    Io(#[from] io::Error),
}

fn reason(error: &Option<Error>) -> String {
    error
        .as_ref()
        .map_or_else(String::new, |e| format!(": {e}"))
}

/// A connection that has said hello.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    reader: LineReader,
    next_id: u64,
    events: VecDeque<Event>,
    /// Events thrown away here because nobody took them.
    lost: u64,
    patience: Duration,
    welcome: Welcome,
}

impl Client {
    /// Connects and says hello.
    pub fn connect(path: &Path, hello: &Hello) -> Result<Client, ClientError> {
        let stream = UnixStream::connect(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NobodyListens {
                    path: path.to_owned(),
                }
            }
            io::ErrorKind::PermissionDenied => ClientError::Permission {
                path: path.to_owned(),
            },
            _ => ClientError::Io(error),
        })?;
        Client::over(stream, hello)
    }

    /// Says hello on a stream that is already connected.
    pub fn over(stream: UnixStream, hello: &Hello) -> Result<Client, ClientError> {
        let mut client = Client {
            stream,
            reader: LineReader::new(MAX_REPLY),
            next_id: 0,
            events: VecDeque::new(),
            lost: 0,
            patience: PATIENCE,
            welcome: Welcome {
                version: 0,
                server: String::new(),
                access: proto::Access::ReadOnly,
                origin: hello.origin,
                capabilities: Vec::new(),
                limits: proto::Limits {
                    line: 0,
                    batch: 0,
                    page: 0,
                },
            },
        };
        client.welcome = client.call(hello).map_err(|error| match error {
            ClientError::Refused(e) if e.code == proto::ErrorCode::Version => {
                ClientError::Version(e)
            }
            other => other,
        })?;
        Ok(client)
    }

    /// What the appliance answered to hello.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// How long calls wait for their reply; 30 s unless set.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Asks and waits for the reply.
    pub fn call<R: Request>(&mut self, request: &R) -> Result<R::Reply, ClientError> {
        let reply = self.exchange(R::METHOD.name(), request)?;
        serde_json::from_str(reply.get())
            .map_err(|e| ClientError::Nonsense(format!("reply of {}: {e}", R::METHOD)))
    }

    /// Asks by name, for `weft ctl`.
    pub fn call_raw(
        &mut self,
        method: &str,
        params: &serde_json::Value,
    ) -> Result<serde_json::Value, ClientError> {
        let reply = self.exchange(method, params)?;
        serde_json::from_str(reply.get()).map_err(|e| ClientError::Nonsense(e.to_string()))
    }

    /// The next event, waiting at most that long (`None`: for ever).
    /// `Ok(None)` is a wait that ended without one.
    pub fn next_event(&mut self, wait: Option<Duration>) -> Result<Option<Event>, ClientError> {
        let deadline = wait.map(|wait| Instant::now() + wait);
        loop {
            if self.lost > 0 && self.events.is_empty() {
                let lost = std::mem::take(&mut self.lost);
                return Ok(Some(Event::Lost { lost }));
            }
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if !self.take_line(None, deadline)?.arrived() {
                return Ok(None);
            }
        }
    }

    /// Events for ever; ends with the connection.
    pub fn events(&mut self) -> impl Iterator<Item = Result<Event, ClientError>> + '_ {
        std::iter::from_fn(move || self.next_event(None).transpose())
    }

    fn exchange<P: Serialize + ?Sized>(
        &mut self,
        method: &str,
        params: &P,
    ) -> Result<Box<RawValue>, ClientError> {
        self.next_id += 1;
        let id = self.next_id;
        let mut line = serde_json::to_vec(&RequestLine {
            jsonrpc: "2.0",
            id,
            method,
            params,
        })
        .map_err(|e| ClientError::Nonsense(e.to_string()))?;
        line.push(b'\n');
        self.send(&line)?;
        let deadline = Instant::now() + self.patience;
        loop {
            match self.take_line(Some(id), Some(deadline))? {
                Taken::Reply(reply) => return Ok(reply),
                Taken::Other => {}
                Taken::Nothing => {
                    return Err(ClientError::Timeout {
                        method: method.to_owned(),
                        after: self.patience,
                    });
                }
            }
        }
    }

    /// A server that refuses us may close before it has read everything; its
    /// reason is then still there to read.
    fn send(&mut self, line: &[u8]) -> Result<(), ClientError> {
        match self.stream.write_all(line) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                match self.take_line(None, Some(Instant::now() + Duration::from_secs(1))) {
                    Err(closed @ ClientError::Closed(_)) => Err(closed),
                    _ => Err(ClientError::Closed(None)),
                }
            }
            other => Ok(other?),
        }
    }

    /// Takes one line off the stream: the reply to `id`, or something else
    /// that is put where it belongs.
    fn take_line(
        &mut self,
        id: Option<u64>,
        deadline: Option<Instant>,
    ) -> Result<Taken, ClientError> {
        let line = loop {
            match self.reader.next_line() {
                Ok(Some(line)) => break line,
                Ok(None) => {}
                Err(error) => return Err(ClientError::Nonsense(error.to_string())),
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Taken::Nothing);
            }
            self.stream.set_read_timeout(left)?;
            match self.reader.fill(&mut self.stream) {
                Ok(Fill::Bytes(_)) => {}
                Ok(Fill::Empty) => return Ok(Taken::Nothing),
                Ok(Fill::End) => return Err(ClientError::Closed(None)),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(ClientError::Closed(None));
                }
                Err(error) => return Err(error.into()),
            }
        };
        let reply: ReplyLine<'_> = serde_json::from_slice(self.reader.bytes(line))
            .map_err(|e| ClientError::Nonsense(e.to_string()))?;
        match (reply.id, reply.error, reply.result) {
            (Some(of), Some(error), _) if Some(of) == id => Err(ClientError::Refused(error)),
            (Some(of), None, Some(result)) if Some(of) == id => Ok(Taken::Reply(result.to_owned())),
            // An error without an id is the server's last word.
            (None, Some(error), _) => Err(ClientError::Closed(Some(error))),
            _ => {
                if reply.method.as_deref() == Some(proto::EVENT)
                    && let Some(params) = reply.params
                {
                    let event = serde_json::from_str(params.get())
                        .map_err(|e| ClientError::Nonsense(format!("event: {e}")))?;
                    match self.events.len() < KEPT_EVENTS {
                        true => self.events.push_back(event),
                        false => self.lost += 1,
                    }
                }
                Ok(Taken::Other)
            }
        }
    }
}

enum Taken {
    Reply(Box<RawValue>),
    Other,
    Nothing,
}

impl Taken {
    fn arrived(&self) -> bool {
        !matches!(self, Taken::Nothing)
    }
}
