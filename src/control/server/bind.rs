//! Getting the socket: one appliance per path, nothing left behind.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Gid, Mode, flock};

/// Why the socket could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("another appliance uses {}; stop it, or give this one another socket", path.display())]
    InUse { path: PathBuf },
    #[error("{} exists and is not a socket; remove it, or choose another path", path.display())]
    NotASocket { path: PathBuf },
    #[error("{what} {}: {error}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        error: io::Error,
    },
}

/// The lock beside the socket, and both their names. Dropping it removes the
/// socket, then the lock.
#[derive(Debug)]
pub(super) struct Place {
    socket: PathBuf,
    lock: PathBuf,
    _held: File,
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.socket));
        drop(fs::remove_file(&self.lock));
    }
}

/// Binds with the mode and the group. A socket whose appliance is gone is
/// removed first; the lock tells, not the socket.
pub(super) fn bind(
    path: &Path,
    mode: u32,
    group: Option<u32>,
) -> Result<(UnixListener, Place), BindError> {
    let fail = |what, path: &Path| {
        let path = path.to_owned();
        move |error| BindError::Io { what, path, error }
    };
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let lock = PathBuf::from(lock);
    let held = take_lock(path, &lock)?;
    // Until here nothing at that path is ours to remove.
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            drop(fs::remove_file(&lock));
            let path = path.to_owned();
            return Err(BindError::NotASocket { path });
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(fail("cannot look at", path)(error));
        }
        _ => {}
    }
    let place = Place {
        socket: path.to_owned(),
        lock,
        _held: held,
    };
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(fail("cannot remove the stale socket", path)(error));
        }
        _ => {}
    }
    // Nobody may connect before the mode is right.
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = bound.map_err(fail("cannot listen on", path))?;
    if let Some(group) = group {
        rustix::fs::chown(path, None, Some(Gid::from_raw(group)))
            .map_err(|e| fail("cannot give to its group", path)(e.into()))?;
    }
    rustix::fs::chmod(path, Mode::from_raw_mode(mode))
        .map_err(|e| fail("cannot set the mode of", path)(e.into()))?;
    listener
        .set_nonblocking(true)
        .map_err(fail("cannot set up", path))?;
    Ok((listener, place))
}

/// Takes the lock, and makes sure that the file locked is still the one at
/// that path: its last holder may have removed it in between.
fn take_lock(socket: &Path, lock: &Path) -> Result<File, BindError> {
    let fail = |error| BindError::Io {
        what: "cannot lock",
        path: lock.to_owned(),
        error,
    };
    loop {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(lock)
            .map_err(fail)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(BindError::InUse {
                    path: socket.to_owned(),
                });
            }
            Err(error) => return Err(fail(error.into())),
        }
        let ours = file.metadata().map_err(fail)?;
        match fs::metadata(lock) {
            Ok(there) if there.ino() == ours.ino() && there.dev() == ours.dev() => return Ok(file),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(error)),
        }
    }
}
