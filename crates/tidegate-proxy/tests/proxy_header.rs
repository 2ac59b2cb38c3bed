//! PROXY protocol, in and out: clients keep their addresses across balancers.

#![allow(clippy::expect_used, reason = "tests")]

mod support;
use serde_json::{Value, json};
use support::{Origin, Peer, plan, start};

const GET: &str = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn the_header_names_the_client_even_byte_by_byte() {
    let mut plan = plan(Origin::start().await.echo(), 4);
    plan["services"][0]["accept_proxy"] = json!(true);
    let gated = start(&plan);
    let v1 = format!("PROXY TCP4 192.0.2.1 192.0.2.9 1000 443\r\n{GET}").into_bytes();
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    v2.extend([192, 0, 2, 2, 192, 0, 2, 9, 3, 232, 1, 187]);
    v2.extend(GET.as_bytes());
    for bytes in [&v1, &v2] {
        let mut client = Peer::connect(gated.address).await;
        client.send(bytes).await;
        assert!(client.answer().await.0.starts_with("HTTP/1.1 200 "));
        let mut slow = Peer::connect(gated.address).await;
        for byte in bytes {
            slow.send([*byte]).await;
        }
        assert!(slow.answer().await.0.starts_with("HTTP/1.1 200 "));
    }
    gated.until("all are done", |g| g.in_flight() == 0).await;
    let clients: Vec<String> =
        gated.explain().iter().map(|call| call["client"].as_str().unwrap_or("").into()).collect();
    assert_eq!(clients, ["192.0.2.2", "192.0.2.2", "192.0.2.1", "192.0.2.1"]);
    gated.assert_conserved();
}

#[tokio::test]
async fn a_connection_without_the_header_is_refused() {
    let mut origin = Origin::start().await;
    let mut plan = plan(origin.address, 4);
    plan["services"][0]["accept_proxy"] = json!(true);
    plan["services"][0]["io"]["handshake_timeout_ns"] = json!(300_000_000u64);
    let gated = start(&plan);
    for bytes in [GET, "PROXY nonsense\r\n", "PROXY TCP4 192.0.2.1", ""] {
        let mut client = Peer::connect(gated.address).await;
        client.send(bytes).await;
        assert_eq!(client.rest().await, b"", "{bytes:?}");
    }
    assert_eq!(gated.turned_away("handshake"), 4);
    assert!(!origin.accepted_more());
    gated.assert_conserved();
}

#[tokio::test]
async fn the_server_gets_a_header_per_client_and_no_shared_connection() {
    for (version, begins) in
        [("v1", &b"PROXY TCP4 127.0.0.1 127.0.0.1 "[..]), ("v2", &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"[..])]
    {
        let mut origin = Origin::start().await;
        let mut plan = plan(origin.address, 4);
        plan["services"][0]["servers"][0]["send_proxy"] = json!(version);
        let gated = start(&plan);
        for _ in 0..2 {
            let mut client = Peer::connect(gated.address).await;
            client.send(GET).await;
            let mut server = origin.accept().await;
            assert_eq!(server.exactly(begins.len()).await, begins);
            if version == "v1" {
                let line = server.exactly(client.tcp.local_addr().expect("address").port().to_string().len()).await;
                assert_eq!(line, client.tcp.local_addr().expect("address").port().to_string().into_bytes());
            }
            server.head().await.expect("a request");
            server.reply("x").await;
            client.answer().await;
        }
        assert_eq!(gated.service()["servers"][0]["connects"], 2);
    }
}

#[tokio::test]
async fn who_is_in_the_middle_of_the_header_is_a_client_of_a_gate_that_retires() {
    let origin = Origin::start().await.echo();
    let mut plan = plan(origin, 4);
    plan["services"][0]["accept_proxy"] = json!(true);
    let gated = start(&plan);
    let mut client = Peer::connect(gated.address).await;
    let accepted = |line: &str| line.starts_with("tidegate_client_accepted_connections") && line.ends_with(" 1");
    gated.until("it is accepted", |g| g.gate.metrics_text().lines().any(accepted)).await;
    gated.gate.retire();
    let clients = || serde_json::from_str::<Value>(&gated.gate.left_json()).expect("JSON")["clients"].clone();
    assert_eq!(clients(), 1);
    client.send("PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n").await;
    let (head, _) = client.get("/").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("close"), "{head}");
    drop(client);
    gated.until("it has left", |_| clients() == 0).await;
}
