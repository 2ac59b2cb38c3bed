//! The gate tells about itself, over its sockets, and obeys its switches.

#![allow(clippy::expect_used, reason = "tests")]

mod support;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use support::{Origin, Peer, plan, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn ask(path: &std::path::Path, request: &str) -> (u16, String) {
    let mut stream = tokio::net::UnixStream::connect(path).await.expect("connect");
    stream.write_all(request.as_bytes()).await.expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.split(' ').nth(1).expect("status").parse().expect("a number"), body.to_string())
}

async fn get(path: &std::path::Path, target: &str) -> (u16, String) {
    ask(path, &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await
}

async fn post(path: &std::path::Path, target: &str, body: &Value) -> (u16, String) {
    let body = body.to_string();
    ask(path, &format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await
}

#[tokio::test]
async fn it_answers_on_a_unix_socket_of_its_owner() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("admin.sock");
    let mut plan = plan(Origin::start().await.echo(), 2);
    plan["admin"]["unix"] = json!(path);
    let gated = start(&plan);
    let mode = std::fs::metadata(&path).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    Peer::connect(gated.address).await.get("/x").await;
    gated.until("the call is done", |g| g.in_flight() == 0).await;

    assert_eq!(get(&path, "/livez").await, (200, "ok\n".into()));
    assert_eq!(get(&path, "/readyz").await, (200, "ok\n".into()));
    assert_eq!(get(&path, "/nope").await.0, 404);
    assert_eq!(post(&path, "/livez", &json!({})).await.0, 405);
    let status: Value = serde_json::from_str(&get(&path, "/status").await.1).expect("JSON");
    assert_eq!(status["format"], 1);
    assert_eq!(status["services"][0]["counters"]["admitted"], 1);
    let told: Value = serde_json::from_str(&get(&path, "/explain?limit=1&client=127.0.0.1").await.1).expect("JSON");
    let call = &told["calls"][0];
    assert_eq!((call["operation"].as_str(), call["decision"].as_str()), (Some("GET /x"), Some("admitted")));
    assert_eq!(call["end"], "server/done");
    assert_eq!(get(&path, "/explain?nonsense=1").await.0, 400);
    let metrics = get(&path, "/metrics").await.1;
    assert!(metrics.contains("tidegate_admission_arrived_calls_total{service=\"s\"} 1\n"), "{metrics}");
    assert!(metrics.contains("tidegate_server_in_flight_calls{service=\"s\",server=\"a\"} 0"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"));

    gated.gate.close();
    assert!(!path.exists(), "close takes the socket away");
}

#[tokio::test]
async fn maintenance_holds_and_bypass_lets_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("admin.sock");
    let mut plan = plan(Origin::start().await.echo(), 2);
    plan["admin"]["unix"] = json!(path);
    let gated = start(&plan);
    assert_eq!(post(&path, "/maintenance", &json!({"service": "nope", "on": true})).await.0, 404);
    assert_eq!(post(&path, "/maintenance", &json!({"on": "yes"})).await.0, 400);
    assert_eq!(post(&path, "/maintenance", &json!({"service": "s", "on": true})).await.0, 200);
    let mut client = Peer::connect(gated.address).await;
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    gated.until("the call is held", |g| g.service()["held_total"] == 1).await;
    assert_eq!(post(&path, "/bypass", &json!({"service": null, "on": true})).await.0, 200);
    assert!(client.answer().await.0.starts_with("HTTP/1.1 200 "));
    assert_eq!(gated.service()["switches"], json!({"maintenance": true, "bypass": true, "draining": false}));
}

#[tokio::test]
async fn tcp_needs_the_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    let mut plan = plan(Origin::start().await.echo(), 2);
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    plan["admin"]["tcp"] = json!(format!("127.0.0.1:{port}"));
    let refused = tidegate_proxy::check_plan(plan.to_string().as_bytes()).expect_err("no token");
    assert!(refused.message.contains("admin.token_file"), "{refused}");
    plan["admin"]["token_file"] = json!(token);
    std::fs::write(&token, "short").expect("write");
    let short = tidegate_proxy::Gate::start(plan.to_string().as_bytes(), None).err().expect("too short");
    assert_eq!(short.slug, "plan");
    std::fs::write(&token, "0123456789abcdef\n").expect("write");
    let _gated = start(&plan);
    let to = format!("127.0.0.1:{port}").parse().expect("address");
    for (header, status) in [
        ("", "401"),
        ("Authorization: Bearer 0123456789abcdeX\r\n", "401"),
        ("Authorization: Bearer 0123456789abcdef\r\n", "200"),
    ] {
        let mut peer = Peer::connect(to).await;
        peer.send(format!("GET /status HTTP/1.1\r\nHost: a\r\n{header}\r\n")).await;
        let head = peer.head().await.expect("a head");
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{header}: {head}");
    }
}

#[tokio::test]
async fn what_cannot_be_bound_leaves_nothing_bound() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut plan = plan(taken.local_addr().expect("address"), 2);
    plan["services"][0]["listen"] = json!(taken.local_addr().expect("address"));
    let error = tidegate_proxy::Gate::start(plan.to_string().as_bytes(), None).err().expect("taken");
    assert_eq!(error.slug, "bind");
    assert!(error.message.starts_with("services[0].listen "), "{error}");
    assert!(error.hint.contains("ss -ltnp"), "{}", error.hint);
}

#[tokio::test]
async fn ports_are_told_and_a_wrong_reload_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("admin.sock");
    let mut plan = plan(Origin::start().await.echo(), 2);
    plan["admin"]["unix"] = json!(path);
    plan["ports"] = json!({"ranges": [{"first": 23_000, "last": 23_099}], "sources": ["127.0.0.1"], "headroom": 10});
    let gated = start(&plan);
    let told = || async { serde_json::from_str::<Value>(&get(&path, "/ports").await.1).expect("JSON") };
    assert_eq!(told().await["ranges"], json!(["23000-23099"]));
    assert_eq!((told().await["headroom"].as_u64(), told().await["generation"].as_u64()), (Some(10), Some(1)));
    let apply = |plan: &Value| gated.gate.apply(plan.to_string().as_bytes());
    for (ports, words) in [
        (json!({"ranges": [{"first": 23_000, "last": 23_009}], "sources": [], "headroom": 10}), "the range has 10"),
        (json!({"ranges": [{"first": 9, "last": 8}], "sources": [], "headroom": 1}), "the range 9-8 is empty"),
        (json!({"ranges": [], "sources": ["192.0.2.1"], "headroom": 8}), "192.0.2.1 is not an address of this machine"),
    ] {
        plan["ports"] = ports;
        let error = apply(&plan).expect_err("it is wrong");
        assert!(error.message.contains(words), "{error}");
        assert_eq!(told().await["ranges"], json!(["23000-23099"]));
    }
    plan["ports"] = json!({"ranges": [], "sources": [], "headroom": 12});
    apply(&plan).expect("it is fine");
    assert_eq!((told().await["headroom"].as_u64(), &told().await["sources"]), (Some(12), &json!([])));
    let metrics = get(&path, "/metrics").await.1;
    assert!(metrics.contains("tidegate_ports_refused_leases_total{use=\"probe\"} 0\n"), "{metrics}");
}
