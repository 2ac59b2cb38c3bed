//! Long calls to a vCenter whose sessions the gate keeps: bodies that name hundreds of objects, and answers in pages.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

mod support;
use serde_json::json;
use support::vcenter::{Client, Vcenter, refs, request, vcenter_plan};
use support::{Gated, start};

/// A read of so many machines by name, and through this view.
fn read_of(machines: usize, view: &str) -> String {
    let object =
        |n: usize| format!("<objectSet><obj type=\"VirtualMachine\">vm-{n}</obj><skip>false</skip></objectSet>\n");
    let objects: String = (0..machines).map(object).collect();
    let view = match view {
        "" => String::new(),
        view => format!("<objectSet><obj type=\"ContainerView\">{view}</obj></objectSet>"),
    };
    let inner = format!("<specSet>{objects}{view}</specSet><options/>");
    request("RetrievePropertiesEx", "PropertyCollector", "propertyCollector", &inner)
}

/// The objects that a request names.
fn objects(body: &str) -> &str {
    body.split_once("<specSet>").and_then(|(_, rest)| rest.split_once("</specSet>")).map_or("", |(objects, _)| objects)
}

async fn settled(gated: &Gated) {
    gated.until("all are done", |g| g.service()["open_requests"] == 0 && g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn hundreds_of_objects_are_read_on_the_shared_session() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let (mut client, mut other) = (Client::login(&gated, "ann").await, Client::login(&gated, "ann").await);
    let (mine, foreign) = (client.view().await, other.view().await);
    for chunked in [false, true] {
        for machines in [200, 1000, 2800] {
            let body = read_of(machines, &mine);
            assert!(body.len() > 16 << 10 && body.len() < 256 << 10, "{}", body.len());
            match chunked {
                true => client.post_in_chunks("/sdk", &body).await,
                false => client.post("/sdk", &body).await,
            }
            assert_eq!(client.answer().await.status, 200);
            let asked = vcenter.last("RetrievePropertiesEx");
            assert_eq!(objects(&asked.body), objects(&body));
            assert_eq!(refs(&asked.body).len(), 2, "a collector of its own, and the view");
        }
    }
    client.post("/sdk", &read_of(1000, &foreign)).await;
    let answer = client.answer().await;
    assert!(answer.status == 500 && answer.body.contains("ManagedObjectNotFound"), "{answer:?}");
    assert_eq!(vcenter.state().sessions.len(), 1, "no clone");
    vcenter.forget();
    client.post("/sdk", &read_of(1000, "")).await;
    assert_eq!(client.answer().await.status, 200, "it is sent again, as a short one");
    settled(&gated).await;
}

#[tokio::test]
async fn a_read_that_is_too_long_streams_and_gives_its_clone_back() {
    let vcenter = Vcenter::start().await;
    let mut plan = vcenter_plan(vcenter.address, 8);
    plan["services"][0]["protocol"]["broker"]["clones_max"] = json!(1);
    let gated = start(&plan);
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(Client::login(&gated, "ann").await);
    }
    let just = (2900..).find(|n| read_of(*n, "").len() > 256 << 10).expect("a number");
    for machines in [just, just + 100, 20_000] {
        let body = read_of(machines, "");
        for client in &mut clients {
            client.post("/sdk", &body).await;
            let answer = client.answer().await;
            assert_eq!(answer.status, 200, "{machines} {answer:?}");
            assert_eq!(objects(&vcenter.last("RetrievePropertiesEx").body), objects(&body));
            client.peer = Client::connect(&gated).await.peer;
            client.post_in_chunks("/sdk", &body).await;
            let answer = client.answer().await;
            assert_eq!(answer.status, 200, "{machines} {answer:?}");
            assert_eq!(objects(&vcenter.last("RetrievePropertiesEx").body), objects(&body));
            client.peer = Client::connect(&gated).await.peer;
        }
    }
    assert_eq!(vcenter.count("CloneSession"), 1, "both had the one clone, by turns");
    clients[0].post("/sdk", &read_of(20_000, "").replace("vm-7<", "session[x]y<")).await;
    assert_eq!(clients[0].answer().await.status, 413, "whose object that is cannot be told");
    settled(&gated).await;
}

#[tokio::test]
async fn who_is_not_logged_in_and_what_there_is_no_room_for_is_not_kept() {
    let vcenter = Vcenter::start().await;
    let mut plan = vcenter_plan(vcenter.address, 8);
    plan["services"][0]["io"]["buffers_max_bytes"] = json!(256 << 10);
    let gated = start(&plan);
    let mut client = Client::login(&gated, "ann").await;
    client.post("/sdk", &read_of(2800, "")).await;
    assert_eq!(client.answer().await.status, 503);
    client.peer = Client::connect(&gated).await.peer;
    client.post("/sdk", &read_of(500, "")).await;
    assert_eq!(client.answer().await.status, 200, "there is room for less");
    let mut nobody = Client::connect(&gated).await;
    nobody.post("/sdk", &read_of(2000, "")).await;
    assert_eq!(nobody.answer().await.status, 500, "the vCenter's own answer");
    let mut long = Client::connect(&gated).await;
    let login = format!("<userName>ann</userName><password>{}</password>", "x".repeat(100 << 10));
    long.cookie = client.cookie.clone();
    long.send("Login", "SessionManager", "SessionManager", &login).await;
    assert_eq!(long.answer().await.status, 413);
    assert_eq!(vcenter.count("Login"), 1);
    settled(&gated).await;
}

#[tokio::test]
async fn pages_are_read_where_they_are() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let mut client = Client::login(&gated, "ann").await;
    vcenter.state().paging = true;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let answer = client.read().await;
        tokens.push(support::vcenter::text(&answer.body, "token"));
    }
    vcenter.state().paging = false;
    let filter = client
        .call("CreateFilter", "PropertyCollector", "propertyCollector", "<spec/><partialUpdates>false</partialUpdates>")
        .await;
    assert_eq!((filter.status, vcenter.count("CloneSession")), (200, 1));
    vcenter.state().paging = true;
    tokens.push(support::vcenter::text(&client.read().await.body, "token"));
    vcenter.state().paging = false;
    let filter = refs(&filter.body).first().cloned().expect("a filter");
    assert_eq!(client.call("DestroyPropertyFilter", "PropertyFilter", &filter, "").await.status, 200);
    assert_eq!(client.read().await.status, 200, "something else, meanwhile");
    let names = ["ContinueRetrievePropertiesEx", "CancelRetrievePropertiesEx", "ContinueRetrievePropertiesEx"];
    let mut cookies = Vec::new();
    for (name, token) in names.into_iter().zip(&tokens) {
        let inner = format!("<token>{token}</token>");
        let answer = client.call(name, "PropertyCollector", "propertyCollector", &inner).await;
        assert_eq!(answer.status, 200, "{name} {answer:?}");
        cookies.push(vcenter.last(name).cookie);
    }
    assert!(cookies[0] == cookies[1] && cookies[1] != cookies[2], "two on the shared session, one on the clone");
    let mut other = Client::login(&gated, "ann").await;
    let made = other.call("CreateFilter", "PropertyCollector", "propertyCollector", "<spec/>").await;
    assert_eq!((made.status, vcenter.count("CloneSession")), (200, 1), "the clone went back with its last page");
    settled(&gated).await;
}
