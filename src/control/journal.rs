//! What the operator changed, on disk before it is acknowledged.
//!
//! A file of lines, one for each acknowledged request:
//!
//! ```text
//! 0000005c 8d1f2a33 {"time":1790000000,"changes":[{"method":"vnet.set","params":{…}}]}
//! ```
//!
//! that is the length and the CRC-32 of the JSON in hexadecimal, then the
//! JSON. Lines say what is (`set`) or is no longer (`remove`), not what was
//! asked, so replaying needs no history. A line cut short by a crash was never
//! acknowledged: loading stops there and says so.
//!
//! All requests of a slice share one fdatasync. If writing fails, the file is
//! cut back to its last good length, and the requests are refused and undone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::proto::{Change, JournalReport};
use super::store::Store;

/// `length crc ` before the JSON.
const HEAD: usize = 18;

/// Below this size the journal is left as it is.
const COMPACT_FROM: u64 = 1 << 20;

/// Where the journal's bytes go; a trait so that tests can have disks fail.
pub trait Disk: std::fmt::Debug + Send {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

impl Disk for File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
struct Record<'a> {
    /// Seconds since 1970: expiries in the changes count from here.
    time: u64,
    #[serde(borrow)]
    changes: Vec<Change<'a>>,
}

/// What was found at start.
#[derive(Debug, Default)]
pub struct Recovered {
    text: Vec<u8>,
    lines: Vec<std::ops::Range<usize>>,
    /// Bytes after the last good line, and what is wrong with them.
    pub torn: Option<(u64, String)>,
}

impl Recovered {
    pub fn records(&self) -> usize {
        self.lines.len()
    }

    /// Puts everything into the store (the plant gets it later, all at once).
    /// What no longer fits is left out and returned as text.
    pub fn replay(&self, store: &mut Store, now: u32) -> Vec<String> {
        let wall = wall_clock();
        let mut problems = Vec::new();
        for line in &self.lines {
            match serde_json::from_slice::<Record<'_>>(&self.text[line.clone()]) {
                Ok(record) => {
                    let age = u32::try_from(wall.saturating_sub(record.time)).unwrap_or(u32::MAX);
                    for change in record.changes {
                        store.restore(change, age, now, &mut problems);
                    }
                }
                Err(error) => problems.push(format!("journal line: {error}")),
            }
        }
        problems
    }
}

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    disk: Box<dyn Disk>,
    /// Lines of this slice.
    waiting: Vec<u8>,
    waiting_records: u64,
    /// Good bytes on disk.
    length: u64,
    records: u64,
    /// Length after the last compaction.
    compacted: u64,
    compactions: u64,
    /// The file may hold more than `length` bytes.
    dirty: bool,
    error: Option<String>,
}

impl Journal {
    /// Opens or creates; a torn tail is cut off and kept beside the journal,
    /// with the extension `torn`. A journal has one owner: what looks torn may
    /// be what another one is writing.
    pub fn open(path: &Path) -> io::Result<(Journal, Recovered)> {
        let mut file = open_alone(path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let (lines, good, reason) = read_lines(&text);
        let torn = reason.map(|reason| ((text.len() - good) as u64, reason));
        if torn.is_some() {
            // Should it be damage and not a crash, somebody may want to look.
            fs::write(path.with_extension("torn"), &text[good..])?;
            file.set_len(good as u64)?;
            file.sync_all()?;
        }
        sync_directory(path)?;
        let records = lines.len() as u64;
        let mut journal = Journal::over(path, Box::new(file), good as u64);
        journal.records = records;
        Ok((journal, Recovered { text, lines, torn }))
    }

    /// A journal on another disk.
    pub fn over(path: &Path, disk: Box<dyn Disk>, length: u64) -> Journal {
        Journal {
            path: path.to_owned(),
            disk,
            waiting: Vec::new(),
            waiting_records: 0,
            length,
            records: 0,
            compacted: length,
            compactions: 0,
            dirty: false,
            error: None,
        }
    }

    /// Notes changes for the next [`Journal::commit`].
    pub fn append(&mut self, changes: Vec<Change<'_>>) -> io::Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.waiting.extend(line(changes)?);
        self.waiting_records += 1;
        Ok(())
    }

    /// Brings what was noted to disk, or nothing of it.
    pub fn commit(&mut self) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let records = std::mem::take(&mut self.waiting_records);
        if waiting.is_empty() {
            return Ok(());
        }
        let done = self.write(&waiting);
        self.error = done.as_ref().err().map(io::Error::to_string);
        if done.is_ok() {
            self.length += waiting.len() as u64;
            self.records += records;
        }
        done
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.cut_back()?;
        self.dirty = true;
        let written = self.disk.write_all(bytes).and_then(|()| self.disk.sync());
        match written {
            Ok(()) => self.dirty = false,
            // If this fails too, it is tried again before the next write.
            Err(_) => drop(self.cut_back()),
        }
        written
    }

