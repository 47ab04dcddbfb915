use super::*;
use crate::control::proto::{VnetRemove, VnetSet};
use crate::control::store::{Limits, Settings};
use crate::wire::Layout;
use std::sync::{Arc, Mutex};

fn store() -> Store {
    Store::new(Settings {
        name: "R".into(),
        layout: Layout::P72,
        locator: Some("2001:db8:0:a:100::/72".parse().unwrap()),
        mtu: 1500,
        workers: 1,
        ports: Vec::new(),
        limits: Limits::default(),
    })
}

fn set(name: &str, vni: u32) -> Vec<Change<'static>> {
    let vnet = serde_json::from_value(serde_json::json!({"name": name, "vni": vni})).unwrap();
    vec![Change::VnetSet(VnetSet { vnet, revision: 0 })]
}

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("weft-journal-{name}-{}", std::process::id()));
    drop(fs::remove_dir_all(&path));
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn crc_is_the_usual_one() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}

#[test]
fn what_was_committed_is_there_again_at_every_cut() {
    let dir = directory("cut");
    let path = dir.join("journal");
    let (mut journal, _) = Journal::open(&path).unwrap();
    let mut ends = vec![0];
    for (name, vni) in [("Z", 0x5a_0001), ("Y", 0x59_0001), ("X", 7)] {
        journal.append(set(name, vni)).unwrap();
        journal.commit().unwrap();
        ends.push(fs::metadata(&path).unwrap().len());
    }
    drop(journal);
    let whole = fs::read(&path).unwrap();
    for cut in 0..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let (_, recovered) = Journal::open(&path).unwrap();
        let full = ends.iter().filter(|end| **end <= cut as u64).count() - 1;
        assert_eq!(recovered.records(), full, "cut at {cut}");
        assert_eq!(
            recovered.torn.is_some(),
            !ends.contains(&(cut as u64)),
            "cut at {cut}"
        );
        let mut store = store();
        assert!(recovered.replay(&mut store, 0).is_empty());
        assert_eq!(store.vnets().count(), full);
        // The tail is gone: what is written next is readable.
        assert_eq!(fs::metadata(&path).unwrap().len(), ends[full]);
    }
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn any_changed_byte_is_found() {
    let dir = directory("flip");
    let path = dir.join("journal");
    let (mut journal, _) = Journal::open(&path).unwrap();
    journal.append(set("Z", 1)).unwrap();
    journal.commit().unwrap();
    drop(journal);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let (_, recovered) = Journal::open(&path).unwrap();
        let same_number = bytes[at].eq_ignore_ascii_case(&whole[at]);
        assert!(recovered.records() == 0 || same_number, "byte {at}");
    }
    fs::remove_dir_all(dir).unwrap();
}

/// A disk that takes only so many bytes.
#[derive(Debug)]
struct Small {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: Arc<Mutex<usize>>,
}

impl Disk for Small {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut all = self.bytes.lock().unwrap();
        let room = self.room.lock().unwrap().saturating_sub(all.len());
        all.extend_from_slice(&bytes[..bytes.len().min(room)]);
        match bytes.len() > room {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.bytes.lock().unwrap().truncate(length as usize);
        Ok(())
    }
}

#[test]
fn a_full_disk_leaves_whole_lines_and_recovers() {
    let (bytes, room) = (
        Arc::new(Mutex::new(Vec::new())),
        Arc::new(Mutex::new(usize::MAX)),
    );
    let disk = Small {
        bytes: bytes.clone(),
        room: room.clone(),
    };
    let mut journal = Journal::over(Path::new("nowhere"), Box::new(disk), 0);
    journal.append(set("Z", 1)).unwrap();
    journal.commit().unwrap();
    let good = bytes.lock().unwrap().len();
    for extra in 0..40 {
        *room.lock().unwrap() = good + extra;
        journal.append(set("Y", 2)).unwrap();
        assert!(journal.commit().is_err());
        assert_eq!(bytes.lock().unwrap().len(), good);
        assert!(journal.report().error.is_some());
    }
    *room.lock().unwrap() = usize::MAX;
    journal.append(set("X", 3)).unwrap();
    journal.commit().unwrap();
    assert_eq!(read_lines(&bytes.lock().unwrap()).0.len(), 2);
    assert_eq!(journal.report().error, None);
}

#[test]
fn a_snapshot_holds_what_is_and_what_is_hidden() {
    let dir = directory("compact");
    let path = dir.join("journal");
    let (mut journal, _) = Journal::open(&path).unwrap();
    for n in 1..200 {
        journal.append(set("Z", n)).unwrap();
        journal.commit().unwrap();
    }
    drop(journal);
    let (mut journal, recovered) = Journal::open(&path).unwrap();
    let mut store = store();
    assert!(recovered.replay(&mut store, 0).is_empty());
    let before = journal.report().bytes;
    journal.compact(&store, 0).unwrap();
    assert!(journal.report().bytes < before / 50);
    // Appending goes on in the new file.
    journal
        .append(vec![Change::VnetRemove(VnetRemove {
            name: "Z".into(),
            revision: 0,
        })])
        .unwrap();
    journal.commit().unwrap();
    // The new file is locked as the old one was.
    let refused = Journal::open(&path).unwrap_err();
    assert!(
        refused.to_string().contains("another appliance"),
        "{refused}"
    );
    drop(journal);
    let (_, recovered) = Journal::open(&path).unwrap();
    assert_eq!((recovered.records(), recovered.torn.is_none()), (2, true));
    let mut again = self::store();
    recovered.replay(&mut again, 0);
    assert_eq!(again.vnets().count(), 0);
    assert!(!path.with_extension("new").exists());
    fs::remove_dir_all(dir).unwrap();
}
