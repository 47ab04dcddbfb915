//! An appliance that says what a test tells it to, wrong things included, and
//! writes down what it was asked.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What the appliance does about a request.
pub(crate) enum Say {
    Result(Value),
    Error(Value),
    Event(Value),
    /// Bytes as they are, no line end added.
    Bytes(&'static str),
    Close,
}

/// A socket in a directory of its own; both go away with it.
pub(crate) struct Appliance {
    pub(crate) socket: PathBuf,
    pub(crate) requests: Arc<Mutex<Vec<(String, Value)>>>,
}

pub(crate) fn directory() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("weft-cli-{}-{n}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

impl Appliance {
    pub(crate) fn new(
        script: impl Fn(&str, &Value) -> Vec<Say> + Send + Sync + 'static,
    ) -> Appliance {
        let socket = directory().join("weft.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        let script = Arc::new(script);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, script) = (log.clone(), script.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &log, &*script));
            }
        });
        Appliance { socket, requests }
    }

    /// Answers one method always the same.
    pub(crate) fn answering(method: &'static str, reply: Value) -> Appliance {
        Appliance::new(move |asked, _| {
            assert_eq!(asked, method);
            vec![Say::Result(reply.clone())]
        })
    }

    pub(crate) fn weft(&self, args: &str) -> Ran {
        self.weft_with(args, "")
    }

    /// The same with something on standard input. Words of `args` are split
    /// at spaces; `'` keeps one together.
    pub(crate) fn weft_with(&self, args: &str, input: &str) -> Ran {
        run(&mut command(&self.socket, args), input)
    }

    /// What was asked since the last time, without `hello`.
    pub(crate) fn asked(&self) -> Vec<(String, Value)> {
        let mut all = self.requests.lock().unwrap();
        let (hellos, others) = std::mem::take(&mut *all)
            .into_iter()
            .partition(|(method, _)| method == "hello");
        *all = hellos;
        others
    }

    /// Access that the last `hello` wanted.
    pub(crate) fn access(&self) -> String {
        let all = self.requests.lock().unwrap();
        let hello = all.iter().rfind(|(method, _)| method == "hello").unwrap();
        hello.1["access"].as_str().unwrap_or("ro").to_owned()
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.socket.parent().unwrap());
    }
}

/// A finished command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The output as JSON, line by line.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        let parse =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.out.lines().map(parse).collect()
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Ran {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{self:?}");
        self
    }

    /// Failed with that code, and said why on one line.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, why: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.err.trim_end(), why, "{self:?}");
    }
}

pub(crate) fn command(socket: &Path, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
    let mut quoted = false;
    let words = args.split(|c| {
        quoted ^= c == '\'';
        c == '\'' || (c == ' ' && !quoted)
    });
    command
        .args(words.filter(|word| !word.is_empty()))
        .env("WEFT_SOCKET", socket)
        .env("TERM", "xterm");
    command
}

pub(crate) fn run(command: &mut Command, input: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    finished(child.wait_with_output().unwrap())
}

pub(crate) fn finished(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn serve(
    mut stream: UnixStream,
    log: &Mutex<Vec<(String, Value)>>,
    script: &dyn Fn(&str, &Value) -> Vec<Say>,
) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    for line in lines {
        let Ok(line) = line else { return };
        let request: Value = serde_json::from_str(&line).unwrap();
        let method = request["method"].as_str().unwrap();
        let params = &request["params"];
        log.lock()
            .unwrap()
            .push((method.to_owned(), params.clone()));
        let says = match method {
            "hello" => vec![Say::Result(welcome(params))],
            _ => script(method, params),
        };
        for say in says {
            let id = &request["id"];
            let text = match say {
                Say::Result(result) => line_of(json!({"id": id, "result": result})),
                Say::Error(error) => line_of(json!({"id": id, "error": error})),
                Say::Event(event) => line_of(json!({"method": "event", "params": event})),
                Say::Bytes(bytes) => bytes.to_owned(),
                Say::Close => return,
            };
            // The client may have gone; that is its right.
            if stream.write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn line_of(mut message: Value) -> String {
    message["jsonrpc"] = json!("2.0");
    format!("{message}\n")
}

fn welcome(hello: &Value) -> Value {
    json!({
        "version": 1, "server": "weft test", "origin": hello["origin"],
        "access": hello["access"], "capabilities": [],
        "limits": {"line": 4 << 20, "batch": 10_000, "page": 2},
    })
}
