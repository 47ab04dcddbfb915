//! A value that control replaces as a whole while workers read it.
//!
//! For everything that is small, read for every burst and changed rarely: the
//! host table, bindings, policy, the list of ports. One [`Publisher`] owns the
//! right to replace; any number of [`Subscriber`]s read with one acquire load
//! and hold the value until their participant's next quiescent state.

use std::fmt;

use super::{
    reclaim::{Busy, Domain, Participant},
    sync::{Arc, AtomicPtr, Ordering},
};

struct Cell<T: Send + Sync + 'static> {
    /// Made by `Box::into_raw`, never null.
    value: AtomicPtr<T>,
    domain: Domain,
}

impl<T: Send + Sync + 'static> Drop for Cell<T> {
    fn drop(&mut self) {
        // Ordering is settled by the last reference count that led here.
        let value = self.value.load(Ordering::Relaxed);
        // SAFETY: `value` came from `Box::into_raw`, and no cell is left that
        // could hand it out or retire it again.
        let value = unsafe { Box::from_raw(value) };
        // Retired, not dropped: `Subscriber::get` binds references to the
        // participant, so one may outlive publisher and subscribers.
        self.domain.retire_always(value, size_of::<T>());
    }
}

/// The one place that may replace the value. Not `Clone`.
pub struct Publisher<T: Send + Sync + 'static> {
    cell: Arc<Cell<T>>,
    /// Declared size of the current value.
    bytes: usize,
}

/// A way to read the value; one per worker, cheap to clone.
pub struct Subscriber<T: Send + Sync + 'static> {
    cell: Arc<Cell<T>>,
}

/// The value could not be published; it is handed back unchanged.
#[derive(Debug, thiserror::Error)]
#[error("{busy}")]
pub struct Refused<T> {
    /// What was to be published.
    pub value: T,
    /// Why.
    pub busy: Busy,
}

impl<T: Send + Sync + 'static> Publisher<T> {
    /// Publishes a first value for the readers of `domain`.
    pub fn new(domain: &Domain, value: T) -> Self {
        let bytes = size_of::<T>();
        Self::new_sized(domain, value, bytes)
    }

    /// As [`new`](Self::new); `bytes` counts what `value` owns on the heap too.
    pub fn new_sized(domain: &Domain, value: T, bytes: usize) -> Self {
        Self {
            cell: Arc::new(Cell {
                value: AtomicPtr::new(Box::into_raw(Box::new(value))),
                domain: domain.clone(),
            }),
            bytes,
        }
    }

    /// Replaces the value: a reader's next [`Subscriber::get`] finds the new
    /// one, and the old one is freed when all readers have let go of it.
    ///
    /// Never waits. Refused only when the domain's bound of deferred memory is
    /// reached; the old value stays in force then.
    pub fn replace(&mut self, value: T) -> Result<(), Refused<T>> {
        self.replace_sized(value, size_of::<T>())
    }

    /// As [`replace`](Self::replace), with the bytes `value` holds in all.
    pub fn replace_sized(&mut self, value: T, bytes: usize) -> Result<(), Refused<T>> {
        if let Err(busy) = self.cell.domain.make_room(self.bytes) {
            return Err(Refused { value, busy });
        }
        let new = Box::into_raw(Box::new(value));
        // Only this publisher changes the pointer, so what it loads is its own
        // last store.
        let old = self.cell.value.load(Ordering::Relaxed);
        // Release pairs with the acquire load in `Subscriber::get`: who sees
        // the pointer sees the value it points to.
        self.cell.value.store(new, Ordering::Release);
        // SAFETY: `old` came from `Box::into_raw` and has just been unlinked
        // by the only publisher; it is turned back exactly once, here.
        let old = unsafe { Box::from_raw(old) };
        self.cell.domain.retire_always(old, self.bytes);
        self.bytes = bytes;
        Ok(())
    }

    /// The value now in force.
    pub fn current(&self) -> &T {
        // SAFETY: the pointer is valid until `replace`, which needs `&mut
        // self`, or until the cell is dropped, which needs this publisher gone.
        unsafe { &*self.cell.value.load(Ordering::Relaxed) }
    }

    /// A new reader of this value.
    pub fn subscribe(&self) -> Subscriber<T> {
        Subscriber {
            cell: self.cell.clone(),
        }
    }

    /// Where replaced values go.
    pub fn domain(&self) -> &Domain {
        &self.cell.domain
    }
}

