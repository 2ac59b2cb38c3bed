//! What a broker does when something goes wrong: clients that leave, sessions that are dead, calls that nobody can serve.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

mod support;
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
