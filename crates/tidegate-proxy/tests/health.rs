//! Monitors against real servers: what each kind sees, and that a server that dies and comes back is found to.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

mod support;
mod tls_support;

use serde_json::json;
use support::health::{Does, MS, TIME_WAIT, closed, http, listen, monitored, server, sockets, watch};
use support::tls::Authority;
use support::{Gated, Origin, Peer, start};
use tls_support::{World, passthrough};

const GET: &str = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Probes go on, and nothing is left of them on either side.
async fn leaves_nothing(gated: &Gated, port: u16) {
    gated.probed(3).await;
    assert_eq!(sockets(TIME_WAIT, port), 0);
    gated.assert_untouched();
}

#[tokio::test]
async fn tcp_and_half_open_ask_whether_somebody_listens() {
    let mut origin = Origin::start().await;
    let gated = start(&monitored(origin.address, 2, json!({"kind": "tcp"})));
    gated.until_phase("up").await;
    leaves_nothing(&gated, origin.address.port()).await;
    assert_eq!(origin.accept().await.rest().await, b"", "it was opened, and nothing was sent");

    let mut origin = Origin::start().await;
    let gated = start(&monitored(origin.address, 2, json!({"kind": "half-open"})));
    gated.until_phase("up").await;
    leaves_nothing(&gated, origin.address.port()).await;
    assert!(!origin.accepted_more(), "the server's process sees nothing of it");
}