    /// Removes what a failed write may have left.
    fn cut_back(&mut self) -> io::Result<()> {
        if self.dirty {
            self.disk.truncate(self.length)?;
            self.disk.sync()?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Has it grown so that a snapshot pays?
    pub fn wants_compaction(&self) -> bool {
        self.length > COMPACT_FROM && self.length > self.compacted.saturating_mul(2)
    }

    /// Writes the store's operator objects to a new file and puts it in the
    /// place of the old one. Whatever fails, one of the two is whole.
    pub fn compact(&mut self, store: &Store, now: u32) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let outcome = self.write_snapshot(&fresh, store, now);
        if outcome.is_err() {
            // Next time, after as much again.
            self.compacted = self.length;
            drop(fs::remove_file(&fresh));
        }
        outcome
    }

    fn write_snapshot(&mut self, fresh: &Path, store: &Store, now: u32) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(fresh)?;
        lock(&file)?;
        file.set_len(0)?;
        let mut length = 0;
        let mut records = 0;
        for changes in store.operator_snapshot(now) {
            let line = line(changes)?;
            Write::write_all(&mut file, &line)?;
            length += line.len() as u64;
            records += 1;
        }
        file.sync_all()?;
        fs::rename(fresh, &self.path)?;
        sync_directory(&self.path)?;
        self.disk = Box::new(file);
        self.length = length;
        self.compacted = length;
        self.records = records;
        self.compactions += 1;
        self.dirty = false;
        Ok(())
    }

    pub fn report(&self) -> JournalReport {
        JournalReport {
            path: self.path.display().to_string(),
            bytes: self.length,
            records: self.records,
            compactions: self.compactions,
            error: self.error.clone(),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// Opens, and locks against other appliances. The file locked must be the one
/// at that path still: its owner may have put a snapshot there in between.
fn open_alone(path: &Path) -> io::Result<File> {
    loop {
        let file = open(path)?;
        lock(&file)?;
        let (ours, there) = (file.metadata()?, fs::metadata(path)?);
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            return Ok(file);
        }
    }
}

/// As long as the file is open; a killed owner's lock goes with it.
fn lock(file: &File) -> io::Result<()> {
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        rustix::io::Errno::WOULDBLOCK => io::Error::other("another appliance uses it"),
        other => other.into(),
    })
}

/// A new or renamed file is there after a crash only if its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn wall_clock() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}

fn line(changes: Vec<Change<'_>>) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(&Record {
        time: wall_clock(),
        changes,
    })?;
    let mut line = format!("{:08x} {:08x} ", json.len(), crc32(&json)).into_bytes();
    line.extend_from_slice(&json);
    line.push(b'\n');
    Ok(line)
}

/// Good lines from the start on, their length, and why it ends before the end.
fn read_lines(text: &[u8]) -> (Vec<std::ops::Range<usize>>, usize, Option<String>) {
    let mut lines = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match read_line(&text[at..]) {
            Ok(json) => {
                lines.push(at + HEAD..at + HEAD + json);
                at += HEAD + json + 1;
            }
            Err(reason) => return (lines, at, Some(reason.to_owned())),
        }
    }
    (lines, at, None)
}

/// Length of the JSON of the line that `text` begins with.
fn read_line(text: &[u8]) -> Result<usize, &'static str> {
    let hex = |range: std::ops::Range<usize>| {
        let digits = text
            .get(range)
            .filter(|d| d.iter().all(u8::is_ascii_hexdigit))?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let (Some(length), Some(crc)) = (hex(0..8), hex(9..17)) else {
        return Err("line without length and checksum");
    };
    let length = length as usize;
    let json = text
        .get(HEAD..HEAD.saturating_add(length))
        .ok_or("line cut short")?;
    match text.get(HEAD + length) {
        Some(b'\n') if text[8] == b' ' && text[17] == b' ' => {}
        _ => return Err("line cut short"),
    }
    match crc32(json) == crc {
        true => Ok(length),
        false => Err("checksum does not match"),
    }
}

/// CRC-32 as in Ethernet and zip.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut crc = i as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 != 0 {
                    crc >> 1 ^ 0xedb8_8320
                } else {
                    crc >> 1
                };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, byte| {
        TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ crc >> 8
    })
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
