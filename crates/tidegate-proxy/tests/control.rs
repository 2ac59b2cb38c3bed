//! Drain and change of plan, while calls are held and in flight.

#![allow(clippy::expect_used, reason = "tests")]

mod support;
use serde_json::{Value, json};
use std::time::Duration;
use support::{Origin, Peer, plan, start};

const GET: &str = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn a_drain_turns_held_calls_away_and_lets_the_rest_end() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 1));
    let mut first = Peer::connect(gated.address).await;
    first.send(GET).await;
    let mut server = origin.accept().await;
    server.head().await.expect("a request");
    let mut idle = Peer::connect(gated.address).await;
    let mut held = Peer::connect(gated.address).await;
    held.send(GET).await;
    gated.until("one is held", |g| g.service()["held_total"] == 1).await;

    let gate = gated.gate.clone();
    let draining = std::thread::spawn(move || gate.drain(Duration::from_secs(20)));
    let (head, body) = held.answer().await;
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("Connection: close\r\n"), "{head}");
    assert!(body.contains("\"draining\""), "{body}");
    gated.until("the listener is closed", |g| std::net::TcpStream::connect(g.address).is_err()).await;
    idle.send(GET).await;
    assert!(idle.answer().await.1.contains("\"draining\""));
    server.reply("last").await;
    let (head, body) = first.answer().await;
    assert!(head.contains("Connection: close\r\n"), "{head}");
    assert_eq!(body, "last");
    let report = draining.join().expect("drained");
    assert!(report.drained && report.left == 0, "{report:?}");
    assert_eq!(gated.status()["ready"], false);
    assert_eq!(gated.turned_away("draining"), 2);
    gated.assert_conserved();
}

#[tokio::test]
async fn a_drain_that_takes_too_long_says_what_is_left() {
    let mut origin = Origin::start().await;
    let gated = start(&plan(origin.address, 1));
    let mut client = Peer::connect(gated.address).await;
    client.send(GET).await;
    let mut server = origin.accept().await;
    server.head().await.expect("a request");
    let report = gated.gate.drain(Duration::from_millis(50));
    assert!(!report.drained && report.left == 1, "{report:?}");
    gated.gate.close();
    assert_eq!(client.rest().await, b"", "closed without an answer");
}

fn apply(gated: &support::Gated, plan: &Value) -> Value {
    let report = gated.gate.apply(plan.to_string().as_bytes()).expect("applied");
    serde_json::to_value(report).expect("JSON")["services"].clone()
}

