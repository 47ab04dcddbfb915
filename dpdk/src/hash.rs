//! DPDK's own hash table, lock-free for readers: what the mapping table is
//! held against. One writer, any number of readers, keys that stay.
//!
//! Keys are 16 bytes, for which the library has a comparison of its own, and
//! values one word. Nothing is ever taken out, so no reader can meet memory
//! that is used again.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::eal::{Eal, Runtime};
use crate::error::{Errno, Error, c_string};

/// `RTE_HASH_LOOKUP_BULK_MAX`.
pub const MOST: usize = 64;
/// More buckets where all of a key's are full, or a table would be full before
/// its number of entries is reached.
const EXTENDABLE: u8 = 0x08;
/// Readers take no lock and see each entry whole.
const LOCK_FREE: u8 = 0x20;

/// Two words that are compared as they are.
pub type Key = [u64; 2];

#[derive(Debug)]
struct Table {
    raw: NonNull<dpdk_sys::rte_hash>,
    /// Keeps EAL's memory.
    _runtime: Arc<Runtime>,
}

// SAFETY: a lock-free table may be read by any thread; only `HashWriter`,
// which is one, adds to it.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: made by `rte_hash_create`, and neither a reader nor the
        // writer is left.
        unsafe { dpdk_sys::rte_hash_free(self.raw.as_ptr()) };
    }
}

/// Adds and replaces. Not `Clone`.
#[derive(Debug)]
pub struct HashWriter(Arc<Table>);

/// Looks up.
#[derive(Clone, Debug)]
pub struct HashReader(Arc<Table>);

/// A table of at most `entries` keys.
pub fn create(eal: &Eal, name: &str, entries: u32) -> Result<(HashWriter, HashReader), Error> {
    let c_name = c_string("table name", name)?;
    let parameters = dpdk_sys::rte_hash_parameters {
        name: c_name.as_ptr(),
        entries,
        key_len: size_of::<Key>() as u32,
        extra_flag: EXTENDABLE | LOCK_FREE,
        ..dpdk_sys::rte_hash_parameters::default()
    };
    // SAFETY: EAL is initialised; the name lives until the call is over, and
    // is copied. No hash function is given: the library takes its own.
    let raw = unsafe { dpdk_sys::rte_hash_create(&parameters) };
    let Some(raw) = NonNull::new(raw) else {
        return Err(Error::Pool {
            pool: name.into(),
            doing: "creating it",
            errno: Errno::last(),
        });
    };
    let table = Arc::new(Table {
        raw,
        _runtime: Arc::clone(eal.runtime()),
    });
    Ok((HashWriter(Arc::clone(&table)), HashReader(table)))
}

impl HashWriter {
    /// Adds a key, or replaces its value; false when the table is full.
    pub fn insert(&mut self, key: &Key, value: u64) -> bool {
        let data = std::ptr::without_provenance_mut::<c_void>(value as usize);
        // SAFETY: `key` has as many bytes as the table was told; the value is
        // kept and never followed. `&mut self`: one writer.
        let code = unsafe {
            dpdk_sys::rte_hash_add_key_data(self.0.raw.as_ptr(), key.as_ptr().cast(), data)
        };
        code == 0
    }
}

/// Values as the library hands them out.
#[derive(Debug)]
pub struct Values<'a> {
    data: [*mut c_void; MOST],
    hits: u64,
    _table: PhantomData<&'a Table>,
}

impl Values<'_> {
    /// That of the `i`th key asked for, if it was found.
    #[inline]
    pub fn get(&self, i: usize) -> Option<u64> {
        (self.hits >> i & 1 != 0).then(|| self.data[i].addr() as u64)
    }
}

impl HashReader {
    /// Looks up at most [`MOST`] keys at once; of more, the first.
    #[inline]
    pub fn lookup(&self, keys: &[Key]) -> Values<'_> {
        let mut pointers = [std::ptr::null::<c_void>(); MOST];
        for (pointer, key) in pointers.iter_mut().zip(keys) {
            *pointer = key.as_ptr().cast();
        }
        let mut values = Values {
            data: [std::ptr::null_mut(); MOST],
            hits: 0,
            _table: PhantomData,
        };
        let count = keys.len().min(MOST);
        if count > 0 {
            // SAFETY: `count` pointers to keys of the right size, between 1
            // and the most there may be, and as much room for values.
            unsafe {
                dpdk_sys::rte_hash_lookup_bulk_data(
                    self.0.raw.as_ptr(),
                    pointers.as_mut_ptr(),
                    count as u32,
                    &mut values.hits,
                    values.data.as_mut_ptr(),
                )
            };
        }
        values
    }
}
