//! Generates the bindings and compiles the shims for the DPDK that
//! `pkg-config` finds.
//!
//! Compiler flags are read from `pkg-config` itself: the `pkg-config` crate
//! passes on include paths, but loses `-include rte_config.h` and `-march`,
//! and without them the headers either fail to parse or describe structures
//! that differ from those of the installed library.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// The oldest DPDK whose names the wrapper uses.
const OLDEST: &str = "22.11";

const FUNCTIONS: &[&str] = &[
    "dpdk_sys_.*",
    "rte_dev_name",
    "rte_dev_probe",
    "rte_dev_remove",
    "rte_eal_cleanup",
    "rte_eal_get_lcore_state",
    "rte_eal_get_runtime_dir",
    "rte_eal_init",
    "rte_eal_remote_launch",
    "rte_eal_wait_lcore",
    "rte_eth_allmulticast_(dis|en)able",
    "rte_eth_dev_(start|stop|close|configure|is_removed|is_valid_port|socket_id)",
    "rte_eth_dev_(adjust_nb_rx_tx_desc|info_get|get_mtu|set_mtu|get_name_by_port|get_port_by_name)",
    "rte_eth_dev_default_mac_addr_set",
    "rte_eth_dev_rss_hash_(update|conf_get)",
    "rte_eth_find_next",
    "rte_eth_iterator_(init|next|cleanup)",
    "rte_eth_macaddr_get",
    "rte_eth_promiscuous_(disable|enable|get)",
    "rte_eth_(rx|tx)_queue_setup",
    "rte_eth_stats_(get|reset)",
    "rte_eth_xstats_(get|get_names|reset)",
    "rte_fib_(free|add|delete|lookup_bulk)",
    "rte_get_main_lcore",
    "rte_get_next_lcore",
    "rte_get_tsc_hz",
    "rte_hash_(create|free|add_key_data|lookup_bulk_data)",
    "rte_lcore_is_enabled",
    "rte_log_set_global_level",
    "rte_log_set_level_pattern",
    "rte_mempool_avail_count",
    "rte_pktmbuf_copy",
    "rte_pktmbuf_free_bulk",
    "rte_pktmbuf_pool_create",
    "rte_strerror",
    "rte_thread_register",
    "rte_thread_unregister",
    "rte_version",
];

const TYPES: &[&str] = &[
    "dpdk_sys_link",
    "dpdk_sys_vhost_event",
    "rte_dev_iterator",
    "rte_eth_conf",
    "rte_hash_parameters",
    "rte_eth_dev_info",
    "rte_eth_rss_conf",
    "rte_eth_rxconf",
    "rte_eth_txconf",
    "rte_eth_stats",
    "rte_eth_xstat",
    "rte_eth_xstat_name",
    "rte_ether_addr",
];

const VARS: &[&str] = &[
    "DPDK_SYS_.*",
    "RTE_ETH_MQ_RX_(NONE|RSS)",
    "RTE_ETH_NAME_MAX_LEN",
    "RTE_ETH_XSTATS_NAME_SIZE",
    "RUNNING",
    "RTE_LOG_(EMERG|ALERT|CRIT|ERR|WARNING|NOTICE|INFO|DEBUG)",
    "RTE_MAX_ETHPORTS",
    "RTE_PKTMBUF_HEADROOM",
];

/// Only ever seen behind a pointer. Left opaque, neither their odd packing
/// nor a field that another release renames can break the build; the few
/// fields of `rte_mbuf` that are needed have their offsets in `wrapper.h`.
const OPAQUE: &[&str] = &[
    "rte_mbuf",
    "rte_mempool",
    "rte_device",
    "rte_hash",
    "rte_fib",
];

fn main() {
    for file in ["src/wrapper.h", "src/shim.c", "build.rs"] {
        println!("cargo:rerun-if-changed={file}");
    }
    link();
    let flags = compiler_flags();
    compile_shims(&flags);
    generate_bindings(&flags);
}

/// Emits the link lines; `libdpdk` is linked dynamically, drivers are
/// loaded by EAL from its plugin directory.
fn link() {
    let found = pkg_config::Config::new()
        .atleast_version(OLDEST)
        .statik(false)
        .probe("libdpdk");
    if let Err(error) = found {
        fail(&format!(
            "libdpdk {OLDEST} or newer was not found.\n\
             Debian and Ubuntu: apt install libdpdk-dev libclang-dev\n\
             Elsewhere: install DPDK and let PKG_CONFIG_PATH name the directory of libdpdk.pc.\n\
             Without DPDK: build with --no-default-features.\n\n{error}"
        ));
    }
}

fn compiler_flags() -> Vec<String> {
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let output = Command::new(&program)
        .args(["--cflags", "libdpdk"])
        .output()
        .unwrap_or_else(|error| fail(&format!("cannot run {program}: {error}")));
    let text = String::from_utf8_lossy(&output.stdout);
    let flags: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if !output.status.success() || flags.is_empty() {
        fail(&format!("{program} --cflags libdpdk gave no flags"));
    }
    flags
}

fn compile_shims(flags: &[String]) {
    let mut build = cc::Build::new();
    // The headers' own inline functions are not ours to warn about.
    build.file("src/shim.c").opt_level(3).warnings(false);
    for flag in flags {
        build.flag(flag);
    }
    build.compile("dpdk_sys_shim");
}

fn generate_bindings(flags: &[String]) {
    let mut builder = bindgen::Builder::default()
        .header("src/wrapper.h")
        .clang_args(flags)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .generate_comments(false)
        .derive_default(true)
        .layout_tests(true)
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()));
    for name in FUNCTIONS {
        builder = builder.allowlist_function(name);
    }
    for name in TYPES {
        builder = builder.allowlist_type(name);
    }
    for name in VARS {
        builder = builder.allowlist_var(name);
    }
    for name in OPAQUE {
        builder = builder.opaque_type(name);
    }
    let bindings = builder.generate().unwrap_or_else(|error| {
        fail(&format!(
            "bindgen could not read DPDK's headers (Debian: apt install libclang-dev):\n{error}"
        ))
    });
    let out =
        PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("bindings.rs");
    if let Err(error) = bindings.write_to_file(&out) {
        fail(&format!("cannot write {}: {error}", out.display()));
    }
}

/// Ends the build with a message a person can act on, without a backtrace.
fn fail(message: &str) -> ! {
    eprintln!("\ndpdk-sys: {message}\n");
    std::process::exit(1);
}
