//! What a broker does when something goes wrong: clients that leave, sessions that are dead, calls that nobody can serve.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

mod support;
use serde_json::json;
use support::vcenter::{Client, Vcenter, vcenter_plan};
use support::{Gated, start};

const FILTER: &str = "<spec/><partialUpdates>false</partialUpdates>";

/// Waits until nothing is under way; every call has met exactly one fate then.
async fn settled(gated: &Gated) {
    gated.until("all are done", |g| g.service()["open_requests"] == 0 && g.in_flight() == 0).await;
    gated.assert_conserved();
}

/// Logins that are under way.
fn logging_in(gated: &Gated, n: usize) -> bool {
    gated.gate.metrics_text().contains(&format!("tidegate_broker_waiting_calls{{service=\"s\"}} {n}"))
}

async fn begin_login(gated: &Gated, user: &str) -> Client {
    let mut client = Client::connect(gated).await;
    let inner = format!("<userName>{user}</userName><password>secret</password>");
    client.send("Login", "SessionManager", "SessionManager", &inner).await;
    client
}

#[tokio::test]
async fn who_leaves_before_its_login_was_sent_takes_no_other_login_with_it() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 1));
    let closed = vcenter.gate.clone().write_owned().await;
    let mut first = begin_login(&gated, "ben").await;
    gated.until("it has the only slot", |g| g.in_flight() == 1).await;
    let leaves = begin_login(&gated, "ann").await;
    gated.until("the next one is to verify, and waits for a slot", |g| g.counter("arrived") == 2).await;
    let mut stays = begin_login(&gated, "ann").await;
    gated.until("another one waits for that", |g| logging_in(g, 3)).await;
    drop(leaves);
    gated.until("it has left", |g| g.counter("client_gone") == 1).await;
    drop(closed);
    assert_eq!(first.answer().await.status, 200);
    assert_eq!(stays.answer().await.status, 200, "it verifies by itself");
    assert_eq!(vcenter.count("Login"), 2);
    settled(&gated).await;
}

#[tokio::test]
async fn a_clone_of_a_dead_session_is_made_of_a_new_one() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let mut client = Client::login(&gated, "ann").await;
    vcenter.forget();
    let made = client.call("CreateFilter", "PropertyCollector", "propertyCollector", FILTER).await;
    assert_eq!(made.status, 200, "nothing was executed, and the password is known: {made:?}");
    assert_eq!(vcenter.count("CreateFilter"), 1);
    settled(&gated).await;
}

/// Logs in by REST; the token.
async fn enter(client: &mut Client, authorization: &str) -> String {
    let head = format!(
        "POST /api/session HTTP/1.1\r\nHost: vc\r\nAuthorization: {authorization}\r\nContent-Length: 0\r\n\r\n"
    );
    client.peer.send(head).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body.trim_matches('"').to_string()
}

const ANN: &str = "Basic YW5uOnNlY3JldA==";

#[tokio::test]
async fn many_first_reads_by_rest_make_one_session_there() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(&gated).await;
        let token = enter(&mut client, ANN).await;
        clients.push((client, token));
    }
    let closed = vcenter.gate.clone().write_owned().await;
    for (client, token) in &mut clients {
        let head = format!("GET /api/vcenter/vm HTTP/1.1\r\nHost: vc\r\nvmware-api-session-id: {token}\r\n\r\n");
        client.peer.send(head).await;
    }
    gated.until("all have a slot", |g| g.in_flight() == 4).await;
    gated.until("one logs in", |_| vcenter.lines("POST /api/session") > 0).await;
    drop(closed);
    for (client, _) in &mut clients {
        assert_eq!(client.answer().await.status, 200);
    }
    assert_eq!(vcenter.lines("POST /api/session"), 1);
    settled(&gated).await;
}

#[tokio::test]
async fn a_dead_session_of_rest_is_made_again_for_reads_by_rest_and_by_json() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let mut client = Client::connect(&gated).await;
    let token = enter(&mut client, ANN).await;
    for (n, path) in
        [(1, "/api/vcenter/vm"), (2, "/sdk/vim25/8.0.1.0/VirtualMachine/vm-1/name"), (3, "/api/vcenter/vm")]
    {
        let answer = client.get(path, &token).await;
        assert_eq!((answer.status, vcenter.lines("POST /api/session")), (200, n), "{path} {answer:?}");
        vcenter.state().apis.clear();
    }
    assert_eq!(vcenter.count("Login"), 1, "the session of SOAP was never in doubt");
    settled(&gated).await;
}

