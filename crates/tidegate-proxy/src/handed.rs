//! Listening sockets that another process has opened: systemd, or the gate that this one takes over from.

use std::io;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Takes over the listening TCP socket with this number. It is closed when it is none.
///
/// # Errors
/// It is no descriptor of this process, or no listening TCP socket.
#[allow(unsafe_code, reason = "a descriptor from sd_listen_fds(3) or SCM_RIGHTS has a number and nothing else")]
pub fn listener(number: RawFd) -> io::Result<TcpListener> {
    if number < 3 || !std::path::Path::new(&format!("/proc/self/fd/{number}")).exists() {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    // SAFETY: the descriptor is open, as was just seen, and whoever passes its number gives it away: Python's
    // `socket.detach()` and systemd's protocol both leave nobody else who would close it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    let socket = socket2::Socket::from(descriptor);
    let is_tcp = socket.protocol()? == Some(socket2::Protocol::TCP);
    if !is_tcp || !socket.is_listener()? {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    socket.set_nonblocking(true)?;
    socket.set_cloexec(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::IntoRawFd;

    #[test]
    fn only_a_listening_socket_is_taken_over() {
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listening.local_addr().unwrap();
        assert_eq!(listener(listening.into_raw_fd()).unwrap().local_addr().unwrap(), address);
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(listener(datagrams.into_raw_fd()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(listener(1).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(listener(1 << 30).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
