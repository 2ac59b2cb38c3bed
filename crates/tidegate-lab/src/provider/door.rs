//! A listening socket that can be shut and opened again at the same address: shut, connections are refused.

use crate::LabError;
use crate::process::cannot_bind;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Connections that the kernel keeps until they are accepted.
const KERNEL_BACKLOG: i32 = 4096;
/// A pause after a failed accept, which is for want of file descriptors as a rule.
const BREATH: Duration = Duration::from_millis(10);

pub struct Door {
    address: SocketAddr,
    state: State,
}

enum State {
    /// Bound, so that nobody else takes the port, but refusing.
    Shut(Option<Socket>),
    Open(TcpListener),
}

impl Door {
    /// Takes an address; the door is shut.
    pub fn bind(address: SocketAddr) -> Result<Door, LabError> {
        let bound = bind(address).map_err(|error| cannot_bind(&address.to_string(), &error))?;
        let address = bound.local_addr().ok().and_then(|address| address.as_socket()).unwrap_or(address);
        Ok(Door { address, state: State::Shut(Some(bound)) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets clients in. An open door stays open.
    pub fn open(&mut self) -> Result<(), LabError> {
        let State::Shut(socket) = &mut self.state else { return Ok(()) };
        let listener = socket.take().map_or_else(|| bind(self.address), Ok).and_then(|socket| {
            socket.listen(KERNEL_BACKLOG)?;
            TcpListener::from_std(socket.into())
        });
        self.state = State::Open(listener.map_err(|error| cannot_bind(&self.address.to_string(), &error))?);
        Ok(())
    }

    /// Refuses clients, those that wait to be accepted included.
    pub fn close(&mut self) -> Result<(), LabError> {
        self.state = State::Shut(None);
        let bound = bind(self.address).map_err(|error| cannot_bind(&self.address.to_string(), &error))?;
        self.state = State::Shut(Some(bound));
        Ok(())
    }

    /// The next client.
    pub async fn accept(&self) -> TcpStream {
        loop {
            match &self.state {
                State::Shut(_) => std::future::pending().await,
                State::Open(listener) => match listener.accept().await {
                    Ok((stream, _)) => return stream,
                    Err(_) => tokio::time::sleep(BREATH).await,
                },
            }
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
