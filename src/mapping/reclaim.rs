//! When memory that a worker may still be reading can be freed.
//!
//! Quiescent-state-based reclamation. Each worker owns one [`Participant`]
//! and says once per burst, by one plain release store, "I hold no reference
//! into any table". Control unlinks an object, tags it with the next epoch and
//! frees it when every participant that is online has said so in that epoch
//! or later. Nobody waits: what cannot be freed yet stays in a queue of
//! bounded length, and [`Busy`] tells the writer when that bound is reached.
//!
//! This form is chosen because it costs a worker nothing that can be measured
//! (a load of a line that rarely changes and a store to its own line, no
//! fence, no read-modify-write), where hazard pointers or epoch pins cost a
//! fence per burst. Its price is that a worker which neither polls nor goes
//! offline holds everything up; a worker that sleeps therefore calls
//! [`Participant::offline`] first.
//!
//! The compiler keeps the rule "no reference outlives a burst": references
//! into tables borrow the participant, and [`Participant::quiescent`] takes it
//! mutably.
//!
//! ```compile_fail,E0502
//! use weft::mapping::{Domain, Publisher};
//! let domain = Domain::default();
//! let publisher = Publisher::new(&domain, 1u32);
//! let subscriber = publisher.subscribe();
//! let mut me = domain.register().unwrap();
//! let held = subscriber.get(&me);
//! me.quiescent();
//! println!("{held}");
//! ```

use std::{cell::Cell, collections::VecDeque, fmt, marker::PhantomData};

use crossbeam_utils::CachePadded;

use super::region;
use super::sync::{Arc, AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering, PoisonError, fence};

/// In a slot: this participant holds nothing and will announce itself before
/// it reads again.
const OFFLINE: u64 = 0;

/// What a [`Domain`] may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainLimits {
    /// Participants registered at the same time (workers, and tools that read).
    pub participants: usize,
    /// Retired objects waiting to be freed.
    pub items: usize,
    /// Bytes of them. One object larger than this is still accepted when
    /// nothing else waits, or a large table could never be replaced.
    pub bytes: usize,
}

impl Default for DomainLimits {
    fn default() -> Self {
        Self {
            participants: 64,
            items: 4096,
            bytes: 1 << 30,
        }
    }
}

/// The retired objects that wait in a [`Domain`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// How many objects.
    pub items: usize,
    /// How many bytes, as declared when they were retired.
    pub bytes: usize,
}

/// Nothing more can be retired until the workers have moved on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "replaced tables wait to be freed: {} objects, {} bytes, held up by {behind} worker(s) that \
     neither polled nor went offline since; try again when they have",
    pending.items,
    pending.bytes
)]
pub struct Busy {
    /// What waits.
    pub pending: Pending,
    /// Participants that have not passed the newest retirement.
    pub behind: usize,
}

/// All slots of a [`Domain`] are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all {limit} reader slots are taken; start fewer workers or raise the participants limit")]
pub struct TooManyParticipants {
    /// The configured number of slots.
    pub limit: usize,
}

/// One set of readers and the memory they may be reading.
///
/// Cheap to clone; all clones are the same domain.
#[derive(Clone)]
pub struct Domain {
    inner: Arc<Inner>,
}

struct Inner {
    /// Number of retirements so far plus one; never [`OFFLINE`].
    epoch: CachePadded<AtomicU64>,
    slots: Box<[CachePadded<Slot>]>,
    garbage: Mutex<Garbage>,
    limits: DomainLimits,
}

struct Slot {
    /// The epoch this participant last saw while holding nothing.
    seen: AtomicU64,
    claimed: AtomicBool,
}

#[derive(Default)]
struct Garbage {
    queue: VecDeque<Retired>,
    bytes: usize,
}

struct Retired {
    epoch: u64,
    bytes: usize,
    /// Only ever dropped.
    _object: Box<dyn Send>,
}

impl Default for Domain {
    fn default() -> Self {
        Self::new(DomainLimits::default())
    }
}

impl Domain {
    /// A domain with no participants.
    pub fn new(limits: DomainLimits) -> Self {
        let slot = || {
            CachePadded::new(Slot {
                seen: AtomicU64::new(OFFLINE),
                claimed: AtomicBool::new(false),
            })
        };
        Self {
            inner: Arc::new(Inner {
                epoch: CachePadded::new(AtomicU64::new(OFFLINE + 1)),
                slots: (0..limits.participants).map(|_| slot()).collect(),
                garbage: Mutex::new(Garbage::default()),
                limits,
            }),
        }
    }

    /// Adds a reader; it starts online.
    pub fn register(&self) -> Result<Participant, TooManyParticipants> {
        for (index, slot) in self.inner.slots.iter().enumerate() {
            // Acquire pairs with the release store in `Participant::drop`: the
            // former owner's last reads come before ours.
            let claim =
                slot.claimed
                    .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
            if claim.is_ok() {
                let mut participant = Participant {
                    domain: self.clone(),
                    slot: index,
                    pinned: 0,
                    _not_sync: PhantomData,
                };
                participant.online();
                return Ok(participant);
            }
        }
        Err(TooManyParticipants {
            limit: self.inner.limits.participants,
        })
    }