#[tokio::test]
async fn a_session_of_rest_alone_is_kept_alive_by_rest() {
    let vcenter = Vcenter::start().await;
    let mut plan = vcenter_plan(vcenter.address, 8);
    plan["services"][0]["protocol"]["broker"]["keepalive_ns"] = json!(20_000_000);
    let gated = start(&plan);
    let mut client = Client::connect(&gated).await;
    let token = enter(&mut client, "SIGN token=\"x\"").await;
    gated.until("it is kept alive", |_| vcenter.lines("GET /api/session") + vcenter.count("CurrentTime") > 1).await;
    assert_eq!(client.get("/api/vcenter/vm", &token).await.status, 200);
    assert_eq!(vcenter.count("CurrentTime"), 0, "SOAP does not know it");
    vcenter.state().apis.clear();
    assert_eq!(client.get("/api/vcenter/vm", &token).await.status, 401);
    gated.until("it is over", |g| g.gate.sessions_json().contains("\"principals\":[]")).await;
    settled(&gated).await;
}

#[tokio::test]
async fn a_view_that_cannot_be_made_again_is_made_where_it_can_stay() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let mut client = Client::login(&gated, "ann").await;
    let inner = "<obj type=\"VirtualMachine\">vm-1</obj>".repeat(200);
    let made = client.call("CreateListView", "ViewManager", "ViewManager", &inner).await;
    let view = support::vcenter::refs(&made.body).first().cloned().expect("a view");
    assert_eq!(vcenter.state().sessions.len(), 2, "on a clone");
    let made = client.call("CreateFilter", "PropertyCollector", "propertyCollector", FILTER).await;
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(client.read_view(&view).await.status, 200, "it is still there");
    settled(&gated).await;
}

#[tokio::test]
async fn who_waits_is_told_in_time_while_a_session_takes_its_time_to_end() {
    let vcenter = Vcenter::start().await;
    let mut plan = vcenter_plan(vcenter.address, 8);
    plan["services"][0]["protocol"]["broker"]["clones_max"] = json!(1);
    plan["services"][0]["protocol"]["broker"]["wait_max_ns"] = json!(300_000_000);
    let gated = start(&plan);
    let (mut first, mut second) = (Client::login(&gated, "ann").await, Client::login(&gated, "ann").await);
    first.call("CreateFilter", "PropertyCollector", "propertyCollector", FILTER).await;
    let mut third = Client::connect(&gated).await;
    let answer = third.call("LoginByToken", "SessionManager", "SessionManager", "").await;
    let (_, rest) = answer.head.split_once("vmware_soap_session=\"").expect("a session");
    third.cookie = rest.split('"').next().map(str::to_string);
    let closed = vcenter.gate.clone().write_owned().await;
    assert_eq!(third.call("Logout", "SessionManager", "SessionManager", "").await.status, 200);
    gated.until("it is being ended there", |_| vcenter.count("Logout") == 1).await;
    let answer = second.call("CreateFilter", "PropertyCollector", "propertyCollector", FILTER).await;
    assert!(answer.status == 503 && answer.head.contains("Retry-After: "), "{answer:?}");
    drop(closed);
    settled(&gated).await;
}

#[tokio::test]
async fn who_logs_in_by_a_token_ends_no_session_of_another_user() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let mut clients = Vec::new();
    for user in ["ann", "ann", "ben"] {
        let mut client = Client::connect(&gated).await;
        let inner = format!("<subject>{user}</subject>");
        let answer = client.call("LoginByToken", "SessionManager", "SessionManager", &inner).await;
        let (_, rest) = answer.head.split_once("vmware_soap_session=\"").expect("a session");
        client.cookie = rest.split('"').next().map(str::to_string);
        clients.push((client, format!("<sessionId>{}</sessionId>", support::vcenter::text(&answer.body, "key"))));
    }
    let (ann, ben) = (clients[0].1.clone(), &mut clients[2].0);
    let answer = ben.call("TerminateSession", "SessionManager", "SessionManager", &ann).await;
    assert!(answer.status == 500 && answer.body.contains("NotFound"), "{answer:?}");
    assert_eq!(clients[0].0.read().await.status, 200);
    let own = &mut clients[1].0;
    assert_eq!(own.call("TerminateSession", "SessionManager", "SessionManager", &ann).await.status, 200);
    assert_eq!(clients[0].0.read().await.status, 500, "a user may end what is its own");
    settled(&gated).await;
}

#[tokio::test]
async fn a_clone_made_by_a_login_takes_what_its_client_held_with_it() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let mut client = Client::login(&gated, "ann").await;
    vcenter.forget(); // no session is left to clone
    let made = client.call("CreateFilter", "PropertyCollector", "propertyCollector", "").await;
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!((vcenter.count("Login"), vcenter.count("CloneSession")), (2, 0));
    assert_eq!(vcenter.count("CreatePropertyCollector"), 0, "nobody else uses its collector");
    vcenter.forget();
    let read = client.read().await;
    assert!(read.status == 500 && read.body.contains("NotAuthenticated"), "the filter is gone: {read:?}");
}
