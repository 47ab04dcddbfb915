//! Packets that wait for an answer: a mapping, a node's hardware address, or
//! whether an address that a node uses is to be its own.
//!
//! A held packet is as it arrived (the walk rewrites last), so waiting is
//! nothing but walking again a little later. Everything is bounded: packets
//! per destination, per node or host, and in all, and the time. The memory is
//! taken when the worker starts.
//!
//! Waiting packets are tried again in passes, a few a round. What has to wait
//! on keeps the younger packets of its destination back until the next pass:
//! they would overtake it if the answer came in between, and asking once a
//! destination is enough.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::mapping::Key;
use crate::packet::Meta;

use super::{Drop, Party};

/// Bounds of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldLimits {
    pub per_destination: u16,
    /// Also of the packets that one host sent.
    pub per_node: u16,
    pub total: u32,
    pub ticks: u64,
    /// How long a destination that nobody knew is not asked for again.
    pub refusal_ticks: u64,
}

/// A packet that waits.
#[derive(Debug)]
pub struct Held<P> {
    pub packet: P,
    pub meta: Meta,
    pub why: Drop,
    pub key: Key,
    pub whose: Party,
    pub deadline: u64,
}

/// What packets wait for together: a destination, whoever writes to it; or
/// one node's right to an address, which is another question about the same
/// address, and another one for every node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Question {
    key: Key,
    sender: Option<Party>,
}

impl Question {
    /// The question that nobody asks.
    const NONE: Question = Question {
        key: Key::new(0, 0),
        sender: None,
    };

    fn of((why, key, whose): (Drop, Key, Party)) -> Question {
        Question {
            key,
            sender: (why == Drop::SpoofedSource).then_some(whose),
        }
    }

    fn slot(&self) -> usize {
        let mixed = (u64::from(self.key.vni()) << 32 | u64::from(self.key.vaddr()))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 54) as usize % REFUSED_SLOTS
    }
}

impl<P> Held<P> {
    fn question(&self) -> Question {
        Question::of((self.why, self.key, self.whose))
    }
}

/// Packets of one destination.
#[derive(Debug)]
struct Share {
    packets: u16,
    /// The pass in which one of them was last tried in vain.
    tried: u32,
}

/// One worker's waiting packets.
#[derive(Debug)]
pub struct Holds<P> {
    limits: HoldLimits,
    queue: VecDeque<Held<P>>,
    per_key: HashMap<Question, Share>,
    per_party: HashMap<Party, u16>,
    /// Number of the pass, and how many packets it has still to try.
    pass: u32,
    left: usize,
    /// Destinations whose packets ran out of time, each in its slot until
    /// the tick beside it; a newer one takes the slot over.
    refused: Box<[(Question, u64)]>,
}

/// What came of asking to wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The first of its destination: somebody should be asked.
    First,
    Further,
}

const REFUSED_SLOTS: usize = 1024;

