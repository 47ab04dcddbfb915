//! As an ordinary user, without hugepages, as on any laptop. Run as root, the
//! test starts itself again as nobody.

use std::os::unix::process::CommandExt;
use std::process::Command;

use dpdk::{Burst, Eal, EalConfig, Huge, Mempool, Port, PortConfig};

const NOBODY: u32 = 65534;
const AGAIN: &str = "WEFT_DPDK_TEST_AS_NOBODY";

#[test]
fn as_an_ordinary_user() {
    let uid = std::fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m));
    if uid.unwrap() != 0 {
        return forward();
    }
    assert!(std::env::var_os(AGAIN).is_none(), "still root");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "as_an_ordinary_user"])
        .env(AGAIN, "1")
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            println!("skipped: nobody may not run {:?}", std::env::current_exe());
            return;
        }
        Err(error) => panic!("{error}"),
    };
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn forward() {
    let eal = Eal::init(&EalConfig {
        huge: Huge::No,
        memory_mb: Some(64),
        devices: vec!["net_null0,size=64".into()],
        ..EalConfig::default()
    })
    .unwrap();
    let pool = Mempool::create(&eal, "packets", 1023, 0, 2048, None).unwrap();
    let mut port = Port::by_name(&eal, "net_null0").unwrap();
    let mut started = port
        .start(&PortConfig::default(), std::slice::from_ref(&pool))
        .unwrap();
    let mut burst = Burst::new();
    assert_eq!(started.rx[0].rx_burst(&mut burst), 32);
    assert_eq!(started.tx[0].tx_burst(&mut burst), 32);
    drop(started);
    port.close().unwrap();
    assert_eq!(pool.in_use(), 0);
    drop(pool);
    eal.shutdown().unwrap();
}
