//! Addresses that nodes take by themselves, beside what their bindings say or in
//! its place.
//!
//! What a node was bound to stays its own for as long as the binding says so:
//! nobody else may take it, also while the node uses another one. What is
//! learned here lasts until it is found unused, its lease ends, somebody says
//! otherwise, or the appliance stops: to make it lasting is for whoever hears of
//! it and changes the binding.
//!
//! Whether an address is anybody else's is not known here; the caller looks, and
//! says so with the sighting.

use hashbrown::HashMap;

use crate::mapping::NodeIndex;
use crate::model::{Learn, LearnAs};
use crate::reasons::reasons;
use crate::time::Time;
use crate::wire::{Mac, Vaddr, Vni};

/// By what a node was seen to use an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// A packet from it.
    Packet,
    /// ARP that names it as the sender's.
    Arp,
    /// ARP by which the node says that it has it.
    Announce,
    /// A DHCP server gave it.
    Dhcp,
}

reasons! {
    /// Why an address does not become a node's.
    pub enum AddressRefused {
        Forbidden = "address_forbidden", "Given by DHCP in a vnet that learns no addresses.";
        Outside = "address_outside", "Outside of the node's vnet or subnet, or no single node's.";
        Router = "address_router", "That of a router or DHCP server.";
        Taken = "address_taken", "Somebody else's: a node's here or elsewhere, or an outsider's.";
        TooMany = "address_too_many", "The node has learned as many as it may (`limits.learned`).";
        TableFull = "address_table_full", "No room in the mapping table.";
    }
}

/// What a vnet says of its nodes' addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    pub learn: Learn,
    pub learn_as: LearnAs,
    pub seconds: u32,
}

impl Rule {
    /// Whether a node may take an address this way.
    pub fn takes(&self, by: By) -> bool {
        match self.learn {
            Learn::Never => false,
            Learn::Announce => matches!(by, By::Announce | By::Dhcp),
            Learn::Auto => true,
        }
    }

    fn ends(&self, now: Time) -> Time {
        now.after(u64::from(self.seconds) * 1000)
    }
}

/// A node, and what is said of it.
#[derive(Clone, Copy, Debug)]
pub struct Whose {
    pub node: NodeIndex,
    pub vni: Vni,
    pub bound: Vaddr,
    /// Its hardware address, if it is known.
    pub mac: Option<Mac>,
}

/// An address that a node was seen to use.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub address: Vaddr,
    pub mac: Mac,
    pub by: By,
    /// When a lease of it ends.
    pub until: Option<Time>,
}

/// What becomes of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The node had it already.
    Known,
    /// Beside what it had.
    Added,
    /// In the place of this one.
    Changed(Vaddr),
    /// Beside what it had, until it is seen which of both it uses.
    Watching,
    /// It uses both: both stay.
    Kept,
    /// It is the node's no longer.
    Dropped,
    Refused(AddressRefused),
}

/// Two addresses of which it is not yet known which ones the node uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Watch {
    until: Time,
    used: bool,
    /// Of the address that the node had before.
    old_used: bool,
}

/// An address that is a node's by its own doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Learned {
    pub address: Vaddr,
    pub mac: Mac,
    pub by: By,
    until: Option<Time>,
    watch: Option<Watch>,
}

impl Learned {
    /// Whether it may turn out not to be used.
    pub fn is_watched(&self) -> bool {
        self.watch.is_some()
    }

    fn due(&self) -> Option<Time> {
        let watch = self.watch.map(|watch| watch.until);
        watch.into_iter().chain(self.until).min()
    }
}

/// A node that has learned addresses.
#[derive(Clone, Debug)]
pub struct Node {
    vni: Vni,
    bound: Vaddr,
    /// Stands in the place of the bound one.
    instead: Option<Learned>,
    beside: Vec<Learned>,
    /// What it left, when it was guessed that it changed, and until when its
    /// coming back means that it uses both.
    left: Option<(Vaddr, Time)>,
}

impl Node {
    /// What its binding says.
    pub fn bound(&self) -> Vaddr {
        self.bound
    }

    /// The address that it has in the first place.
    pub fn own(&self) -> Vaddr {
        self.instead.map_or(self.bound, |learned| learned.address)
    }

    /// The learned address in the place of the bound one.
    pub fn instead(&self) -> Option<&Learned> {
        self.instead.as_ref()
    }

