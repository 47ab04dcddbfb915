//! What callgrind is to count: so many bursts of one case and nothing else.
//!
//! `walk/CASE` is the walk, `round/CASE` a worker's whole round over ports of
//! memory, `unwatched/CASE` the same after somebody watched and went away, and
//! `floor` a yardstick: a loop that does the least of the same work without a line
//! of weft, and says what another compiler makes of such code.
//!
//! `scripts/lab/instructions.py` runs it and names the functions to be counted:
//! `walk_plain`, [`Rounds::round`] without [`Source::next`], and [`least_work`].

use std::hint::black_box;
use std::sync::Arc;

use weft::datapath::watch::Filter;

use super::*;

/// Runs what `asked` says, or names all there is for `cases`.
pub(super) fn count(asked: &str) {
    if asked == "cases" {
        return names().for_each(|name| println!("{name}"));
    }
    let (name, bursts) = asked.split_once(':').expect("CASE:BURSTS");
    let bursts: u32 = bursts.parse().expect("a number of bursts");
    // A case alone is its walk.
    let (kind, name) = name.split_once('/').unwrap_or(("walk", name));
    let case = || {
        let cases = CASES.into_iter().chain([PASS]);
        let mut named = cases.filter(|case| case.name == name);
        named.next().expect("a case of the table")
    };
    match kind {
        _ if name == "floor" => floors(bursts),
        "walk" => {
            let mut walk = Walk::new(case());
            for _ in 0..bursts {
                walk.burst(|| ());
            }
        }
        "round" => {
            let mut rounds = Rounds::new(case());
            (0..bursts).for_each(|_| rounds.round());
        }
        "unwatched" => {
            let mut rounds = Rounds::new(case());
            rounds.watch(vec![Filter::default()]);
            rounds.round();
            rounds.watch(Vec::new());
            (0..bursts).for_each(|_| rounds.round());
        }
        _ => panic!("walk, round, unwatched or floor, not {kind}"),
    }
}

/// Those whose tables are quickly made.
fn names() -> impl Iterator<Item = String> {
    let small = CASES.into_iter().filter(|case| case.mappings <= 1 << 10);
    let walks = small.map(|case| format!("walk/{}", case.name));
    let rounds = ["round/pass", "round/outbound-1k", "unwatched/outbound-1k"];
    let others = ["floor"].into_iter().chain(rounds).map(str::to_owned);
    others.chain(walks)
}

impl Rounds {
    /// The same topology, with these watchers.
    fn watch(&mut self, filters: Vec<Filter>) {
        let mut topology = topology_of(self.case);
        topology.watch = filters;
        let published = self._tables.topology.replace(topology.into());
        assert!(published.is_ok());
    }
}

fn floors(bursts: u32) {
    let mut source = Source::new(CASES[0]);
    let table: Arc<[u64]> = (0..1 << 10).map(|i| i << 32 | 0x0a40_0400 | i).collect();
    let mut slots: Vec<Slot> = (0..BURST).map(|_| Slot::new()).collect();
    for _ in 0..bursts {
        slots.iter_mut().for_each(|slot| source.next(slot));
        assert_eq!(least_work(&mut slots, &table), BURST);
        black_box(&slots);
    }
}

/// One lookup, a header that is 20 bytes longer, the checksum. Returns how many
/// were found.
#[inline(never)]
fn least_work(slots: &mut [Slot], table: &[u64]) -> usize {
    let mut found = 0;
    for slot in slots {
        let start = usize::from(slot.start);
        let front = &mut slot.room[start - 20..start + 42];
        let word = |front: &[u8], at: usize| u16::from_be_bytes([front[at], front[at + 1]]);
        let destination = u32::from_be_bytes(front[50..54].try_into().expect("four bytes"));
        let entry = table[destination as usize % table.len()];
        if entry as u32 != destination || front[34] != 0x45 {
            continue;
        }
        found += 1;
        let mut sum = u32::from(!word(front, 60));
        for at in (46..54).step_by(2) {
            sum += u32::from(!word(front, at));
        }
        sum += (entry >> 32) as u32 & 0xffff;
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        let (length, payload) = (word(front, 36), destination);
        front.copy_within(20..34, 0);
        front[14..22].copy_from_slice(&(u64::from(length) << 16 | 6 << 60).to_be_bytes());
        front[22..38].copy_from_slice(&u128::from(entry).to_be_bytes());
        front[38..42].copy_from_slice(&payload.to_be_bytes());
        front[60..62].copy_from_slice(&(!sum as u16).to_be_bytes());
        slot.start -= 20;
    }
    found
}