#[tokio::test]
async fn a_new_plan_keeps_held_calls_in_line_and_says_what_became_of_them() {
    let mut origin = Origin::start().await;
    let mut plan = plan(origin.address, 1);
    let gated = start(&plan);
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Peer::connect(gated.address).await;
        client.send(GET).await;
        clients.push(client);
    }
    gated.until("two are held", |g| g.service()["held_total"] == 2).await;
    plan["services"][0]["admission"]["servers"][0]["limit"] = json!(2);
    let report = apply(&gated, &plan);
    assert_eq!(
        report[0],
        json!({"name": "s", "change": "kept", "held_before": 2, "held_after": 1, "turned_away": 0, "admitted": 1})
    );
    let (mut one, mut two) = (origin.accept().await, origin.accept().await);
    for server in [&mut one, &mut two] {
        server.head().await.expect("a request");
        server.reply("x").await;
    }
    gated.until("none is held", |g| g.service()["held_total"] == 0).await;
    let mut last = None;
    for server in [&mut one, &mut two] {
        let got = tokio::time::timeout(Duration::from_millis(500), server.head()).await;
        if let Ok(Some(_)) = got {
            server.reply("x").await;
            last = Some(());
        }
    }
    assert!(last.is_some(), "the third call came over one of the two connections");
    for client in &mut clients {
        assert!(client.answer().await.0.starts_with("HTTP/1.1 200 "));
    }
    gated.until("all are done", |g| g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn services_come_go_and_move_and_a_bad_plan_changes_nothing() {
    let echo = Origin::start().await.echo();
    let mut plan = plan(echo, 2);
    let gated = start(&plan);
    let mut client = Peer::connect(gated.address).await;
    client.get("/x").await;

    let mut bad = plan.clone();
    bad["services"][0]["io"]["head_timeout_ns"] = json!(0);
    let error = gated.gate.apply(bad.to_string().as_bytes()).expect_err("refused");
    assert!(error.message.starts_with("services[0].io.head_timeout_ns "), "{error}");
    let mut unknown = plan.clone();
    unknown["services"][0]["typo"] = json!(1);
    let error = gated.gate.apply(unknown.to_string().as_bytes()).expect_err("refused");
    assert!(error.message.contains("typo"), "{error}");
    assert!(client.get("/x").await.0.starts_with("HTTP/1.1 200 "), "the old plan is in force");

    let mut second = plan["services"][0].clone();
    second["name"] = json!("t");
    plan["services"].as_array_mut().expect("services").push(second);
    let report = apply(&gated, &plan);
    assert_eq!((&report[0]["change"], &report[1]["change"]), (&json!("kept"), &json!("added")));
    let addresses = gated.gate.addresses();
    assert_eq!(addresses[0].1, gated.address, "a kept service keeps its socket");
    assert!(Peer::connect(addresses[1].1).await.get("/y").await.0.starts_with("HTTP/1.1 200 "));

    plan["services"].as_array_mut().expect("services").remove(0);
    let report = apply(&gated, &plan);
    assert_eq!((&report[0]["change"], &report[1]["change"]), (&json!("kept"), &json!("removed")));
    let (head, _) = client.get("/x").await;
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("Connection: close\r\n"), "{head}");
    assert_eq!(client.rest().await, b"");

    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    plan["services"][0]["listen"] = json!(free);
    assert_eq!(apply(&gated, &plan)[0]["change"], "moved");
    assert!(Peer::connect(free).await.get("/y").await.0.starts_with("HTTP/1.1 200 "));
    assert!(tokio::net::TcpStream::connect(addresses[1].1).await.is_err(), "the old socket is closed");
}

#[tokio::test]
async fn observe_lets_everything_pass_and_tells() {
    let mut origin = Origin::start().await;
    let mut plan = plan(origin.address, 1);
    plan["services"][0]["admission"]["mode"] = json!("observe");
    let gated = start(&plan);
    let (mut a, mut b) = (Peer::connect(gated.address).await, Peer::connect(gated.address).await);
    a.send(GET).await;
    let mut one = origin.accept().await;
    one.head().await.expect("a request");
    b.send(GET).await;
    let mut two = origin.accept().await;
    two.head().await.expect("it passes");
    assert_eq!(gated.counter("would_hold"), 1);
    one.reply("1").await;
    two.reply("2").await;
    assert_eq!((a.answer().await.1, b.answer().await.1), ("1".into(), "2".into()));
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.explain().iter().filter(|call| call["would_have"] == "held").count(), 1);
    gated.assert_conserved();
}

#[tokio::test]
async fn a_server_with_another_address_is_another_machine() {
    let mut origin = Origin::start().await;
    let mut plan = plan(origin.address, 1);
    let gated = start(&plan);
    let mut client = Peer::connect(gated.address).await;
    client.send(GET).await;
    let mut server = origin.accept().await;
    server.head().await.expect("a request");
    server.send("HTTP/1.1 200 OK\r\nSet-Cookie: SID=abc\r\nContent-Length: 0\r\n\r\n").await;
    client.answer().await;
    let sessions = |g: &support::Gated| {
        let known = &g.service()["sessions"];
        known["settled"].as_u64().expect("settled") + known["unsettled"].as_u64().expect("unsettled")
    };
    gated.until("its session is known", |g| sessions(g) == 1).await;
    apply(&gated, &plan);
    assert_eq!(sessions(&gated), 1, "nothing has changed");
    plan["services"][0]["servers"][0]["address"] = json!(Origin::start().await.address.to_string());
    apply(&gated, &plan);
    assert_eq!(sessions(&gated), 0, "sessions do not live on another machine");
}
