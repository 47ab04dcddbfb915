//! Events for those who asked. An event is turned into text once, whoever
//! gets it; a client whose queue has no room for it loses it, and is told how
//! many it lost as soon as there is room.

use serde::Serialize;

use super::clients::Clients;
use super::proto::{EVENT, Event, Topic};

/// Events leave this much of a queue to replies: a burst of events must not
/// cut off a client that is only slow.
const SHARE: usize = 2;

#[derive(Serialize)]
struct Notification<'a> {
    jsonrpc: &'static str,
    method: &'static str,
    params: &'a Event,
}

pub(super) fn bits(topics: &[Topic]) -> u16 {
    topics.iter().fold(0, |all, topic| all | topic.bit())
}

pub(super) fn topics(bits: u16) -> Vec<Topic> {
    let on = |topic: &Topic| bits & topic.bit() != 0;
    Topic::ALL.into_iter().filter(on).collect()
}

fn text(event: &Event) -> Vec<u8> {
    let line = Notification {
        jsonrpc: "2.0",
        method: EVENT,
        params: event,
    };
    // Types of ours without maps: this cannot fail.
    serde_json::to_vec(&line).unwrap_or_default()
}

impl Clients {
    /// Sends an event to all who subscribed to its topic. Returns how many
    /// clients lost it.
    pub(super) fn publish(&mut self, event: &Event) -> u64 {
        let Some(topic) = event.topic() else { return 0 };
        if !self
            .iter()
            .any(|(_, client)| client.topics & topic.bit() != 0)
        {
            return 0;
        }
        let line = text(event);
        let mut lost = 0;
        for (_, client) in self.iter_mut() {
            if client.topics & topic.bit() != 0 {
                lost += client.notify(&line);
            }
        }
        lost
    }

    /// Sends an event to one client.
    pub(super) fn tell(&mut self, token: usize, event: &Event) -> u64 {
        let line = text(event);
        self.get_mut(token).map_or(0, |client| client.notify(&line))
    }
}

impl super::clients::Client {
    /// Queues a notification, or counts it as lost: 1 if so.
    fn notify(&mut self, line: &[u8]) -> u64 {
        let room = self.queue_limit / SHARE;
        if self.lost > 0 {
            let lost = text(&Event::Lost { lost: self.lost });
            if self.out.len() + lost.len() + line.len() + 2 <= room && self.out.push(&lost).is_ok()
            {
                self.lost = 0;
            }
        }
        let fits = self.lost == 0 && self.out.len() + line.len() < room;
        if fits && self.out.push(line).is_ok() {
            return 0;
        }
        self.lost += 1;
        1
    }

    /// Tells of lost events once there is room, even if no event follows.
    pub(super) fn tell_lost(&mut self) {
        if self.lost > 0 && self.out.is_empty() {
            let lost = text(&Event::Lost { lost: self.lost });
            if self.out.push(&lost).is_ok() {
                self.lost = 0;
            }
        }
    }
}
