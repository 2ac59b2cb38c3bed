//! Protocol vasa over real sockets: operations decide, faults speak SOAP, version.xml leads to the gate.

#![allow(clippy::expect_used, reason = "tests")]

mod support;
use serde_json::{Value, json};
use support::{Gated, Origin, Peer, plan, start};

fn vasa_plan(server: std::net::SocketAddr, limit: u32) -> Value {
    let mut plan = plan(server, limit);
    plan["services"][0]["protocol"] = json!({
        "kind": "vasa",
        "operations": {
            "setContext": {"role": "open", "cost_milli": 1000, "fault": "StorageFault"},
            "getEvents": {"role": "poll", "cost_milli": 10, "fault": "StorageFault"},
            "queryArrays": {"role": "call", "cost_milli": 333, "fault": "StorageFault"},
        },
        "default": {"role": "call", "cost_milli": 333, "fault": "StorageFault"},
        "session_cookie": "VASASESSIONID", "version_path": "/vasa/version.xml", "lower_concurrency": false,
        "public_url": "https://gate.example:8443", "probe_paths": [],
    });
    plan
}

fn call(operation: &str, headers: &str) -> String {
    let body = format!(
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>\
         <v:{operation} xmlns:v=\"http://com.vmware.vim.vasa/2.0/xsd\"><v:a>1</v:a></v:{operation}></s:Body></s:Envelope>"
    );
    format!(
        "POST /vasa/services/vasaService HTTP/1.1\r\nHost: vp\r\nContent-Type: text/xml\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn serve(server: &mut Peer, cookie: &str) -> String {
    let head = server.head().await.expect("a call");
    let body = server.exactly(support::length(&head)).await;
    server.send(format!("HTTP/1.1 200 OK\r\n{cookie}Content-Length: 2\r\n\r\nok")).await;
    String::from_utf8_lossy(&body).into_owned()
}

fn operations(gated: &Gated) -> Vec<(String, String)> {
    let word = |call: &Value, key: &str| call[key].as_str().unwrap_or("").to_string();
    gated.explain().iter().map(|call| (word(call, "operation"), word(call, "class"))).collect()
}

#[tokio::test]
async fn operations_and_sessions_give_the_class() {
    let mut origin = Origin::start().await;
    let gated = start(&vasa_plan(origin.address, 4));
    let mut client = Peer::connect(gated.address).await;
    client.send(call("setContext", "")).await;
    let mut server = origin.accept().await;
    assert!(serve(&mut server, "Set-Cookie: VASASESSIONID=abc; Path=/; Secure\r\n").await.contains("setContext"));
    client.answer().await;
    let session = "Cookie: VASASESSIONID=abc\r\n";
    for operation in ["queryArrays", "getEvents", "queryArrays"] {
        client.send(call(operation, session)).await;
        serve(&mut server, "").await;
        assert_eq!(client.answer().await.1, "ok");
    }
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(
        operations(&gated),
        [
            ("queryArrays", "steady"),
            ("getEvents", "steady"),
            ("queryArrays", "continuation"),
            ("setContext", "new-session")
        ]
        .map(|(a, b)| (a.to_string(), b.to_string()))
    );
    assert_eq!(gated.counter("sessions_opened"), 1);
    gated.assert_conserved();
}

#[tokio::test]
async fn the_operation_is_found_in_chunks_byte_by_byte_and_behind_expect() {
    let mut origin = Origin::start().await;
    let gated = start(&vasa_plan(origin.address, 4));
    let mut client = Peer::connect(gated.address).await;
    let whole = call("queryArrays", "");
    let (_, body) = whole.split_once("\r\n\r\n").expect("a body");
    client
        .send("POST /v HTTP/1.1\r\nHost: vp\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.head().await.expect("100"), "HTTP/1.1 100 Continue\r\n\r\n");
    for byte in body.as_bytes() {
        client.send(format!("1\r\n{}\r\n", char::from(*byte))).await;
    }
    client.send("0\r\n\r\n").await;
    let mut server = origin.accept().await;
    let head = server.head().await.expect("a call");
    assert!(!head.contains("Expect"), "the gate has answered it: {head}");
    let mut got = Vec::new();
    while !got.ends_with(b"0\r\n\r\n") {
        got.extend(server.exactly(1).await);
    }
    server.reply("ok").await;
    assert_eq!(client.answer().await.1, "ok");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(operations(&gated)[0].0, "queryArrays");
    gated.assert_conserved();
}

#[tokio::test]
async fn a_call_that_is_turned_away_gets_its_declared_fault() {
    let mut origin = Origin::start().await;
    let mut plan = vasa_plan(origin.address, 1);
    plan["services"][0]["admission"]["held_max"] = json!(1);
    let gated = start(&plan);
    let mut busy = Peer::connect(gated.address).await;
    busy.send(call("queryArrays", "")).await;
    let mut server = origin.accept().await;
    let head = server.head().await.expect("a call");
    server.exactly(support::length(&head)).await;
    let mut held = Peer::connect(gated.address).await;
    held.send(call("queryArrays", "")).await;
    gated.until("one is held", |g| g.service()["held_total"] == 1).await;
    let mut third = Peer::connect(gated.address).await;
    third.send(call("queryArrays", "")).await;
    let (head, body) = third.answer().await;
    assert!(head.starts_with("HTTP/1.1 500 ") && head.contains("Retry-After: "), "{head}");
    assert!(head.contains("Content-Type: text/xml"), "{head}");
    assert!(body.contains("StorageFault") && body.contains("queue-full"), "{body}");
    assert!(!head.contains("Connection: close"), "{head}");
    server.reply("ok").await;
    assert_eq!(busy.answer().await.1, "ok");
}

#[tokio::test]
async fn soap_that_parsers_disagree_about_is_refused() {
    let mut origin = Origin::start().await;
    let gated = start(&vasa_plan(origin.address, 1));
    let body = "<!DOCTYPE x [<!ENTITY a 'b'>]><s:Envelope/>";
    let mut client = Peer::connect(gated.address).await;
    client
        .send(format!(
            "POST /v HTTP/1.1\r\nHost: vp\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
    assert!(client.head().await.expect("an answer").starts_with("HTTP/1.1 400 "));
    assert_eq!(gated.turned_away("bad-request"), 1);
    assert!(!origin.accepted_more());
    gated.assert_conserved();
}

#[tokio::test]
async fn version_xml_leads_to_the_gate_however_it_is_framed() {
    let document = "<supported-versions><version><id>5.0</id><serviceLocation>https://vp.example:8443/vasa/services</serviceLocation>\
                    </version></supported-versions>";
    let framed = [
        format!("Content-Length: {}\r\nETag: \"1\"\r\n\r\n{document}", document.len()),
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{document}\r\n0\r\n\r\n", document.len()),
        format!("Connection: close\r\n\r\n{document}"),
    ];
    let mut origin = Origin::start().await;
    let gated = start(&vasa_plan(origin.address, 1));
    for answer in &framed {
        let mut client = Peer::connect(gated.address).await;
        client.send("GET /vasa/version.xml HTTP/1.1\r\nHost: vp\r\nAccept-Encoding: gzip\r\n\r\n").await;
        let mut server = origin.accept().await;
        let head = server.head().await.expect("a request");
        assert!(!head.contains("Accept-Encoding"), "{head}");
        server.send(format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n{answer}")).await;
        drop(server);
        let (head, body) = client.answer().await;
        assert!(head.starts_with("HTTP/1.1 200 ") && !head.contains("ETag"), "{head}");
        assert!(body.contains("https://gate.example:8443/vasa/services") && !body.contains("vp.example"), "{body}");
        gated.until("it is done", |g| g.in_flight() == 0).await;
    }
    for answer in [
        "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
        "Content-Length: 4\r\n\r\n<a/>",
        "Content-Length: 99999\r\n\r\nx",
    ] {
        let mut client = Peer::connect(gated.address).await;
        client.send("GET /vasa/version.xml HTTP/1.1\r\nHost: vp\r\n\r\n").await;
        let mut server = origin.accept().await;
        server.head().await.expect("a request");
        server.send(format!("HTTP/1.1 200 OK\r\n{answer}")).await;
        let head = client.head().await.expect("an answer");
        assert!(head.starts_with("HTTP/1.1 502 "), "what cannot be rewritten is not passed on: {head}");
        gated.until("it is done", |g| g.in_flight() == 0).await;
    }
    gated.assert_conserved();
}

/// A provider's answer to setContext, as far as it matters here.
const CONTEXT: &str = "<e:Envelope><e:Body><v:setContextResponse><v:return><d:maxBatchSize>1024</d:maxBatchSize>\
    <d:maxConcurrentRequestsPerSession>5</d:maxConcurrentRequestsPerSession></v:return></v:setContextResponse></e:Body>\
    </e:Envelope>";

async fn opens(server: &mut Peer, headers: &str, body: &str) -> String {
    let head = server.head().await.expect("a call");
    server.exactly(support::length(&head)).await;
    server.send(format!("HTTP/1.1 200 OK\r\nSet-Cookie: VASASESSIONID=abc\r\n{headers}\r\n{body}")).await;
    head
}

#[tokio::test]
async fn hosts_are_told_to_ask_for_less_while_calls_are_held() {
    let mut origin = Origin::start().await;
    let mut plan = vasa_plan(origin.address, 1);
    plan["services"][0]["protocol"]["lower_concurrency"] = json!(true);
    let gated = start(&plan);
    let (mut first, mut second) = (Peer::connect(gated.address).await, Peer::connect(gated.address).await);
    first.send(call("setContext", "Accept-Encoding: gzip\r\n")).await;
    let mut server = origin.accept().await;
    second.send(call("queryArrays", "Cookie: VASASESSIONID=other\r\n")).await;
    gated.until("the second is held", |g| g.service()["held_total"] == 1).await;
    let chunked = format!("{:x}\r\n{CONTEXT}\r\n0\r\n\r\n", CONTEXT.len());
    let head = opens(&mut server, "Transfer-Encoding: chunked\r\n", &chunked).await;
    assert!(!head.to_ascii_lowercase().contains("accept-encoding"), "the answer must be readable: {head}");
    assert_eq!(first.answer().await.1, CONTEXT.replace(">5<", ">1<"));
    serve(&mut server, "").await;
    second.answer().await;

    let plain = format!("Content-Length: {}\r\n", CONTEXT.len());
    gated.until("nobody waits", |g| g.in_flight() == 0).await;
    first.send(call("setContext", "")).await;
    opens(&mut server, &plain, CONTEXT).await;
    assert_eq!(first.answer().await.1, CONTEXT, "nobody waits: the provider's own word");
    gated.until("both sessions are counted", |g| g.counter("sessions_opened") == 2).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn what_cannot_be_lowered_is_passed_on_as_it_is() {
    let mut origin = Origin::start().await;
    let mut plan = vasa_plan(origin.address, 1);
    plan["services"][0]["protocol"]["lower_concurrency"] = json!(true);
    let gated = start(&plan);
    let (mut first, mut second) = (Peer::connect(gated.address).await, Peer::connect(gated.address).await);
    first.send(call("setContext", "")).await;
    let mut server = origin.accept().await;
    second.send(call("queryArrays", "Cookie: VASASESSIONID=other\r\n")).await;
    gated.until("the second is held", |g| g.service()["held_total"] == 1).await;
    let packed = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", CONTEXT.len());
    opens(&mut server, &packed, CONTEXT).await;
    assert_eq!(first.answer().await.1, CONTEXT, "packed");
    serve(&mut server, "").await;
    second.answer().await;
}
