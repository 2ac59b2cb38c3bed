//! What the fuzz targets need of modules that nobody else outside may use. Compiled with `--cfg fuzzing` only.

use crate::http1::Framing;
use crate::http1::body::Decoder;
use crate::http1::fields::FIELDS_MAX;
use crate::http1::request::{FieldRoom, Method, Outgoing, Request};
use crate::http1::response::{Manner, Response};
use crate::http1::scan::Scan;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn room<'b>() -> FieldRoom<'b> {
    [MaybeUninit::uninit(); FIELDS_MAX]
}

/// Finds a head at once and byte by byte; both ways must agree.
fn head(data: &[u8]) -> Option<&[u8]> {
    let end = Scan::default().look(data);
    let mut scan = Scan::default();
    let stepwise = (0..=data.len()).map(|n| scan.look(&data[..n])).find(|found| *found != Ok(None));
    assert_eq!(stepwise.unwrap_or(Ok(None)), end);
    end.ok().flatten().map(|end| &data[..end])
}

/// A request that is taken must be forwarded as a request that is taken, with the same meaning.
pub fn request(data: &[u8]) {
    let Some(head) = head(data) else { return };
    let mut fields = room();
    let Ok(request) = Request::parse(head, &mut fields) else { return };
    let mut forwarded = Vec::new();
    let outgoing = Outgoing { trusted: data.len() % 2 == 0, keep_expect: true, plain: data.len() % 3 == 0 };
    request.write_to(PEER, outgoing, &mut forwarded);
    assert_eq!(Scan::default().look(&forwarded), Ok(Some(forwarded.len())), "{}", forwarded.escape_ascii());
    let mut fields = room();
    let again = match Request::parse(&forwarded, &mut fields) {
        Ok(again) => again,
        // The fields that are added may be one too many.
        Err(refusal) => return assert_eq!(refusal.status, 431, "{}", forwarded.escape_ascii()),
    };
    assert_eq!((again.method, again.target), (request.method, request.target));
    assert_eq!(again.facts.framing, request.facts.framing);
    assert_eq!(again.facts.upgrade, request.facts.upgrade);
    body(request.facts.framing, &data[head.len()..]);
}

/// The same for an answer.
pub fn answer(data: &[u8]) {
    let Some(head) = head(data) else { return };
    let mut fields = room();
    let Ok(response) = Response::parse(head, &mut fields, Method::Other) else { return };
    let mut forwarded = Vec::new();
    let manner = Manner { close: false, modern: true, unchunk: false, switch: false, private: false };
    response.write_to(manner, &mut forwarded);
    let mut fields = room();
    match Response::parse(&forwarded, &mut fields, Method::Other) {
        Ok(again) => {
            assert_eq!((again.facts.status, again.facts.framing), (response.facts.status, response.facts.framing));
        }
        Err(_) => panic!("{}", forwarded.escape_ascii()),
    }
    body(response.facts.framing, &data[head.len()..]);
}

/// A body must give the same data in one piece and byte by byte.
fn body(framing: Framing, data: &[u8]) {
    let mut whole = data.to_vec();
    let mut decoder = Decoder::new(framing);
    let at_once = decoder.decode(&mut whole).map(|decoded| {
        assert!(decoded.data <= decoded.used && decoded.used <= data.len());
        (whole[..decoded.data].to_vec(), decoded.used, decoder.is_done())
    });
    let mut decoder = Decoder::new(framing);
    let (mut found, mut used) = (Vec::new(), 0);
    for byte in data {
        if decoder.is_done() {
            break;
        }
        let mut one = [*byte];
        match decoder.decode(&mut one) {
            Ok(decoded) => {
                found.extend_from_slice(&one[..decoded.data]);
                used += decoded.used;
            }
            Err(_) => return assert!(at_once.is_err()),
        }
    }
    assert_eq!(at_once, Ok((found, used, decoder.is_done())));
}
