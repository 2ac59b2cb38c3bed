//! Protocol `http`: `POST /session` opens a session (cookie `SESSION`), `GET /call` and `GET /poll` need one.

use crate::protocol::{Verdict, Want};
use crate::wire::{Request, response};
use tidegate_sim::host::Call;

pub fn want(request: &Request) -> Want {
    let path = request.path.split('?').next().unwrap_or_default();
    match (request.method.as_str(), path) {
        ("POST", "/session") => Want::Open,
        ("GET", "/call") => Want::Call,
        ("GET", "/poll") => Want::Poll,
        ("GET", "/healthz") => Want::Page,
        _ => Want::Unknown,
    }
}

pub fn answer(want: Want, verdict: Verdict) -> Vec<u8> {
    let json = "application/json";
    match (want, verdict) {
        (Want::Unknown, _) => response(404, json, "", "{\"error\": \"not found\"}"),
        (_, Verdict::NoSession) => response(401, json, "", "{\"error\": \"no session\"}"),
        (_, Verdict::Opened(number)) => {
            let cookie = format!("Set-Cookie: SESSION={number}; Path=/; HttpOnly\r\n");
            response(200, json, &cookie, "{\"session\": \"opened\"}")
        }
        (_, Verdict::Fine) => response(200, json, "", "{\"ok\": true}"),
    }
}

pub fn request(call: Call, cookie: &str, authority: &str) -> Vec<u8> {
    let line = match call {
        Call::SetContext => "POST /session".to_owned(),
        Call::FollowUp(number) => format!("GET /call?n={number}"),
        Call::Poll => "GET /poll".to_owned(),
    };
    let length = if call == Call::SetContext { "Content-Length: 0\r\n" } else { "" };
    format!("{line} HTTP/1.1\r\nHost: {authority}\r\n{cookie}{length}\r\n").into_bytes()
}
