//! Where clients connect: an address, or a socket in the file system. Does not know what they want.

use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Who may connect to a socket in the file system: its owner and its group.
const MODE: u32 = 0o660;

/// Takes connections.
#[derive(Debug)]
pub enum HttpListener {
    /// At an address.
    Tcp(TcpListener),
    /// At a path.
    Unix(UnixListener, SocketFile),
}

/// A socket in the file system that is removed when it is dropped, unless it is another one by then.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl HttpListener {
    /// Listens on an address.
    pub async fn tcp(address: SocketAddr) -> io::Result<Self> {
        TcpListener::bind(address).await.map(HttpListener::Tcp)
    }

    /// Listens on a path. A socket that was left there by a process which has ended is replaced.
    pub async fn unix(path: &Path) -> io::Result<Self> {
        if let Ok(found) = fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
            }
            if UnixStream::connect(path).await.is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(MODE))?;
        let inode = inode(path)?;
        Ok(HttpListener::Unix(listener, SocketFile { path: path.to_owned(), inode }))
    }

    /// The address, if it is one.
    pub fn address(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            HttpListener::Tcp(listener) => listener.local_addr().map(Some),
            HttpListener::Unix(..) => Ok(None),
        }
    }

    /// The next client, and its address if it has one.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, Option<IpAddr>)> {
        match self {
            HttpListener::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((stream, Some(address.ip())))
            }
            HttpListener::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                // A stream of bytes is one whatever carries it: all that is asked of it from here on is to read, to
                // write and to end.
                let stream = std::net::TcpStream::from(OwnedFd::from(stream.into_std()?));
                Ok((TcpStream::from_std(stream)?, None))
            }
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            // A server that starts next replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}
