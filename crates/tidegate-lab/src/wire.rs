//! HTTP/1.1 messages, just enough of it: heads by httparse, bodies by Content-Length, both bounded.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

const HEAD_MAX: usize = 16 * 1024;
const BODY_MAX: usize = 256 * 1024;
const HEADERS_MAX: usize = 64;

/// A request as the server reads it.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

/// A response as a host reads it.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

/// Header fields in their order.
#[derive(Debug, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first field of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The value of a cookie that a client sent.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.get("cookie")?.split(';').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether the connection may be used again.
    pub fn keep_alive(&self) -> bool {
        !self.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    fn read(fields: &[httparse::Header<'_>]) -> Headers {
        Headers(
            fields
                .iter()
                .map(|field| (field.name.to_owned(), String::from_utf8_lossy(field.value).into_owned()))
                .collect(),
        )
    }
}

/// Reads one request; `None` when the client closed instead. `buffer` keeps what came beyond it.
pub async fn read_request<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let head = read_head(stream, buffer, |bytes| {
        let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut fields);
        let httparse::Status::Complete(length) = request.parse(bytes).map_err(garbage)? else { return Ok(None) };
        let method = request.method.unwrap_or_default().to_owned();
        let path = request.path.unwrap_or_default().to_owned();
        Ok(Some((length, (method, path, Headers::read(request.headers)))))
    });
    let Some((method, path, headers)) = head.await? else { return Ok(None) };
    if headers.get("transfer-encoding").is_some() {
        return Err(garbage("the lab reads bodies by Content-Length only"));
    }
    let body = read_body(stream, buffer, headers.get("content-length").unwrap_or("0")).await?;
    Ok(Some(Request { method, path, headers, body }))
}

/// Reads one response; an early end is an error.
pub async fn read_response<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> io::Result<Response> {
    let head = read_head(stream, buffer, |bytes| {
        let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let httparse::Status::Complete(length) = response.parse(bytes).map_err(garbage)? else { return Ok(None) };
        Ok(Some((length, (response.code.unwrap_or(0), Headers::read(response.headers)))))
    });
    let (status, headers) = head.await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let length = headers.get("content-length").ok_or_else(|| garbage("a response without Content-Length"))?;
    let body = read_body(stream, buffer, length).await?;
    Ok(Response { status, headers, body })
}

/// Reads until `parse` gives a head and its length.
async fn read_head<S: AsyncRead + Unpin, T>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    parse: impl Fn(&[u8]) -> io::Result<Option<(usize, T)>>,
) -> io::Result<Option<T>> {
    loop {
        if let Some((length, head)) = parse(buffer)? {
            buffer.drain(..length);
            return Ok(Some(head));
        }
        if buffer.len() >= HEAD_MAX {
            return Err(garbage("a head of more than 16 KiB"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return if buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    }
}

async fn read_body<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>, length: &str) -> io::Result<Vec<u8>> {
    let length: usize = length.trim().parse().map_err(garbage)?;
    if length > BODY_MAX {
        return Err(garbage("a body of more than 256 KiB"));
    }
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let rest = buffer.split_off(length);
    Ok(std::mem::replace(buffer, rest))
}

/// Returns when the peer has left (closed or reset). What it sends meanwhile is kept, up to a head's worth.
pub async fn gone<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) {
    while buffer.len() < HEAD_MAX {
        match stream.read_buf(buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    std::future::pending().await
}

/// A whole response.
pub fn response(status: u16, content_type: &str, extra: &str, body: &str) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        401 => "Unauthorized",
        404 => "Not Found",
        400 => "Bad Request",
        _ => "Internal Server Error",
    };
    let length = body.len();
    format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{extra}\r\n{body}"
    )
    .into_bytes()
}

fn garbage(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reads_two_requests_from_one_stream() {
        let mut bytes: &[u8] =
            b"POST /a HTTP/1.1\r\nContent-Length: 2\r\nCookie: A=1; B=2\r\n\r\nhiGET /b HTTP/1.1\r\n\r\n";
        let mut buffer = Vec::new();
        let first = read_request(&mut bytes, &mut buffer).await.unwrap().unwrap();
        assert_eq!((first.path.as_str(), first.body.as_slice()), ("/a", b"hi".as_slice()));
        assert_eq!((first.headers.cookie("B"), first.headers.cookie("C")), (Some("2"), None));
        assert_eq!(read_request(&mut bytes, &mut buffer).await.unwrap().unwrap().path, "/b");
        assert!(read_request(&mut bytes, &mut buffer).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn refuses_what_it_cannot_frame() {
        for bytes in [
            b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice(),
            b"GET / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
            b"\x16\x03\x01 not http",
            b"GET / HT",
        ] {
            let mut stream = bytes;
            assert!(read_request(&mut stream, &mut Vec::new()).await.is_err());
        }
        let mut endless: &[u8] = &[b'a'; 20_000];
        assert!(read_request(&mut endless, &mut Vec::new()).await.is_err());
    }
}
