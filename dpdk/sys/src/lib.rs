//! Raw bindings to DPDK, generated from the installed headers.
//!
//! Only what the `dpdk` crate calls is bound: the full headers cannot be
//! (some types are both packed and aligned, which Rust has no way to say).
//! Three kinds of things go through C shims (`src/shim.c`) instead:
//!
//! * functions that exist only as `static inline`, such as the burst calls;
//! * thread-local variables (`rte_errno`, the lcore id), which bindgen would
//!   bind as plain statics: that links, and crashes when read;
//! * structures whose layout differs between releases, such as the link
//!   state.
//!
//! `rte_mbuf` is opaque here; the offsets of the fields in use are constants
//! (`DPDK_SYS_MBUF_OFF_…`) that the C compiler computes, so that neither
//! anonymous unions nor a release that regroups fields matter to Rust code.

#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]
#![allow(missing_debug_implementations, unreachable_pub, dead_code)]
#![allow(unnecessary_transmutes)]
#![allow(clippy::all, clippy::undocumented_unsafe_blocks)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
