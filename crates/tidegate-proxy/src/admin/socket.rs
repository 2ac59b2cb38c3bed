//! The sockets of the admin thread: a Unix socket that only its owner can use, and TCP behind a token.

use crate::error::GateError;
use crate::plan::AdminPlan;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Shortest token: 16 characters of 6 bits are 96 bits.
const TOKEN_MIN: usize = 16;

/// What is bound. Dropped, it takes the Unix socket's path away.
pub(super) struct Sockets {
    pub(super) unix: Option<UnixListener>,
    pub(super) tcp: Option<TcpListener>,
    pub(super) token: Option<Arc<[u8]>>,
    /// Where the Unix socket is until it is published.
    beside: Option<PathBuf>,
    path: Option<PathBuf>,
    /// The socket's inode once it is at its path.
    inode: Option<u64>,
}

impl Drop for Sockets {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            let _already_gone = fs::remove_file(beside);
        }
        // A gate that has taken over has a socket of its own at the path.
        if let Some(path) = self.path.as_ref().filter(|path| self.inode.is_some() && inode(path) == self.inode) {
            let _already_gone = fs::remove_file(path);
        }
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|found| found.ino())
}

impl Sockets {
    /// Moves the Unix socket to its path, in the place of whatever socket is there.
    pub(super) fn publish(&mut self) -> Result<(), GateError> {
        let (Some(beside), Some(path)) = (&self.beside, &self.path) else { return Ok(()) };
        fs::rename(beside, path).map_err(|error| cannot_bind(path, &error))?;
        self.inode = inode(path);
        self.beside = None;
        Ok(())
    }
}

fn cannot_bind(path: &Path, error: &io::Error) -> GateError {
    let message = format!("admin.unix {} cannot be bound: {error}", path.display());
    GateError::new("bind", message, "the folder must exist and be writable, and no other gate may use the path")
}

pub(super) fn bind(plan: &AdminPlan, tcp: Option<TcpListener>, replaces: bool) -> Result<Sockets, GateError> {
    let token = plan.token_file.as_deref().map(read_token).transpose()?;
    let tcp = plan
        .tcp
        .map(|address| {
            let handed = tcp.filter(|tcp| tcp.local_addr().is_ok_and(|at| at == address));
            handed.map_or_else(|| crate::gate::bind(address), Ok).map_err(|error| {
                GateError::new(
                    "bind",
                    format!("admin.tcp {address} cannot be bound: {error}"),
                    "choose another address",
                )
            })
        })
        .transpose()?;
    let unix = plan.unix.as_deref().map(|path| bind_unix(path, replaces).map_err(|error| cannot_bind(path, &error)));
    let (unix, beside) = unix.transpose()?.unzip();
    Ok(Sockets { unix, tcp, token, beside, path: plan.unix.clone(), inode: None })
}

fn read_token(path: &Path) -> Result<Arc<[u8]>, GateError> {
    let hint = "write a random word of at least 16 characters into it, mode 0600";
    let wrong = |what: String| GateError::new("plan", format!("admin.token_file {} {what}", path.display()), hint);
    let text = fs::read_to_string(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let token = text.trim();
    if token.len() < TOKEN_MIN || token.contains(char::is_whitespace) {
        return Err(wrong("holds no usable token".to_string()));
    }
    Ok(token.as_bytes().into())
}

/// Binds beside the path and closes it to others: nobody can connect before the mode is right.
fn bind_unix(path: &Path, replaces: bool) -> io::Result<(UnixListener, PathBuf)> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) if !replaces && UnixStream::connect(path).is_ok() => return Err(io::ErrorKind::AddrInUse.into()),
        _ => {}
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let _left_by_a_crash = fs::remove_file(&beside);
    let listener = UnixListener::bind(&beside)?;
    let ready =
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).and_then(|()| listener.set_nonblocking(true));
    if ready.is_err() {
        let _ours = fs::remove_file(&beside);
    }
    ready.map(|()| (listener, beside))
}