    /// Addresses beside the first.
    pub fn beside(&self) -> &[Learned] {
        &self.beside
    }

    /// All of them, without what is behind the node.
    pub fn addresses(&self) -> impl Iterator<Item = Vaddr> {
        std::iter::once(self.own()).chain(self.beside.iter().map(|learned| learned.address))
    }

    /// Those of which it is to be known whether it uses them.
    pub fn unused(&self) -> Vec<Vaddr> {
        let mut out = Vec::new();
        for learned in &self.beside {
            let Some(watch) = learned.watch else {
                continue;
            };
            if !watch.used {
                out.push(learned.address);
            }
            if !watch.old_used && !out.contains(&self.own()) {
                out.push(self.own());
            }
        }
        out
    }

    fn learned(&self) -> impl Iterator<Item = &Learned> {
        self.instead.iter().chain(&self.beside)
    }

    fn learned_mut(&mut self) -> impl Iterator<Item = &mut Learned> {
        self.instead.iter_mut().chain(&mut self.beside)
    }

    fn take(&mut self, address: Vaddr) -> Option<Learned> {
        if self.instead.is_some_and(|it| it.address == address) {
            self.doubt_again();
            return self.instead.take();
        }
        let place = self.beside.iter().position(|it| it.address == address)?;
        Some(self.beside.remove(place))
    }

    /// Its first address is another one: nothing is known of its use.
    fn doubt_again(&mut self) {
        for watch in self.beside.iter_mut().filter_map(|it| it.watch.as_mut()) {
            watch.old_used = false;
        }
    }

    /// What the rule means for one address: guessing is done here.
    fn meant(&self, rule: Rule, mac: Option<Mac>, seen: &Seen, now: Time) -> LearnAs {
        let back = |(left, until)| left == seen.address && now < until;
        match rule.learn_as {
            // It goes to and fro, so it uses both.
            LearnAs::Guess if self.left.is_some_and(back) => LearnAs::Add,
            LearnAs::Guess if mac == Some(seen.mac) => LearnAs::Change,
            LearnAs::Guess => LearnAs::Add,
            told => told,
        }
    }

    /// Makes an address the node's own. What it is bound to is not learned, but
    /// comes back.
    fn admit(&mut self, rule: Rule, mac: Option<Mac>, seen: &Seen, now: Time) -> Verdict {
        let meant = self.meant(rule, mac, seen, now);
        let mut new = Learned {
            address: seen.address,
            mac: seen.mac,
            by: seen.by,
            until: seen.until,
            watch: None,
        };
        let before = self.own();
        let comes_back = seen.address == self.bound;
        if meant == LearnAs::Change {
            self.instead = (!comes_back).then_some(new);
            self.doubt_again();
            if rule.learn_as == LearnAs::Guess {
                self.left = Some((before, rule.ends(now)));
            }
            return Verdict::Changed(before);
        }
        let used = seen.by == By::Packet;
        let watch = |used, old_used| Watch {
            until: rule.ends(now),
            used,
            old_used,
        };
        let watched = meant == LearnAs::Watch;
        if let Some(mut old) = self.instead.take_if(|_| comes_back) {
            self.doubt_again();
            old.watch = watched.then(|| watch(false, used));
            self.beside.push(old);
        } else {
            new.watch = watched.then(|| watch(used, false));
            self.beside.push(new);
        }
        match watched {
            true => Verdict::Watching,
            false => Verdict::Added,
        }
    }
}

/// What came of watching, or of waiting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    pub node: NodeIndex,
    pub vni: Vni,
    pub bound: Vaddr,
    pub address: Vaddr,
    pub verdict: Verdict,
    /// All addresses that the node had until then.
    pub before: Vec<Vaddr>,
}

/// Learned addresses of all nodes of a host.
#[derive(Debug)]
pub struct Addresses {
    /// How many a node may learn.
    most: usize,
    nodes: HashMap<NodeIndex, Node>,
    /// Nothing ends before.
    next: Option<Time>,
}

