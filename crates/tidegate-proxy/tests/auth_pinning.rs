//! Authentication that belongs to a connection (NTLM, Negotiate): no client ever acts in the name of another, whatever the
//! order of their calls, and a handshake of several steps stays where it began.

#![allow(clippy::expect_used, reason = "tests")]

mod support;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Gated, Peer, admission, length, plan, start};
use tokio::net::{TcpListener, TcpStream};

/// A server that knows users by their connection, as IIS does.
struct Intranet {
    address: SocketAddr,
    /// Connections on which somebody is logged in.
    open: Arc<AtomicUsize>,
    /// Third steps that came on a connection without the first one.
    torn: Arc<AtomicUsize>,
}

async fn converse(mut peer: Peer, number: usize, open: Arc<AtomicUsize>, torn: Arc<AtomicUsize>) {
    let (mut user, mut challenged) = (String::from("nobody"), false);
    while let Some(head) = peer.head().await {
        peer.exactly(length(&head)).await;
        let line = head.lines().find_map(|line| line.strip_prefix("Authorization: ").map(str::to_string));
        let words: Vec<&str> = line.as_deref().unwrap_or_default().split(' ').collect();
        let named = match words.as_slice() {
            ["NTLM", "HELLO"] => {
                challenged = true;
                let challenge = format!("WWW-Authenticate: NTLM C{number}\r\n");
                peer.send(format!("HTTP/1.1 401 Unauthorized\r\n{challenge}Content-Length: 0\r\n\r\n")).await;
                continue;
            }
            ["NTLM", "PROOF", name, challenge] => {
                let mine = challenged && **challenge == format!("C{number}");
                torn.fetch_add(usize::from(!mine), Ordering::Relaxed);
                mine.then(|| (*name).to_string())
            }
            // Kerberos, known before: one step, and nothing in the answer tells of it.
            ["Negotiate", name] => Some((*name).to_string()),
            _ => None,
        };
        if let Some(named) = named {
            open.fetch_add(usize::from(user == "nobody"), Ordering::Relaxed);
            user = named;
        }
        if user == "nobody" && head.starts_with("GET /private") {
            let offer = "WWW-Authenticate: Basic realm=\"x\", Negotiate\r\nWWW-Authenticate: NTLM\r\n";
            peer.send(format!("HTTP/1.1 401 Unauthorized\r\n{offer}Content-Length: 0\r\n\r\n")).await;
            continue;
        }
        peer.reply(&user).await;
    }
    open.fetch_sub(usize::from(user != "nobody"), Ordering::Relaxed);
}

impl Intranet {
    async fn start() -> Intranet {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let (open, torn) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (all_open, all_torn) = (open.clone(), torn.clone());
        tokio::spawn(async move {
            let mut number = usize::from(address.port()) * 1_000_000;
            while let Ok((tcp, _)) = listener.accept().await {
                number += 1;
                let peer = Peer { tcp, buf: Vec::new() };
                tokio::spawn(converse(peer, number, all_open.clone(), all_torn.clone()));
            }
        });
        Intranet { address, open, torn }
    }
}

async fn ask(peer: &mut Peer, method: &str, path: &str, authorization: &str) -> (String, String) {
    let field = if authorization.is_empty() { String::new() } else { format!("Authorization: {authorization}\r\n") };
    peer.send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{field}Content-Length: 0\r\n\r\n")).await;
    peer.answer().await
}

async fn as_ntlm(to: SocketAddr, name: String) {
    let mut peer = Peer::connect(to).await;
    for _ in 0..2 {
        let (head, _) = ask(&mut peer, "GET", "/private", "").await;
        if head.starts_with("HTTP/1.1 401 ") {
            let (head, _) = ask(&mut peer, "GET", "/private", "NTLM HELLO").await;
            let challenge = head.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: NTLM ")).expect("one");
            let proof = format!("NTLM PROOF {name} {challenge}");
            let (head, body) = ask(&mut peer, "GET", "/private", &proof).await;
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            assert_eq!(body, name);
        }
        for call in 0..10 {
            let method = if call % 2 == 0 { "GET" } else { "POST" };
            assert_eq!(ask(&mut peer, method, "/private", "").await.1, name, "the same user on every call");
        }
    }
}