    /// Defers the drop of `object`, which no reader can reach any more, until
    /// every reader has let go of it. `bytes` is what it holds, for the bound.
    ///
    /// Frees what can be freed. Refuses, and hands the object back, when the
    /// bound is reached.
    pub fn retire<T: Send + 'static>(
        &self,
        object: Box<T>,
        bytes: usize,
    ) -> Result<(), (Box<T>, Busy)> {
        match self.make_room(bytes) {
            Ok(()) => {
                self.retire_always(object, bytes);
                Ok(())
            }
            Err(busy) => Err((object, busy)),
        }
    }

    /// Frees what every reader has let go of; returns how many objects.
    /// Never waits. Control calls it in each of its rounds: the pages of a
    /// large table go back to the system in pieces, one per call.
    pub fn collect(&self) -> usize {
        region::give_back();
        let mut ready = Vec::new();
        {
            let mut garbage = self.garbage();
            let passed = self.passed();
            while let Some(first) = garbage.queue.front()
                && first.epoch <= passed
                && let Some(retired) = garbage.queue.pop_front()
            {
                garbage.bytes -= retired.bytes;
                ready.push(retired);
            }
        }
        // Dropped here, outside the lock: a destructor may retire in its turn.
        ready.len()
    }

    /// What waits to be freed.
    pub fn pending(&self) -> Pending {
        let garbage = self.garbage();
        Pending {
            items: garbage.queue.len(),
            bytes: garbage.bytes,
        }
    }

    /// The limits it was made with.
    pub fn limits(&self) -> DomainLimits {
        self.inner.limits
    }

    /// Whether `bytes` more may be retired; frees what can be freed first.
    pub(super) fn make_room(&self, bytes: usize) -> Result<(), Busy> {
        self.collect();
        let pending = self.pending();
        let limits = &self.inner.limits;
        let too_large = pending.items > 0 && pending.bytes.saturating_add(bytes) > limits.bytes;
        if pending.items >= limits.items || too_large {
            return Err(Busy {
                pending,
                behind: self.behind(),
            });
        }
        Ok(())
    }

    /// Retires without asking for the bound: for destructors, which cannot fail.
    pub(super) fn retire_always(&self, object: Box<dyn Send>, bytes: usize) {
        let mut garbage = self.garbage();
        // Only changed under the lock, so a load and a store are enough.
        let epoch = self.inner.epoch.load(Ordering::Relaxed) + 1;
        garbage.queue.push_back(Retired {
            epoch,
            bytes,
            _object: object,
        });
        garbage.bytes += bytes;
        // Release pairs with the acquire load in `Participant::announce`: a
        // reader that has seen this epoch has seen the unlinking store that
        // came before, so it can no longer find the object.
        self.inner.epoch.store(epoch, Ordering::Release);
    }

    /// The newest epoch that every online participant has passed.
    fn passed(&self) -> u64 {
        // Pairs with the fence in `Participant::online`. Of a reader coming
        // online and a writer that has just unlinked, at least one sees the
        // other: either we see its slot, or it sees the new pointer.
        fence(Ordering::SeqCst);
        let mut passed = u64::MAX;
        for slot in &self.inner.slots {
            // Acquire pairs with the release stores of `announce` and
            // `offline`: the reads made before them come before our free.
            match slot.seen.load(Ordering::Acquire) {
                OFFLINE => {}
                seen => passed = passed.min(seen),
            }
        }
        passed
    }

    fn behind(&self) -> usize {
        let epoch = self.inner.epoch.load(Ordering::Relaxed);
        let late = |slot: &&CachePadded<Slot>| {
            let seen = slot.seen.load(Ordering::Relaxed);
            seen != OFFLINE && seen < epoch
        };
        self.inner.slots.iter().filter(late).count()
    }

    fn garbage(&self) -> MutexGuard<'_, Garbage> {
        // The queue is consistent between any two statements that can panic.
        self.inner
            .garbage
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Names this domain; never 0.
    fn id(&self) -> usize {
        std::ptr::from_ref::<Inner>(&self.inner).addr()
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Domain")
            .field("limits", &self.inner.limits)
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}

/// A reader's membership in a [`Domain`]: one per worker thread.
///
/// It can be sent to its thread but not shared. Dropping it unregisters.
pub struct Participant {
    domain: Domain,
    slot: usize,
    /// [`Domain::id`] while online, else 0: one comparison answers both "is it
    /// online" and "is it of this domain".
    pinned: usize,
    _not_sync: PhantomData<Cell<()>>,
}

impl Participant {
    /// Says that this worker holds no reference into any table. Called once
    /// per burst; does nothing while offline.
    #[inline]
    pub fn quiescent(&mut self) {
        if self.is_online() {
            self.announce();
        }
    }