impl Addresses {
    pub fn new(most: usize) -> Addresses {
        Addresses {
            most,
            nodes: HashMap::new(),
            next: None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A node, if it has learned any.
    pub fn of(&self, node: NodeIndex) -> Option<&Node> {
        self.nodes.get(&node)
    }

    /// Whether a node has learned this address.
    pub fn has(&self, node: NodeIndex, address: Vaddr) -> bool {
        let node = self.nodes.get(&node);
        node.is_some_and(|node| node.learned().any(|it| it.address == address))
    }

    /// Whether it has learned it beside its first.
    pub fn is_beside(&self, node: NodeIndex, address: Vaddr) -> bool {
        let node = self.nodes.get(&node);
        node.is_some_and(|node| node.beside.iter().any(|it| it.address == address))
    }

    /// All addresses of a node, without what is behind it.
    pub fn all_of(&self, node: NodeIndex, bound: Vaddr) -> Vec<Vaddr> {
        match self.nodes.get(&node) {
            Some(node) => node.addresses().collect(),
            None => vec![bound],
        }
    }

    /// A node uses an address. `elsewhere` says why it cannot be the node's.
    pub fn seen(
        &mut self,
        whose: Whose,
        rule: Rule,
        seen: Seen,
        elsewhere: Option<AddressRefused>,
        now: Time,
    ) -> Verdict {
        if self.again(whose, &seen) {
            return Verdict::Known;
        }
        if !rule.takes(seen.by) {
            return Verdict::Refused(AddressRefused::Forbidden);
        }
        if let Some(why) = elsewhere {
            return Verdict::Refused(why);
        }
        let learned = self.nodes.get(&whose.node);
        // What comes back was not learned.
        let more = usize::from(seen.address != whose.bound);
        if learned.map_or(0, |node| node.learned().count()) + more > self.most
            && !self.replaces(whose, rule, &seen, now)
        {
            return Verdict::Refused(AddressRefused::TooMany);
        }
        let node = self.nodes.entry(whose.node).or_insert_with(|| Node {
            vni: whose.vni,
            bound: whose.bound,
            instead: None,
            beside: Vec::new(),
            left: None,
        });
        let verdict = node.admit(rule, whose.mac, &seen, now);
        self.tidy(whose.node);
        verdict
    }

    /// Whether an address takes the place of one that was learned too.
    fn replaces(&self, whose: Whose, rule: Rule, seen: &Seen, now: Time) -> bool {
        let node = self.nodes.get(&whose.node);
        self.most > 0
            && node.is_some_and(|node| {
                let meant = node.meant(rule, whose.mac, seen, now);
                node.instead.is_some() && meant == LearnAs::Change
            })
    }

    /// What the node has already; a lease of it may be longer now, and its card
    /// another.
    fn again(&mut self, whose: Whose, seen: &Seen) -> bool {
        let Some(node) = self.nodes.get_mut(&whose.node) else {
            return seen.address == whose.bound;
        };
        if node.instead.is_none() && seen.address == node.bound {
            return true;
        }
        let known = node.learned_mut().find(|it| it.address == seen.address);
        let Some(known) = known else {
            return false;
        };
        known.mac = seen.mac;
        if seen.by == By::Dhcp {
            known.by = By::Dhcp;
            known.until = seen.until;
        }
        self.tidy(whose.node);
        true
    }

    /// The hardware address beside a learned address; true if that is news.
    pub fn mac_seen(&mut self, node: NodeIndex, address: Vaddr, mac: Mac) -> bool {
        let node = self.nodes.get_mut(&node);
        let mut learned = node.into_iter().flat_map(Node::learned_mut);
        let known = learned.find(|it| it.address == address);
        known.is_some_and(|known| std::mem::replace(&mut known.mac, mac) != mac)
    }

    /// A packet came from an address that is watched; true if that is news.
    pub fn used(&mut self, node: NodeIndex, address: Vaddr) -> bool {
        let Some(node) = self.nodes.get_mut(&node) else {
            return false;
        };
        let own = node.own();
        let mut news = false;
        for learned in &mut node.beside {
            let Some(watch) = &mut learned.watch else {
                continue;
            };
            if learned.address == address {
                news |= !std::mem::replace(&mut watch.used, true);
            }
            if own == address {
                news |= !std::mem::replace(&mut watch.old_used, true);
            }
        }
        news
    }

    /// The next watch or lease that has ended, if any has.
    pub fn ended(&mut self, now: Time) -> Option<Ended> {
        if self.next.is_none_or(|next| now < next) {
            return None;
        }
        let over = |learned: &Learned| learned.due().is_some_and(|due| due <= now);
        let found = self.nodes.iter().find_map(|(index, node)| {
            let learned = node.learned().find(|it| over(it))?;
            Some((*index, *learned))
        });
        let Some((index, learned)) = found else {
            self.next = self
                .nodes
                .values()
                .flat_map(|node| node.learned().filter_map(Learned::due))
                .min();
            return None;
        };
        let node = self.nodes.get_mut(&index)?;
        let mut ended = Ended {
            node: index,
            vni: node.vni,
            bound: node.bound,
            address: learned.address,
            verdict: Verdict::Dropped,
            before: node.addresses().collect(),
        };
        let lease_over = learned.until.is_some_and(|until| until <= now);
        match learned.watch {
            Some(watch) if !lease_over => ended.verdict = decide(node, learned, watch),
            _ => _ = node.take(learned.address),
        }
        self.tidy(index);
        Some(ended)
    }

    /// An address is not the node's any more; whether it was.
    pub fn forget(&mut self, node: NodeIndex, address: Vaddr) -> bool {
        let of = self.nodes.get_mut(&node);
        let was = of.is_some_and(|node| node.take(address).is_some());
        self.tidy(node);
        was
    }

    /// Makes a node what it was before.
    pub fn restore(&mut self, node: NodeIndex, before: Option<Node>) {
        match before {
            Some(before) => _ = self.nodes.insert(node, before),
            None => _ = self.nodes.remove(&node),
        }
        self.tidy(node);
    }

    /// Brings all of it in step with the bindings there are: `bound` tells where
    /// a node is now and `keep` whether it may keep an address. Returns what
    /// nodes have no longer that are still there.
    pub fn review(
        &mut self,
        bound: impl Fn(NodeIndex) -> Option<(Vni, Vaddr)>,
        keep: impl Fn(NodeIndex, Vaddr) -> bool,
    ) -> Vec<(NodeIndex, Vaddr)> {
        let mut lost = Vec::new();
        self.nodes.retain(|index, node| {
            let Some((vni, now)) = bound(*index) else {
                return false;
            };
            if vni != node.vni {
                return false;
            }
            if now != node.bound {
                // Whoever says so knows better than what was found out; what
                // became the node's own lastingly is not lost.
                if let Some(old) = node.instead.take().filter(|it| it.address != now) {
                    lost.push((*index, old.address));
                }
                node.beside.retain(|it| it.address != now);
                (node.bound, node.left) = (now, None);
                node.doubt_again();
            }
            let gone = |it: &Learned| !keep(*index, it.address);
            let out = node.beside.extract_if(.., |it| gone(it));
            lost.extend(out.map(|it| (*index, it.address)));
            if let Some(old) = node.instead.take_if(|it| gone(it)) {
                lost.push((*index, old.address));
                node.doubt_again();
            }
            node.learned().next().is_some()
        });
        lost
    }

    /// Forgets a node that has nothing but what it is bound to, and when there
    /// is to be looked again.
    fn tidy(&mut self, index: NodeIndex) {
        let Some(node) = self.nodes.get(&index) else {
            return;
        };
        let due = node.learned().filter_map(Learned::due).min();
        self.next = self.next.into_iter().chain(due).min();
        // What it left a moment ago tells that it uses both.
        if node.learned().next().is_none() && node.left.is_none() {
            self.nodes.remove(&index);
        }
    }
}

/// What a watch has shown. Nothing seen of either proves nothing: both stay.
fn decide(node: &mut Node, learned: Learned, watch: Watch) -> Verdict {
    match (watch.used, watch.old_used) {
        (true, false) => {
            let before = node.own();
            node.take(learned.address);
            let comes_back = learned.address == node.bound;
            node.instead = (!comes_back).then_some(Learned {
                watch: None,
                ..learned
            });
            node.doubt_again();
            Verdict::Changed(before)
        }
        (false, true) => {
            node.take(learned.address);
            Verdict::Dropped
        }
        (true, true) | (false, false) => {
            let same = |it: &&mut Learned| it.address == learned.address;
            if let Some(it) = node.beside.iter_mut().find(same) {
                it.watch = None;
            }
            Verdict::Kept
        }
    }
}

#[cfg(test)]
mod tests;