impl<T: Send + Sync + 'static> Subscriber<T> {
    /// The value in force, good until the participant's next quiescent state.
    ///
    /// # Panics
    /// When `pin` is offline or of another domain than the publisher.
    #[inline]
    pub fn get<'a>(&self, pin: &'a Participant) -> &'a T {
        pin.check(&self.cell.domain);
        // Acquire pairs with the release store in `Publisher::replace_sized`.
        let value = self.cell.value.load(Ordering::Acquire);
        // SAFETY: `pin` is online in the domain that a replaced value is
        // retired to (checked above), so the value is freed only after a
        // quiescent state of `pin`, which needs `&mut` and so ends `'a`.
        unsafe { &*value }
    }
}

impl<T: Send + Sync + 'static> Clone for Subscriber<T> {
    fn clone(&self) -> Self {
        Self {
            cell: self.cell.clone(),
        }
    }
}

impl<T: Send + Sync + fmt::Debug + 'static> fmt::Debug for Publisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Publisher").field(self.current()).finish()
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Subscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::mapping::DomainLimits;

    #[test]
    fn readers_see_the_newest_and_keep_what_they_hold() {
        let domain = Domain::default();
        let mut publisher = Publisher::new(&domain, vec![1]);
        let subscriber = publisher.subscribe();
        let mut pin = domain.register().unwrap();
        let held = subscriber.get(&pin);
        publisher.replace(vec![2]).unwrap();
        domain.collect();
        assert_eq!((held[0], subscriber.get(&pin)[0]), (1, 2));
        pin.quiescent();
        assert_eq!(domain.collect(), 1);
    }

    #[test]
    fn a_reference_outlives_publisher_and_subscriber() {
        let domain = Domain::default();
        let publisher = Publisher::new(&domain, String::from("kept"));
        let subscriber = publisher.subscribe();
        let pin = domain.register().unwrap();
        let held = subscriber.get(&pin);
        drop((publisher, subscriber));
        assert_eq!(domain.collect(), 0);
        assert_eq!(held, "kept");
        drop(pin);
        assert_eq!(domain.collect(), 1);
    }

    #[test]
    fn a_full_domain_refuses_and_hands_back() {
        let domain = Domain::new(DomainLimits {
            participants: 1,
            items: 1,
            bytes: 100,
        });
        let mut publisher = Publisher::new(&domain, 1);
        let mut pin = domain.register().unwrap();
        publisher.replace(2).unwrap();
        let refused = publisher.replace(3).unwrap_err();
        assert_eq!((refused.value, *publisher.current()), (3, 2));
        pin.quiescent();
        publisher.replace(3).unwrap();
        assert_eq!(*publisher.subscribe().get(&pin), 3);
    }

    #[test]
    #[should_panic(expected = "offline")]
    fn an_offline_participant_cannot_read() {
        let domain = Domain::default();
        let publisher = Publisher::new(&domain, 1);
        let mut pin = domain.register().unwrap();
        pin.offline();
        publisher.subscribe().get(&pin);
    }

    #[test]
    #[should_panic(expected = "another reclamation domain")]
    fn a_foreign_participant_cannot_read() {
        let domain = Domain::default();
        let publisher = Publisher::new(&domain, 1);
        let pin = Domain::default().register().unwrap();
        publisher.subscribe().get(&pin);
    }
}
