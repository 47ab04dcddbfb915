//! OpenMetrics over HTTP, for scrapers: every counter with its help.
//!
//! Served by the control thread between its other work, one request per
//! connection. A client that is slow to ask or to read is cut off; nobody
//! waits for it.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::control::plant::Plant as _;
use crate::control::proto::{Counter, StatsReport};

use super::plant::Plant;

/// Connections at a time, and how long each may take.
const CLIENTS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest request head.
const HEAD: usize = 4096;
const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The listener and who is connected.
#[derive(Debug)]
pub struct Metrics {
    listener: TcpListener,
    clients: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    stream: TcpStream,
    since: Instant,
    asked: Vec<u8>,
    reply: Option<(Vec<u8>, usize)>,
}

impl Metrics {
    pub fn listen(address: SocketAddr) -> io::Result<Metrics> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Metrics {
            listener,
            clients: Vec::new(),
        })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Goes on with whoever is connected, without waiting.
    pub fn serve(&mut self, plant: &Plant) {
        self.serve_with(|| render(&plant.stats()));
    }

    fn serve_with(&mut self, body: impl Fn() -> String) {
        while self.clients.len() < CLIENTS {
            match self.listener.accept() {
                Ok((stream, _)) if stream.set_nonblocking(true).is_ok() => {
                    let since = Instant::now();
                    self.clients.push(Client {
                        stream,
                        since,
                        asked: Vec::new(),
                        reply: None,
                    });
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        self.clients.retain_mut(|client| client.go_on(&body));
    }
}

impl Client {
    /// False when it is over.
    fn go_on(&mut self, body: &impl Fn() -> String) -> bool {
        if self.since.elapsed() > PATIENCE {
            return false;
        }
        if self.reply.is_none() {
            let mut bytes = [0; 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => return false,
                Ok(n) => self.asked.extend_from_slice(&bytes[..n]),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
            if self.asked.len() > HEAD {
                return false;
            }
            if !self.asked.windows(4).any(|end| end == b"\r\n\r\n") {
                return true;
            }
            self.reply = Some((answer(&self.asked, body), 0));
        }
        self.write()
    }

    fn write(&mut self) -> bool {
        let Some((reply, sent)) = &mut self.reply else {
            return true;
        };
        while *sent < reply.len() {
            match self.stream.write(&reply[*sent..]) {
                Ok(0) => return false,
                Ok(n) => *sent += n,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        false
    }
}

fn answer(asked: &[u8], body: &impl Fn() -> String) -> Vec<u8> {
    let line = asked.split(|byte| *byte == b'\r').next().unwrap_or(&[]);
    let mut words = line.split(|byte| *byte == b' ');
    let (status, kind, body) = match (words.next(), words.next()) {
        (Some(b"GET"), Some(b"/metrics")) => ("200 OK", CONTENT, body()),
        (Some(b"GET"), _) => (
            "404 Not Found",
            "text/plain",
            "metrics are at /metrics\n".to_owned(),
        ),
        _ => (
            "405 Method Not Allowed",
            "text/plain",
            "only GET is answered\n".to_owned(),
        ),
    };
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The counters as OpenMetrics text.
pub fn render(report: &StatsReport) -> String {
    let mut out = String::new();
    for (name, counter) in &report.counters {
        // Writing to a string does not fail.
        let _ = write_family(&mut out, &metric_name(name), counter);
    }
    out.push_str("# EOF\n");
    out
}

fn write_family(out: &mut String, name: &str, counter: &Counter) -> std::fmt::Result {
    let (kind, suffix) = if counter.gauge {
        ("gauge", "")
    } else {
        ("counter", "_total")
    };
    writeln!(out, "# TYPE {name} {kind}")?;
    writeln!(
        out,
        "# HELP {name} {}",
        counter.help.replace('\\', "\\\\").replace('\n', " ")
    )?;
    if counter.workers.is_empty() {
        return writeln!(out, "{name}{suffix} {}", counter.total);
    }
    for (worker, value) in counter.workers.iter().enumerate() {
        writeln!(out, "{name}{suffix}{{worker=\"{worker}\"}} {value}")?;
    }
    Ok(())
}

/// `weft_` and the counter's name, with what metrics may not contain replaced.
fn metric_name(name: &str) -> String {
    let fits = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '_'
        }
    };
    format!("weft_{}", name.chars().map(fits).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(request: &str) -> String {
        let mut metrics = Metrics::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut stream = TcpStream::connect(metrics.address().unwrap()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let mut reply = Vec::new();
        stream.set_nonblocking(true).unwrap();
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            metrics.serve_with(|| "weft_rx_total 1\n# EOF\n".to_owned());
            match stream.read_to_end(&mut reply) {
                Ok(_) => break,
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        String::from_utf8(reply).unwrap()
    }

    #[test]
    fn scrapers_are_answered_and_others_are_told() {
        let reply = ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
        assert!(reply.ends_with("# EOF\n"));
        assert!(ask("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(ask("POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
        assert_eq!(
            ask(&format!("GET /{} HTTP/1.1\r\n", "x".repeat(5000))),
            "",
            "too long a head"
        );
    }

    #[test]
    fn families_have_type_and_help() {
        let mut report = StatsReport::default();
        let rx = Counter {
            help: "Packets.".into(),
            total: 3,
            workers: vec![1, 2],
            gauge: false,
        };
        report.counters.insert("rx".into(), rx);
        let fill = Counter {
            help: "Fill.".into(),
            total: 7,
            workers: vec![],
            gauge: true,
        };
        report.counters.insert("port_a-1_fill".into(), fill);
        assert_eq!(
            render(&report),
            "# TYPE weft_port_a_1_fill gauge\n# HELP weft_port_a_1_fill Fill.\nweft_port_a_1_fill 7\n\
             # TYPE weft_rx counter\n# HELP weft_rx Packets.\n\
             weft_rx_total{worker=\"0\"} 1\nweft_rx_total{worker=\"1\"} 2\n# EOF\n"
        );
    }
}