async fn as_kerberos(to: SocketAddr, name: String) {
    let mut peer = Peer::connect(to).await;
    for _ in 0..10 {
        assert_eq!(ask(&mut peer, "GET", "/public", &format!("Negotiate {name}")).await.1, name);
    }
}

async fn as_nobody(to: SocketAddr) {
    for call in 0..20 {
        let mut peer = Peer::connect(to).await;
        for _ in 0..3 {
            let method = if call % 2 == 0 { "GET" } else { "POST" };
            assert_eq!(ask(&mut peer, method, "/public", "").await.1, "nobody");
        }
    }
}

async fn everybody(gated: &Gated) {
    let to = gated.address;
    let mut all = Vec::new();
    for n in 0..8 {
        all.push(tokio::spawn(as_ntlm(to, format!("ntlm-{n}"))));
        all.push(tokio::spawn(as_kerberos(to, format!("kerberos-{n}"))));
        all.push(tokio::spawn(as_nobody(to)));
    }
    for one in all {
        one.await.expect("no mix-up");
    }
    gated.until("all are done", |g| g.in_flight() == 0 && g.service()["open_conns"] == 0).await;
}

#[tokio::test]
async fn nobody_acts_in_the_name_of_another() {
    let intranet = Intranet::start().await;
    let gated = start(&plan(intranet.address, 3));
    everybody(&gated).await;
    gated.until("what was bound is closed", |_| intranet.open.load(Ordering::Relaxed) == 0).await;
    assert_eq!(intranet.torn.load(Ordering::Relaxed), 0);
    let servers = &gated.service()["servers"][0];
    assert!(servers["in_flight_max"].as_u64() <= Some(3) && servers["shared_conns_max"].as_u64() <= Some(4));
    assert_eq!(servers["open_conns"], servers["idle_conns"]);
    gated.assert_conserved();
}

#[tokio::test]
async fn a_handshake_stays_at_its_server_among_several() {
    let (one, two) = (Intranet::start().await, Intranet::start().await);
    let mut plan = plan(one.address, 2);
    plan["services"][0]["servers"] = json!([
        {"name": "a", "address": one.address.to_string(), "tls": null, "send_proxy": null},
        {"name": "b", "address": two.address.to_string(), "tls": null, "send_proxy": null},
    ]);
    plan["services"][0]["admission"] = admission(&[("a", 2), ("b", 2)]);
    let gated = start(&plan);
    everybody(&gated).await;
    assert_eq!(one.torn.load(Ordering::Relaxed) + two.torn.load(Ordering::Relaxed), 0);
    gated.assert_conserved();
}

#[tokio::test]
async fn where_nothing_is_shared_a_handshake_still_stays_on_its_connection() {
    let intranet = Intranet::start().await;
    let mut plan = plan(intranet.address, 3);
    plan["services"][0]["pool_scope"] = json!("never");
    let gated = start(&plan);
    everybody(&gated).await;
    assert_eq!(intranet.torn.load(Ordering::Relaxed), 0);
    gated.until("none is kept", |g| g.service()["servers"][0]["open_conns"] == 0).await;
}

#[tokio::test]
async fn the_server_sees_its_end_when_the_client_leaves() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let gated = start(&plan(listener.local_addr().expect("address"), 3));
    let mut client = Peer::connect(gated.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\nProxy-Authorization: negotiate x\r\n\r\n").await;
    let (tcp, _): (TcpStream, _) = listener.accept().await.expect("the gate connects");
    let mut server = Peer { tcp, buf: Vec::new() };
    server.head().await.expect("a request");
    server.reply("hello").await;
    client.answer().await;
    gated.until("it rests", |g| g.service()["servers"][0]["open_requests"] == 0).await;
    let servers = &gated.service()["servers"][0];
    assert_eq!((&servers["open_conns"], &servers["idle_conns"]), (&json!(1), &json!(0)), "nobody else may have it");
    drop(client);
    assert_eq!(server.rest().await, b"");
    gated.until("it is closed", |g| g.service()["servers"][0]["open_conns"] == 0).await;
}
