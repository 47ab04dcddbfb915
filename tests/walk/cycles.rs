//! Rounds that are sampled for their cycles: what is counted by part, and that
//! packets fare as in any other round. Here the clock stands still, so only
//! packets are looked at.

use weft::datapath::cycles::{Cycles, INTERVAL, Part};

use super::common::Host;
use super::common::frames::*;
use super::common::topology::*;

fn block(host: &Host) -> &Cycles {
    &host.counters[0].cycles
}

fn packets(host: &Host) -> [u64; Part::ALL.len()] {
    Part::ALL.map(|part| block(host).parts[part as usize].packets.get())
}

/// Nine plain packets and a ping.
fn ten(host: &Host) {
    for port in 0..9 {
        host.send(PORT_A, &from_a(&udp(A, G, (port, 1), &[0; 18])));
    }
    host.send(PORT_A, &from_a(&echo(A, G, 8, &[0; 18])));
}

#[test]
fn a_sampled_round_knows_which_packets_came_to_which_part() {
    let mut r = setup_r().start();
    ten(&r);
    // The first round of all is one.
    assert_eq!(r.workers[0].round(), 10);
    assert_eq!(r.drain(UPLINK).len(), 10);
    // rx, parse, resolve, rewrite, walk, tx, round.
    assert_eq!(packets(&r), [10, 9, 9, 9, 1, 10, 10]);
    assert_eq!(block(&r).sampled.get(), 1);
    // The next one is not, and does the same.
    ten(&r);
    assert_eq!(r.workers[0].round(), 10);
    assert_eq!(r.drain(UPLINK).len(), 10);
    assert_eq!(packets(&r), [10, 9, 9, 9, 1, 10, 10]);
    let bursts: Vec<_> = block(&r).bursts.iter().map(|count| count.get()).collect();
    assert_eq!(bursts, [0, 0, 0, 2, 0, 0], "sampled or not");
    r.assert_balanced();
}

#[test]
fn packets_of_the_substrate_too() {
    let mut r = setup_r().start();
    let Ip { payload, .. } = udp(G, A, (5000, 4000), &[0; 18]);
    let (src, dst) = (saddr(&locator_s(), Z, G), saddr(&locator_r(), Z, A));
    let mut packet = Ip6::new(src, dst, UDP, payload);
    packet.label = label(64, true, 1);
    r.send(UPLINK, &packet.to_r());
    r.workers[0].round();
    assert_eq!(r.drain(PORT_A).len(), 1);
    assert_eq!(packets(&r), [1, 1, 1, 1, 0, 1, 1]);
}

#[test]
fn while_somebody_watches_all_is_walk() {
    let watched = with(setup_r(), |topology| {
        topology.watch = vec![weft::datapath::watch::Filter::default()];
    });
    let mut r = watched.start();
    ten(&r);
    r.workers[0].round();
    assert_eq!(packets(&r), [10, 0, 0, 0, 10, 10, 10]);
}

#[test]
fn one_round_in_so_many_is_sampled_and_empty_ones_do_not_count() {
    let mut r = setup_r().start();
    for _ in 0..INTERVAL {
        r.workers[0].round();
    }
    assert_eq!(block(&r).sampled.get(), 0);
    for _ in 0..100 * INTERVAL {
        r.send(PORT_A, &from_a(&hello()));
        r.workers[0].round();
        r.drain(UPLINK);
    }
    let sampled = block(&r).sampled.get();
    assert!((80..=120).contains(&sampled), "{sampled}");
    assert_eq!(packets(&r)[Part::Round as usize], sampled);
    r.assert_balanced();
}