    /// Before a sleep: nothing is held, and nothing will be read until
    /// [`online`](Self::online). Control frees without regard to this worker.
    pub fn offline(&mut self) {
        self.pinned = 0;
        // Release pairs with the acquire load in `Domain::passed`: what was
        // read before comes before the free.
        self.slot().seen.store(OFFLINE, Ordering::Release);
    }

    /// After a sleep, before the next lookup. The only fence a worker pays.
    pub fn online(&mut self) {
        self.announce();
        // Pairs with the fence in `Domain::passed`; see there.
        fence(Ordering::SeqCst);
        self.pinned = self.domain.id();
    }

    /// Whether lookups are allowed now.
    pub fn is_online(&self) -> bool {
        self.pinned != 0
    }

    fn announce(&self) {
        // Acquire pairs with the release store in `Domain::retire_always`:
        // what was unlinked up to this epoch can no longer be found by us.
        let epoch = self.domain.inner.epoch.load(Ordering::Acquire);
        // Release pairs with the acquire load in `Domain::passed`: what we
        // read before comes before the free.
        self.slot().seen.store(epoch, Ordering::Release);
    }

    fn slot(&self) -> &Slot {
        &self.domain.inner.slots[self.slot]
    }

    /// Panics unless this participant protects reads in `domain`: using one
    /// that is offline, or of another domain, is an error of the program, and
    /// going on would read freed memory.
    #[inline]
    pub(super) fn check(&self, domain: &Domain) {
        if self.pinned != domain.id() {
            refuse(self.is_online());
        }
    }
}

#[cold]
#[inline(never)]
fn refuse(online: bool) -> ! {
    if online {
        panic!("lookup with a participant of another reclamation domain");
    }
    panic!("lookup with a participant that is offline; call online() first");
}

impl Drop for Participant {
    fn drop(&mut self) {
        self.offline();
        // Release pairs with the acquire in `Domain::register`.
        self.slot().claimed.store(false, Ordering::Release);
    }
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participant")
            .field("slot", &self.slot)
            .field("online", &self.is_online())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    struct Counted(std::sync::Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn small() -> Domain {
        Domain::new(DomainLimits {
            participants: 2,
            items: 2,
            bytes: 100,
        })
    }

    #[test]
    fn frees_only_after_every_online_reader_passed() {
        let domain = small();
        let drops = std::sync::Arc::new(AtomicUsize::new(0));
        let mut a = domain.register().unwrap();
        let mut b = domain.register().unwrap();
        domain
            .retire(Box::new(Counted(drops.clone())), 8)
            .ok()
            .unwrap();
        assert_eq!(domain.pending(), Pending { items: 1, bytes: 8 });
        a.quiescent();
        assert_eq!(domain.collect(), 0);
        b.offline();
        assert_eq!(domain.collect(), 1);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        assert_eq!(domain.pending(), Pending::default());

        // Offline readers hold nothing up and are not brought back by
        // quiescent(); coming back they count again.
        domain.retire(Box::new(Counted(drops.clone())), 8).ok();
        b.quiescent();
        assert!(!b.is_online());
        a.quiescent();
        assert_eq!(domain.collect(), 1);
        b.online();
        domain.retire(Box::new(Counted(drops.clone())), 8).ok();
        a.quiescent();
        assert_eq!(domain.collect(), 0);
        drop(b);
        assert_eq!(domain.collect(), 1);
    }

    #[test]
    fn pending_is_bounded_by_items_and_by_bytes() {
        let domain = small();
        let mut reader = domain.register().unwrap();
        // A single object above the bound is let through, a second is not.
        domain.retire(Box::new(0u8), 1000).ok().unwrap();
        let (_, busy) = domain.retire(Box::new(1u8), 1).err().unwrap();
        assert_eq!(busy.behind, 1);
        assert_eq!(
            busy.pending,
            Pending {
                items: 1,
                bytes: 1000
            }
        );
        reader.quiescent();
        domain.retire(Box::new(2u8), 40).ok().unwrap();
        domain.retire(Box::new(3u8), 40).ok().unwrap();
        let (object, busy) = domain.retire(Box::new(4u8), 1).err().unwrap();
        assert_eq!((*object, busy.pending.items), (4, 2));
        reader.offline();
        domain.retire(object, 1).ok().unwrap();
    }

    #[test]
    fn slots_are_bounded_and_reused() {
        let domain = small();
        let first = domain.register().unwrap();
        let _second = domain.register().unwrap();
        assert_eq!(
            domain.register().err(),
            Some(TooManyParticipants { limit: 2 })
        );
        drop(first);
        assert!(domain.register().is_ok());
    }

    #[test]
    fn a_dropped_domain_frees_what_waits() {
        let drops = std::sync::Arc::new(AtomicUsize::new(0));
        let domain = small();
        let reader = domain.register().unwrap();
        domain.retire(Box::new(Counted(drops.clone())), 8).ok();
        drop(domain);
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        drop(reader);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    }
}
