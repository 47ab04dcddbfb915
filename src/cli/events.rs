//! `weft events`, and the waiting that trace and capture share with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::Value;

use super::failure::Failure;
use super::output::{Context, clean};
use super::stats::seconds;
use super::values;
use crate::control::client::Client;
use crate::control::proto::{Access, Event, Subscribe, Topic};

/// Print events as they happen.
///
/// Looks on and changes nothing: packets do not wait for a client that only watches misses.
#[derive(Debug, Args)]
#[command(after_help = "Method: subscribe")]
pub(super) struct Events {
    /// Topics; all when none is given.
    #[arg(value_name = "TOPIC", value_parser = values::one_of::<Topic>(&TOPICS))]
    topics: Vec<Topic>,
    /// End after so many events.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// End after so many seconds.
    #[arg(long, value_parser = seconds)]
    seconds: Option<Duration>,
}

const TOPICS: [&str; 10] = [
    "miss", "node", "address", "redirect", "port", "neighbor", "limit", "config", "lease", "group",
];

impl Events {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let mut client = context.connect(Access::ReadOnly)?;
        let topics = match self.topics.is_empty() {
            true => Topic::ALL.to_vec(),
            false => self.topics,
        };
        // Looking on must not make packets wait: that is for who answers misses.
        let answers = false;
        client.call(&Subscribe { topics, answers })?;
        let mut wait = Wait::new(self.seconds)?;
        let mut left = self.count;
        while left != Some(0) {
            let Some(event) = wait.next(context, &mut client)? else {
                break;
            };
            match context.json {
                true => context.json(&event)?,
                false => context.line(line(&event))?,
            }
            left = left.map(|n| n - 1);
        }
        Ok(())
    }
}

/// Time, topic, and every field by its name and in the order of the protocol.
fn line(event: &Event) -> String {
    let mut text = clock();
    let Ok(Value::Object(fields)) = serde_json::to_value(event) else {
        return text;
    };
    let topic = fields.get("topic").and_then(Value::as_str);
    text += &format!("  {:<8}", topic.unwrap_or_default());
    for (name, value) in fields.iter().filter(|(name, _)| *name != "topic") {
        let value = match value {
            Value::String(value) => clean(value).into_owned(),
            other => other.to_string(),
        };
        text += &format!(" {name}={value}");
    }
    text
}

/// Time of the day, UTC.
fn clock() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let s = now.as_secs() % 86_400;
    let (h, m, s, ms) = (s / 3600, s / 60 % 60, s % 60, now.subsec_millis());
    format!("{h:02}:{m:02}:{s:02}.{ms:03}Z")
}

/// Waits for events until time is up or the operator presses Ctrl-C, which
/// here means: enough, finish what you are writing.
#[derive(Debug)]
pub(super) struct Wait {
    until: Option<Instant>,
    interrupted: Arc<AtomicBool>,
}

/// How long Ctrl-C may go unnoticed.
const SLICE: Duration = Duration::from_millis(100);

impl Wait {
    pub(super) fn new(limit: Option<Duration>) -> Result<Wait, Failure> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // The second time ends the process, in case the first one is stuck.
            let cannot = |e| Failure::local("cannot listen for Ctrl-C", e);
            signal_hook::flag::register_conditional_shutdown(signal, 130, interrupted.clone())
                .map_err(cannot)?;
            signal_hook::flag::register(signal, interrupted.clone()).map_err(cannot)?;
        }
        Ok(Wait {
            until: limit.map(|limit| Instant::now() + limit),
            interrupted,
        })
    }

    /// The next event; `None` when it is time to end. What was printed becomes
    /// visible before each wait.
    pub(super) fn next(
        &mut self,
        context: &mut Context,
        client: &mut Client,
    ) -> Result<Option<Event>, Failure> {
        // Events already here are taken without a system call for the output.
        if let Some(event) = client.next_event(Some(Duration::ZERO))? {
            return Ok(self.alive().then_some(event));
        }
        context.flush()?;
        while self.alive() {
            let left = self.until.map(|at| at - Instant::now().min(at));
            let slice = left.map_or(SLICE, |left| left.min(SLICE));
            if let Some(event) = client.next_event(Some(slice))? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn alive(&self) -> bool {
        // Pairs with the store in the signal handler of this very thread or
        // another; nothing else is published by it.
        let interrupted = self.interrupted.load(Ordering::Relaxed);
        !interrupted && self.until.is_none_or(|at| Instant::now() < at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topics_offered_are_the_protocols() {
        let words: Vec<_> = Topic::ALL.iter().map(super::super::output::word).collect();
        assert_eq!(words, TOPICS);
    }

    #[test]
    fn an_event_is_one_line_with_its_fields() {
        let event = Event::Miss {
            vnet: "Z\n".to_owned(),
            address: "10.0.0.3".parse().unwrap(),
            node: "A".to_owned(),
            held: 2,
        };
        let line = line(&event);
        let (_, rest) = line.split_once("Z  ").unwrap();
        assert_eq!(rest, "miss     vnet=Z\\n address=10.0.0.3 node=A held=2");
    }
}
