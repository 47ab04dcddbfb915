//! Plain packets that were given to their gateway.
//!
//! Of most routers it is known where addresses begin and end that it passes on,
//! and how many others do after it ([`spans`](super::spans)). The routes of all
//! others are looked up together, once for each router of the longest chain. Only
//! what goes on to a node of a connected subnet stays plain; what ends at a
//! router, or goes by a node that routes, is left to the walk, by a key that
//! nobody has.

use crate::arch::{Work, widest};
use crate::lpm::{self, Lpm};
use crate::mapping::Key;
use crate::wire::{Vaddr, ethernet, ipv4};

use super::super::route::MOST_HOPS;
use super::super::segments::{Leg, NONE, RouterRecord};
use super::super::tally::{Along, Passage};
use super::super::topology::Snapshot;
use super::super::{BURST, Results};
use super::{FURTHER, ROUTED, Rest, Scratch};

const _: () = assert!(BURST == lpm::BURST);

/// No table has it.
const NOBODY: Key = Key::new(0, 0);

/// Spends the TTL of those of `n` packets that were given to a router.
#[inline(never)]
pub(super) fn follow(topology: &Snapshot, scratch: &mut Scratch, n: usize) {
    let routed = widest(Spend {
        topology,
        scratch,
        n,
    });
    if routed != 0 {
        widest(Follow {
            topology,
            scratch,
            routed,
        });
    }
}

/// By what was made ready of routers with few routes. Returns the others'
/// packets, a bit each.
struct Spend<'a> {
    topology: &'a Snapshot,
    scratch: &'a mut Scratch,
    n: usize,
}

impl Work for Spend<'_> {
    type Done = u32;

    #[inline(always)]
    fn run(self) -> u32 {
        let (tables, scratch) = (self.topology.plain(), self.scratch);
        let mut others = 0;
        for k in 0..self.n.min(BURST) {
            if scratch.flows[k] & ROUTED == 0 {
                continue;
            }
            let sender = tables.senders.get(scratch.senders[k].index());
            scratch.entries[k] = sender.map_or(NONE, |sender| sender.entry);
            let spans = sender.and_then(|sender| tables.spans.get(sender.router as usize));
            let span = spans.and_then(|spans| spans.find(scratch.keys[k].vaddr()));
            match span {
                Some((hops, out)) => {
                    scratch.outs[k] = out;
                    let first = scratch.firsts[k];
                    let goes_on = hops != 0 && first.ttl() > hops;
                    scratch.firsts[k] = first.spent(hops);
                    scratch.keys[k] = if goes_on { scratch.keys[k] } else { NOBODY };
                }
                None => others |= 1 << k,
            }
        }
        others
    }
}

/// By the routes themselves.
struct Follow<'a> {
    topology: &'a Snapshot,
    scratch: &'a mut Scratch,
    routed: u32,
}

impl Work for Follow<'_> {
    type Done = ();

    #[inline(always)]
    fn run(self) {
        let (topology, scratch) = (self.topology, self.scratch);
        let Some(any) = topology.routers.first() else {
            return give_up(scratch, self.routed);
        };
        let mut addresses = [Vaddr(0); BURST];
        let mut routers: [&RouterRecord; BURST] = [any; BURST];
        let mut tables: [&Lpm; BURST] = [&any.routes; BURST];
        let (mut left, mut lost) = (0, 0);
        for k in bits(self.routed) {
            addresses[k] = Vaddr(scratch.keys[k].vaddr());
            let sender = topology.plain().senders.get(scratch.senders[k].index());
            match sender.and_then(|sender| topology.routers.get(sender.router as usize)) {
                Some(router) => {
                    (routers[k], tables[k]) = (router, &router.routes);
                    left |= 1 << k;
                }
                None => lost |= 1 << k,
            }
        }
        for hops in 1..=MOST_HOPS {
            let mut places = [None; BURST];
            Lpm::find_each(&tables, &addresses, left, &mut places);
            let mut further = 0;
            for k in bits(left) {
                let leg = places[k].and_then(|place| routers[k].legs.get(place as usize));
                let first = scratch.firsts[k];
                match leg {
                    Some(Leg::Connected { iface }) if first.ttl() > hops => {
                        scratch.outs[k] = if hops == 1 { *iface } else { FURTHER };
                        scratch.firsts[k] = first.spent(hops);
                        continue;
                    }
                    Some(Leg::Next { router, .. }) if first.ttl() > hops => {
                        if let Some(router) = topology.routers.get(*router as usize) {
                            (routers[k], tables[k]) = (router, &router.routes);
                            further |= 1 << k;
                            continue;
                        }
                    }
                    _ => {}
                }
                lost |= 1 << k;
            }
            left = further;
            if left == 0 {
                break;
            }
        }
        give_up(scratch, lost | left);
    }
}

/// Says what went by routers of the `n` packets that got through, those that are
/// not plain apart.
#[inline(never)]
pub(super) fn tally(scratch: &Scratch, (n, rest): (usize, Rest), results: &mut Results) {
    let n = n.min(BURST);
    let (entry, out) = (scratch.entries[0], scratch.outs[0]);
    if rest.is_empty() && n > 1 && all_went(scratch, (entry, out), n) {
        let payloads = scratch.firsts.iter().take(n);
        let payloads = payloads.map(|first| u32::from(first.payload_len())).sum();
        return results.passed(passage(entry, Along::Out(out), (n as u32, payloads)));
    }
    // Neighbours in a burst are of different tenants more often than not:
    // to see whether they went the same way takes longer than to count each.
    for k in 0..n {
        if scratch.flows[k] & ROUTED == 0 || rest.has(usize::from(scratch.at[k])) {
            continue;
        }
        let way = match scratch.outs[k] {
            // Behind a further router it depends on more than the interface.
            FURTHER => Along::Routes {
                dst: Vaddr(scratch.keys[k].vaddr()),
                // They got through.
                ttl: u8::MAX,
                sent: true,
            },
            out => Along::Out(out),
        };
        let payload = u32::from(scratch.firsts[k].payload_len());
        results.passed(passage(scratch.entries[k], way, (1, payload)));
    }
}

/// Whether all of the first `n` packets went this way, by one router.
#[inline(always)]
fn all_went(scratch: &Scratch, (entry, out): (u32, u32), n: usize) -> bool {
    let (mut routed, mut differ) = (ROUTED, 0);
    for k in 0..n.min(BURST) {
        routed &= scratch.flows[k];
        differ |= (scratch.entries[k] ^ entry) | (scratch.outs[k] ^ out);
    }
    out != FURTHER && routed != 0 && differ == 0
}

#[inline(always)]
fn passage(entry: u32, way: Along, (packets, payloads): (u32, u32)) -> Passage {
    const HEADERS: u32 = (ethernet::HEADER_LEN + ipv4::HEADER_LEN) as u32;
    Passage {
        entry,
        way,
        packets,
        bytes: payloads + packets * HEADERS,
    }
}

#[inline(always)]
fn give_up(scratch: &mut Scratch, which: u32) {
    for k in bits(which) {
        scratch.keys[k] = NOBODY;
    }
}

/// The places of the bits that are set.
#[inline(always)]
fn bits(mut word: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = word.trailing_zeros() as usize;
        word &= word.wrapping_sub(1);
        (place < BURST).then_some(place)
    })
}
