//! Connecting: from a loopback address of the client's own, with or without TLS.

use crate::link::Link;
use crate::tls::ClientTls;
use crate::wire::{Response, read_response};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpSocket;

/// Clients per third byte of their addresses.
const PER_BYTE: u32 = 250;

/// A connection and what came beyond the last answer.
pub struct Line {
    link: Link,
    buffer: Vec<u8>,
}

/// Connects to `target`, from `source` where that is possible (both on loopback).
pub async fn dial(target: SocketAddr, source: IpAddr, tls: Option<&ClientTls>) -> io::Result<Line> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if target.is_ipv4() && target.ip().is_loopback() {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(target).await?;
    stream.set_nodelay(true)?;
    let link = match tls {
        None => Link::Plain(stream),
        Some(tls) => Link::Tls(Box::new(tls.connector.connect(tls.name.clone(), stream).await?.into())),
    };
    Ok(Line { link, buffer: Vec::new() })
}

impl Line {
    /// Sends a request and reads its answer.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<Response> {
        self.link.write_all(request).await?;
        self.link.flush().await?;
        read_response(&mut self.link, &mut self.buffer).await
    }

    /// Gives the line back if its peer has not closed it meanwhile.
    pub async fn still_open(mut self) -> Option<Line> {
        let mut byte = [0; 1];
        let quiet = std::future::poll_fn(|cx| {
            Poll::Ready(Pin::new(&mut self.link).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_pending())
        });
        quiet.await.then_some(self)
    }

    /// Returns when the peer has closed it.
    pub async fn closed(mut self) {
        crate::wire::gone(&mut self.link, &mut self.buffer).await;
    }
}

/// The address of client number `index` under a prefix of two bytes.
pub fn source(index: u32, prefix: &str) -> io::Result<IpAddr> {
    let (first, second) = prefix.split_once('.').ok_or(io::ErrorKind::InvalidInput)?;
    let byte = |text: &str| text.parse::<u8>().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
    let third = u8::try_from(1 + index / PER_BYTE).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(IpAddr::V4(Ipv4Addr::new(byte(first)?, byte(second)?, third, (1 + index % PER_BYTE) as u8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_an_address_of_its_own() {
        let all: std::collections::BTreeSet<_> = (0..62_500).map(|index| source(index, "127.1").unwrap()).collect();
        assert_eq!(all.len(), 62_500);
        assert_eq!(source(250, "127.1").unwrap().to_string(), "127.1.2.1");
        assert!(source(0, "127").is_err() && source(70_000, "127.1").is_err());
    }
}