impl<P> Holds<P> {
    pub fn new(limits: HoldLimits) -> Holds<P> {
        let total = limits.total as usize;
        Holds {
            limits,
            queue: VecDeque::with_capacity(total),
            // Twice the number of keys there can be, so that the maps never
            // grow, however keys come and go.
            per_key: HashMap::with_capacity(2 * total),
            per_party: HashMap::with_capacity(2 * total),
            pass: 0,
            left: 0,
            refused: vec![(Question::NONE, 0); REFUSED_SLOTS].into_boxed_slice(),
        }
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes a packet in, or gives it back with the reason to drop it.
    pub fn put(
        &mut self,
        packet: P,
        meta: Meta,
        (why, key, whose): (Drop, Key, Party),
        now: u64,
    ) -> Result<Waiting, (P, Drop)> {
        let question = Question::of((why, key, whose));
        let (refused, until) = self.refused[question.slot()];
        if refused == question && now < until {
            return Err((packet, why));
        }
        let of_key = self.per_key.get(&question);
        let of_key = of_key.map_or(0, |share| share.packets);
        let of_party = self.per_party.get(&whose).copied().unwrap_or(0);
        if self.queue.len() >= self.limits.total as usize
            || of_key >= self.limits.per_destination
            || of_party >= self.limits.per_node
        {
            return Err((packet, Drop::HoldFull));
        }
        self.enter(question, whose);
        let deadline = now + self.limits.ticks;
        self.queue.push_back(Held {
            packet,
            meta,
            why,
            key,
            whose,
            deadline,
        });
        Ok(if of_key == 0 {
            Waiting::First
        } else {
            Waiting::Further
        })
    }

    /// Takes the packet whose turn it is, to be tried again.
    pub fn take(&mut self) -> Option<Held<P>> {
        if self.left == 0 {
            self.left = self.queue.len();
            self.pass = self.pass.wrapping_add(1);
        }
        let held = self.queue.pop_front()?;
        self.left -= 1;
        let question = held.question();
        if let Some(share) = self.per_key.get_mut(&question) {
            share.packets -= 1;
            if share.packets == 0 {
                self.per_key.remove(&question);
            }
        }
        if let Some(packets) = self.per_party.get_mut(&held.whose) {
            *packets -= 1;
            if *packets == 0 {
                self.per_party.remove(&held.whose);
            }
        }
        Some(held)
    }

    /// Whether an older packet of the same destination was tried in vain in
    /// this pass.
    pub fn is_behind(&self, held: &Held<P>) -> bool {
        let share = self.per_key.get(&held.question());
        share.is_some_and(|share| share.tried == self.pass)
    }

    /// Puts a packet back that was taken and has to wait on.
    pub fn keep(&mut self, held: Held<P>) {
        let pass = self.pass;
        self.enter(held.question(), held.whose).tried = pass;
        self.queue.push_back(held);
    }

    /// Remembers that a packet waited for nothing.
    pub fn refuse(&mut self, held: &Held<P>, now: u64) {
        let question = held.question();
        self.refused[question.slot()] = (question, now + self.limits.refusal_ticks);
    }

    fn enter(&mut self, question: Question, whose: Party) -> &mut Share {
        *self.per_party.entry(whose).or_insert(0) += 1;
        let share = self.per_key.entry(question).or_insert(Share {
            packets: 0,
            tried: self.pass.wrapping_sub(1),
        });
        share.packets += 1;
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{HostIndex, NodeIndex};

    const LIMITS: HoldLimits = HoldLimits {
        per_destination: 2,
        per_node: 3,
        total: 4,
        ticks: 100,
        refusal_ticks: 1000,
    };

    fn key(n: u32) -> Key {
        Key::new(0x5a_0001, n)
    }

    fn party(n: u32) -> Party {
        Party::node(NodeIndex::new(n).unwrap())
    }

    fn put(
        holds: &mut Holds<u32>,
        packet: u32,
        to: u32,
        node: u32,
        now: u64,
    ) -> Result<Waiting, (u32, Drop)> {
        holds.put(
            packet,
            Meta::default(),
            (Drop::NoMapping, key(to), party(node)),
            now,
        )
    }

    #[test]
    fn every_bound_holds() {
        let mut holds = Holds::new(LIMITS);
        assert_eq!(put(&mut holds, 1, 1, 1, 0), Ok(Waiting::First));
        assert_eq!(put(&mut holds, 2, 1, 1, 0), Ok(Waiting::Further));
        assert_eq!(
            put(&mut holds, 3, 1, 1, 0),
            Err((3, Drop::HoldFull)),
            "per destination"
        );
        assert_eq!(put(&mut holds, 4, 2, 1, 0), Ok(Waiting::First));
        assert_eq!(
            put(&mut holds, 5, 3, 1, 0),
            Err((5, Drop::HoldFull)),
            "per node"
        );
        assert_eq!(put(&mut holds, 6, 4, 2, 0), Ok(Waiting::First));
        assert_eq!(
            put(&mut holds, 7, 5, 3, 0),
            Err((7, Drop::HoldFull)),
            "in all"
        );
        assert_eq!(holds.len(), 4);
    }

    #[test]
    fn a_node_and_a_host_of_one_number_do_not_share() {
        let mut holds = Holds::new(LIMITS);
        for to in 1..=3 {
            put(&mut holds, to, to, 1, 0).unwrap();
        }
        let whose = Party::host(HostIndex::new(1).unwrap());
        let of_host = (Drop::SourceUnknown, key(4), whose);
        assert!(holds.put(4, Meta::default(), of_host, 0).is_ok());
    }

    #[test]
    fn taking_gives_room_and_keeps_order() {
        let mut holds = Holds::new(LIMITS);
        put(&mut holds, 1, 1, 1, 0).unwrap();
        put(&mut holds, 2, 1, 1, 0).unwrap();
        let first = holds.take().unwrap();
        assert!(!holds.is_behind(&first));
        holds.keep(first);
        let second = holds.take().unwrap();
        assert_eq!(second.packet, 2);
        assert!(holds.is_behind(&second));
        holds.keep(second);
        // The next pass begins with the first again.
        let first = holds.take().unwrap();
        assert_eq!(first.packet, 1);
        assert!(!holds.is_behind(&first));
        let second = holds.take().unwrap();
        assert!(
            !holds.is_behind(&second),
            "the first was not kept this time"
        );
        assert!(holds.is_empty());
        assert_eq!(put(&mut holds, 3, 1, 1, 0), Ok(Waiting::First));
    }

    #[test]
    fn packets_that_come_during_a_pass_wait_for_the_next() {
        let mut holds = Holds::new(LIMITS);
        put(&mut holds, 1, 1, 1, 0).unwrap();
        put(&mut holds, 2, 2, 1, 0).unwrap();
        let first = holds.take().unwrap();
        put(&mut holds, 3, 1, 1, 0).unwrap();
        holds.keep(first);
        for expected in [2, 3, 1] {
            // 3 came before 1 was put back; it is behind nobody in the queue,
            // and its pass is the next.
            assert_eq!(holds.take().unwrap().packet, expected);
        }
    }

    #[test]
    fn a_refused_destination_is_not_asked_for_again_for_a_while() {
        let mut holds = Holds::new(LIMITS);
        put(&mut holds, 1, 1, 1, 0).unwrap();
        let held = holds.take().unwrap();
        holds.refuse(&held, 100);
        assert_eq!(put(&mut holds, 2, 1, 1, 500), Err((2, Drop::NoMapping)));
        assert_eq!(put(&mut holds, 3, 2, 1, 500), Ok(Waiting::First));
        assert_eq!(put(&mut holds, 4, 1, 1, 1100), Ok(Waiting::First));
    }

    /// Who writes to an address and who writes from it wait for two things.
    #[test]
    fn an_address_as_a_source_is_another_question() {
        let mut holds = Holds::new(LIMITS);
        let mut from = |packet, node, now| {
            let what = (Drop::SpoofedSource, key(1), party(node));
            holds.put(packet, Meta::default(), what, now)
        };
        assert_eq!(from(1, 1, 0), Ok(Waiting::First));
        assert_eq!(from(2, 2, 0), Ok(Waiting::First), "of another node");
        assert_eq!(from(3, 1, 0), Ok(Waiting::Further));
        assert_eq!(put(&mut holds, 4, 1, 3, 0), Ok(Waiting::First), "to it");
        let held = holds.take().unwrap();
        holds.refuse(&held, 100);
        let mut again = |why, node| {
            let what = (why, key(1), party(node));
            holds.put(5, Meta::default(), what, 500)
        };
        assert_eq!(again(Drop::SpoofedSource, 1), Err((5, Drop::SpoofedSource)));
        assert_eq!(again(Drop::NoMapping, 3), Ok(Waiting::Further));
    }

    #[test]
    fn the_maps_do_not_grow() {
        let mut holds = Holds::new(LIMITS);
        let before = (
            holds.queue.capacity(),
            holds.per_key.capacity(),
            holds.per_party.capacity(),
        );
        for n in 0..10_000 {
            let _ = put(&mut holds, n, n, n, u64::from(n) * 10_000);
            if n % 3 == 0 {
                holds.take();
            }
        }
        assert_eq!(
            before,
            (
                holds.queue.capacity(),
                holds.per_key.capacity(),
                holds.per_party.capacity()
            )
        );
    }
}