#[tokio::test]
async fn http_wants_a_status_in_time() {
    let huge = "HTTP/1.1 200 OK\r\n";
    for (does, phase, says) in [
        (Does::Answers(OK), "up", "up"),
        (Does::AnswersAndCloses(OK), "up", "up"),
        (
            Does::Answers("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            "up",
            "up",
        ),
        (Does::Answers("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), "up", "up"),
        (Does::Answers("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), "down", "answered with status 500"),
        (Does::AnswersAndCloses("SSH-2.0-OpenSSH_9.2\r\n\r\n"), "down", "answered with garbage"),
        (Does::AnswersAndCloses(huge), "down", "answered with garbage"),
        (Does::AnswersAndCloses(""), "down", "answered with garbage"),
        (Does::Nothing, "down", "timed out"),
        (Does::Drips, "down", "timed out"),
        (Does::Floods, "down", "answered with garbage"),
        (Does::Resets, "down", "reset after it was accepted"),
    ] {
        let address = server(does).await;
        let mut plan = monitored(address, 2, http("/healthz"));
        if says == "timed out" {
            plan["services"][0]["monitor"]["settings"]["timeout_ns"] = json!(100 * MS);
        }
        let gated = start(&plan);
        gated.until_phase(phase).await;
        assert!(gated.text().contains(says), "{says}: {}", gated.text());
        assert_eq!(gated.server(0)["phase"], phase, "the machine goes by its monitor");
        leaves_nothing(&gated, address.port()).await;
    }
}

#[tokio::test]
async fn tls_shakes_hands_and_http_asks_over_it() {
    let authority = Authority::new();
    let pair = authority.sign("vp.test");
    for (probe, answers) in [(json!({"kind": "tls"}), false), (http("/healthz"), true)] {
        let mut origin = Origin::start().await;
        let address = origin.address;
        let mut plan = monitored(address, 2, probe.clone());
        let tls = json!({"verify": {"ca": authority.ca()}, "name": "vp.test", "certificate": null, "key": null});
        plan["services"][0]["servers"][0]["tls"] = tls;
        let gated = start(&plan);
        let serving = async {
            loop {
                let accepted = origin.accept().await;
                let Ok(mut peer) = authority.accept(accepted.tcp, &pair, false).await else { continue };
                match peer.head().await {
                    Some(head) if answers => {
                        assert!(head.starts_with("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1"), "{head}");
                        peer.reply("fine").await;
                    }
                    asked => assert!(!answers || asked.is_none(), "{asked:?}"),
                }
            }
        };
        tokio::select! {
            () = serving => {}
            () = async { gated.until_phase("up").await; leaves_nothing(&gated, address.port()).await } => {}
        }

        // A server that does not speak TLS, and one that says nothing at all.
        for (does, says) in [(Does::Resets, "reset after it was accepted"), (Does::Nothing, "timed out")] {
            plan["services"][0]["servers"][0]["address"] = json!(server(does).await.to_string());
            plan["services"][0]["monitor"]["settings"]["timeout_ns"] = json!(100 * MS);
            let gated = start(&plan);
            gated.until_phase("down").await;
            assert!(gated.text().contains(says), "{}", gated.text());
        }
        // One with a certificate of another name.
        let world = World::start("1.3", 0, false).await;
        plan["services"][0]["servers"][0]["address"] = json!(world.address.to_string());
        plan["services"][0]["monitor"]["settings"]["timeout_ns"] = json!(5000 * MS);
        let gated = start(&plan);
        tokio::select! {
            () = async { while world.try_accept().await.is_none() {} } => panic!("it is no server of ours"),
            () = gated.until_phase("down") => {}
        }
        assert!(gated.text().contains("the TLS handshake failed"), "{}", gated.text());
    }
}

#[tokio::test]
async fn where_tls_passes_through_the_monitor_speaks_it_nevertheless() {
    let world = World::start("1.3", 1, false).await;
    let gated = start(&watch(passthrough(world.address, 2), http("/vasa/version.xml")));
    let serving = async {
        loop {
            let Some(mut peer) = world.try_accept().await else { continue };
            if let Some(head) = peer.head().await {
                assert!(head.starts_with("GET /vasa/version.xml HTTP/1.1\r\n"), "{head}");
                assert!(!head.to_ascii_lowercase().contains("cookie"), "{head}");
                peer.reply("<versions/>").await;
            }
        }
    };
    tokio::select! {
        () = serving => {}
        () = async { gated.until_phase("up").await; gated.probed(3).await; } => {}
    }
    gated.assert_untouched();
    assert_eq!(sockets(TIME_WAIT, world.address.port()), 0);
}

#[tokio::test]
async fn a_server_that_dies_is_down_after_two_refused_probes_and_comes_back_by_a_canary() {
    let origin = Origin::start().await;
    let address = origin.address;
    let mut plan = monitored(address, 10, json!({"kind": "tcp"}));
    plan["services"][0]["monitor"]["settings"]["slow_start_ns"] = json!(300 * MS);
    plan["services"][0]["monitor"]["settings"]["fall"] = json!(50); // two that are sure are enough
    let gated = start(&plan);
    gated.until_phase("up").await;
    origin.close().await;
    gated.until_phase("down").await;
    assert!(gated.text().contains("fresh ports"), "{}", gated.text());
    assert_eq!(gated.server(0)["phase"], "down");

    let mut client = Peer::connect(gated.address).await;
    client.send(GET).await;
    gated.until("the call waits for the server", |g| g.service()["held_total"] == 1).await;
    let listener = listen(address, 64);
    gated.until("it is slowly started", |g| g.phase() == "recovering").await;
    let mut server = loop {
        let (tcp, _) = listener.accept().await.expect("a connection");
        let mut peer = Peer { tcp, buf: Vec::new() };
        if peer.head().await.is_some() {
            break peer; // those before were probes
        }
    };
    server.reply("back").await;
    assert_eq!(client.answer().await.1, "back");
    gated.until_phase("up").await;
    gated.until("the call is done", |g| g.in_flight() == 0).await;
    assert_eq!((gated.counter("admitted"), gated.counter("connect_failed")), (1, 0));
    gated.assert_conserved();
}

#[tokio::test]
async fn a_server_that_refuses_while_connections_stand_is_at_its_limit_and_down_when_they_end() {
    let mut origin = Origin::start().await;
    let gated = start(&monitored(origin.address, 4, json!({"kind": "half-open"})));
    gated.until_phase("up").await;
    let mut client = Peer::connect(gated.address).await;
    client.send(GET).await;
    let mut server = origin.accept().await;
    server.head().await.expect("a call");
    assert_eq!(sockets("01", origin.address.port()), 2, "both ends of it");
    origin.close().await;
    gated.until_phase("degraded").await;
    assert!(gated.text().contains("at its limit of connections"), "{}", gated.text());
    assert_eq!(gated.server(0)["monitor"]["limit"], 1);
    for _ in 0..3 {
        server.reply("one").await;
        assert_eq!(client.answer().await.1, "one");
        client.send(GET).await;
        server.head().await.expect("a call over the connection that stands");
    }
    assert_eq!(gated.phase(), "degraded");
    drop(server);
    gated.until_phase("down").await;
    assert!(gated.text().contains("refused from 2 fresh ports"), "{}", gated.text());
    gated.until("the call may be repeated, and waits", |g| g.service()["held_total"] == 1).await;
    drop(client);
    gated.until("it has left", |g| g.service()["held_total"] == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn a_server_that_takes_connections_and_resets_them_while_others_stand_is_at_its_limit() {
    let authority = Authority::new();
    let pair = authority.sign("vp.test");
    let mut origin = Origin::start().await;
    let mut plan = monitored(origin.address, 4, json!({"kind": "tls"}));
    let tls = json!({"verify": {"ca": authority.ca()}, "name": "vp.test", "certificate": null, "key": null});
    plan["services"][0]["servers"][0]["tls"] = tls;
    let gated = start(&plan);
    let mut clients = [Peer::connect(gated.address).await, Peer::connect(gated.address).await];
    clients[0].send(GET).await;
    let mut server = loop {
        let accepted = authority.accept(origin.accept().await.tcp, &pair, false).await;
        let Ok(mut peer) = accepted else { continue };
        if peer.head().await.is_some() {
            break peer;
        }
    };
    server.reply("zero").await;
    assert_eq!(clients[0].answer().await.1, "zero");
    clients[0].send(GET).await;
    server.head().await.expect("the same connection");
    let resetting = tokio::spawn(async move {
        loop {
            origin.accept().await.tcp.set_zero_linger().expect("linger");
        }
    });
    gated.until_phase("degraded").await;
    assert!(gated.text().contains("reset after it was accepted from 2 fresh ports"), "{}", gated.text());
    clients[1].send(GET).await;
    gated.until("it waits for the connection that stands", |g| g.service()["held_total"] == 1).await;
    gated.probed(6).await;
    assert_eq!((gated.phase().as_str(), gated.server(0)["phase"].as_str()), ("degraded", Some("degraded")));
    server.reply("one").await;
    assert_eq!(clients[0].answer().await.1, "one");
    server.head().await.expect("the other call on it");
    server.reply("two").await;
    assert_eq!(clients[1].answer().await.1, "two");
    gated.until("all are done", |g| g.in_flight() == 0).await;
    assert_eq!(gated.failures(), 0, "{}", gated.status());
    gated.assert_conserved();
    resetting.abort();
}

#[tokio::test]
async fn a_server_that_was_never_there_is_down_and_says_why() {
    let gated = start(&monitored(closed(), 2, http("/")));
    gated.until_phase("down").await;
    assert!(gated.text().contains("refused from 2 fresh ports"), "{}", gated.text());
    gated.assert_untouched();
}

#[tokio::test]
async fn a_name_without_an_address_says_nothing_of_its_server_and_a_second_address_is_tried() {
    let mut plan = monitored(closed(), 2, json!({"kind": "tcp"}));
    plan["services"][0]["servers"][0]["address"] = json!("nobody.invalid:80");
    let gated = start(&plan);
    gated.until("its monitor is blind", |g| g.server(0)["monitor"]["blind"] == true).await;
    assert_eq!(gated.server(0)["monitor"]["verdicts"][0]["verdict"], "inconclusive (network-down)");
    assert_eq!((gated.failures(), gated.server(0)["phase"].as_str()), (0, Some("up")));
    gated.assert_untouched();

    // localhost is ::1 and 127.0.0.1, or the latter alone; nobody listens at the first.
    let origin = Origin::start().await;
    plan["services"][0]["servers"][0]["address"] = json!(format!("localhost:{}", origin.address.port()));
    origin.echo();
    let gated = start(&plan);
    gated.until_phase("up").await;
    let (head, _) = Peer::connect(gated.address).await.get("/x").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    gated.probed(3).await;
    assert_eq!(gated.phase(), "up");
}

#[tokio::test]
async fn a_full_backlog_is_silence_and_floods_no_quarantine() {
    let full = listen(closed(), 0);
    let address = full.local_addr().expect("an address");
    let mut filling = Vec::new();
    // A backlog of 0 takes one connection; the next SYN is dropped.
    for _ in 0..2 {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.set_nonblocking(true).expect("an option");
        let _it_goes_on = socket.connect(&address.into());
        filling.push(socket);
    }
    let mut plan = monitored(address, 2, json!({"kind": "tcp"}));
    plan["services"][0]["monitor"]["settings"]["timeout_ns"] = json!(100 * MS);
    plan["services"][0]["io"]["connect_timeout_ns"] = json!(100 * MS);
    let gated = start(&plan);
    gated.until_phase("down").await;
    assert!(gated.text().contains("timed out"), "{}", gated.text());
    assert!(!gated.status().to_string().contains("failed (strong)"), "silence is weak: {}", gated.status());
    gated.probed(6).await;
    assert_eq!(gated.phase(), "down");
    assert!(gated.metric("tidegate_ports_quarantined", "") <= gated.probes());
    gated.assert_untouched();
}
