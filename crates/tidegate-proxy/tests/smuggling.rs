//! What two parsers could read in two ways goes no further, in either direction (T7): each message of `corpus/` beside the
//! calls of a bystander, a server that records what it gets and takes nothing that is not plain, and what is to come of it.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

mod corpus_support;
mod support;
use corpus_support::{Case, Recorder, cases};
use support::{Gated, Origin, Peer, length, plan, start};

/// Final heads that come, interim ones left out; with their bodies, as far as the client is to get any.
async fn answers(client: &mut Peer, head_only: bool) -> Option<(u16, String)> {
    loop {
        let head = client.head().await?;
        let status: u16 = head.get(9..12).and_then(|digits| digits.parse().ok()).expect("a status");
        if status >= 200 {
            let n = if head_only || [204, 304].contains(&status) { 0 } else { length(&head) };
            return Some((status, String::from_utf8_lossy(&client.exactly(n).await).into_owned()));
        }
    }
}

async fn refused(gated: &Gated, case: &Case, statuses: &[u16]) {
    let mut client = Peer::connect(gated.address).await;
    client.send(&case.bytes).await;
    let head = client.head().await.unwrap_or_default();
    let fine = statuses.iter().any(|status| head.starts_with(&format!("HTTP/1.1 {status} ")));
    assert!(fine && head.contains("Connection: close\r\n"), "{case}: {head}");
    client.rest().await;
}

async fn passed(gated: &Gated, case: &Case, messages: usize, then: Option<u16>) {
    let mut client = Peer::connect(gated.address).await;
    client.send(&case.bytes).await;
    let head_only = case.bytes.starts_with(b"HEAD ");
    for _ in 0..messages {
        let (status, body) = answers(&mut client, head_only).await.unwrap_or_else(|| panic!("{case}: no answer"));
        let own = ["/p", "/p%0d%0aX:%20y", "/next", ""].contains(&body.as_str());
        assert!(status == 200 && own, "{case}: {status} {body}");
    }
    let _closed_already = tokio::io::AsyncWriteExt::shutdown(&mut client.tcp).await;
    let rest = String::from_utf8_lossy(&client.rest().await).into_owned();
    match then {
        None => assert_eq!(rest, "", "{case}"),
        Some(status) => assert!(rest.starts_with(&format!("HTTP/1.1 {status} ")), "{case}: {rest}"),
    }
}

#[tokio::test]
async fn every_request_is_refused_or_forwarded_as_exactly_what_it_is() {
    let recorder = Recorder::start().await;
    let gated = start(&plan(recorder.address, 4));
    let mut bystander = Peer::connect(gated.address).await;
    let all = cases(include_str!("corpus/requests.txt"));
    assert!(all.len() >= 60, "{}", all.len());
    let mut away = 0;
    for (number, case) in all.iter().enumerate() {
        let before = recorder.seen();
        let (heads, whole) = match case.expected.as_slice() {
            ["cut"] => {
                refused(&gated, case, &[400]).await;
                (1, 0)
            }
            [messages @ ("1" | "2"), then @ ..] => {
                let messages = messages.parse().expect("a number");
                let then = then.first().map(|status| status.parse().expect("a status"));
                passed(&gated, case, messages, then).await;
                away += u64::from(then.is_some());
                (messages, messages)
            }
            statuses => {
                let statuses: Vec<u16> = statuses.iter().map(|s| s.parse().expect("a status")).collect();
                refused(&gated, case, &statuses).await;
                away += 1;
                (0, 0)
            }
        };
        gated.until("it is over", |g| g.in_flight() == 0).await;
        recorder.settled().await;
        let after = recorder.seen();
        assert_eq!(after.odd, Vec::<String>::new(), "{case}");
        assert!(after.heads - before.heads <= heads, "{case}: {} heads", after.heads - before.heads);
        assert_eq!(after.whole.len() - before.whole.len(), whole, "{case}: {:?}", &after.whole[before.whole.len()..]);
        let path = format!("/bystander/{number}");
        assert_eq!(bystander.get(&path).await.1, path, "{case}: the answer of another");
    }
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert!(recorder.seen().whole.iter().all(|path| !path.contains("evil")));
    assert_eq!(gated.turned_away("bad-request"), away);
    gated.assert_conserved();
}

/// Answers a request for `/attack` with these bytes, all others with their path.
fn answering(mut origin: Origin, bytes: Vec<u8>) {
    tokio::spawn(async move {
        loop {
            let mut peer = origin.accept().await;
            let bytes = bytes.clone();
            tokio::spawn(async move {
                while let Some(head) = peer.head().await {
                    let path = head.split(' ').nth(1).unwrap_or_default();
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len());
                    let answer = if path == "/attack" { &bytes } else { answer.as_bytes() };
                    if tokio::io::AsyncWriteExt::write_all(&mut peer.tcp, answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
}

#[tokio::test]
async fn no_answer_reaches_anybody_but_whom_it_was_for() {
    let all = cases(include_str!("corpus/answers.txt"));
    assert!(all.len() >= 30, "{}", all.len());
    for case in &all {
        let [method, expected] = case.expected.as_slice() else { panic!("{case}: METHOD EXPECTED") };
        let origin = Origin::start().await;
        let gated = start(&plan(origin.address, 2));
        answering(origin, case.bytes.clone());
        let mut attacker = Peer::connect(gated.address).await;
        attacker.send(format!("{method} /attack HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        let mut victims = Vec::new();
        for n in 0..3 {
            let mut victim = Peer::connect(gated.address).await;
            let path = format!("/victim/{n}");
            let (head, body) = victim.get(&path).await;
            assert_eq!(body, path, "{case}: the answer of another: {head}");
            victims.push((victim, path));
        }
        let mut text = String::from_utf8_lossy(&attacker.rest().await).into_owned();
        while text.starts_with("HTTP/1.1 1") {
            text = text.split_once("\r\n\r\n").expect("a head").1.to_string();
        }
        let cut = text.starts_with("HTTP/1.1 200 ") && !text.ends_with("0\r\n\r\n");
        let fine = match *expected {
            "cut" => cut || text.starts_with("HTTP/1.1 502 "),
            status => text.starts_with(&format!("HTTP/1.1 {status} ")),
        };
        assert!(fine && !text.contains("evil"), "{case}: {text}");
        for (victim, path) in &mut victims {
            assert_eq!(victim.get(path).await.1, *path, "{case}: the answer of another, later");
        }
        gated.until("all are done", |g| g.in_flight() == 0).await;
        gated.assert_conserved();
    }
}
