//! A vCenter's sessions through the gate: logins are shared, tokens are the gate's own, and clients do not meet.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

mod support;
use serde_json::{Value, json};
use support::vcenter::{Client, Vcenter, vcenter_plan};
use support::{Gated, start};
use tidegate_proxy::ExplainQuery;

/// Waits until nothing is under way; every call has met exactly one fate then.
async fn settled(gated: &Gated) {
    gated.until("all are done", |g| g.service()["open_requests"] == 0 && g.in_flight() == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn clients_of_one_principal_share_one_login_and_none_sees_its_cookie() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let mut first = Client::login(&gated, "ann").await;
    let mut second = Client::login(&gated, "ann").await;
    assert_eq!(vcenter.count("Login"), 1, "the password was believed a moment ago");
    assert_ne!(first.cookie, second.cookie);
    for client in [&mut first, &mut second] {
        let answer = client.read().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.head.contains("Set-Cookie"), "{answer:?}");
    }
    let ours: Vec<String> = vcenter.state().sessions.keys().cloned().collect();
    assert_eq!(ours.len(), 1, "one session there");
    for asked in &vcenter.state().asked {
        for client in [&first, &second] {
            let cookie = client.cookie.as_deref().expect("a cookie");
            assert!(!asked.head.contains(cookie) && !ours.iter().any(|ours| ours == cookie), "{asked:?}");
        }
    }
    let cookie = first.cookie.clone().expect("a cookie");
    assert!(cookie.len() == 40 && cookie.bytes().all(|b| b.is_ascii_hexdigit()), "{cookie}");
    settled(&gated).await;
}

#[tokio::test]
async fn many_logins_at_once_are_one_at_the_vcenter() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let closed = vcenter.gate.clone().write_owned().await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(&gated).await;
        let inner = "<userName>ann</userName><password>secret</password>";
        client.send("Login", "SessionManager", "SessionManager", inner).await;
        clients.push(client);
    }
    let asks = |g: &Gated| g.service()["open_requests"] == 20 && vcenter.count("Login") == 1;
    gated.until("one asks, the others wait", asks).await;
    drop(closed);
    for client in &mut clients {
        assert_eq!(client.answer().await.status, 200);
    }
    assert_eq!(vcenter.count("Login"), 1);
    settled(&gated).await;
}

#[tokio::test]
async fn a_wrong_password_is_asked_about_and_ends_what_was_believed() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    Client::login(&gated, "ann").await;
    let mut wrong = Client::connect(&gated).await;
    let answer = wrong.log_in("ann", "guess").await;
    assert!(answer.status == 500 && answer.body.contains("InvalidLogin"), "{answer:?}");
    assert!(wrong.cookie.is_none() && !answer.head.contains("Set-Cookie"), "{answer:?}");
    assert_eq!(vcenter.count("Login"), 2);
    Client::login(&gated, "ann").await;
    assert_eq!(vcenter.count("Login"), 3, "after InvalidLogin the right one is asked about too");
    Client::login(&gated, "ben").await;
    assert_eq!(vcenter.count("Login"), 4, "another principal");
    settled(&gated).await;
}

#[tokio::test]
async fn a_token_that_the_gate_did_not_give_opens_nothing() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    Client::login(&gated, "ann").await;
    let ours = vcenter.state().sessions.keys().next().cloned().expect("a session");
    let before = vcenter.state().asked.len();
    for forged in [ours.as_str(), "0123456789abcdef0123456789abcdef01234567", "x"] {
        let mut client = Client::connect(&gated).await;
        client.cookie = Some(forged.to_string());
        let answer = client.read().await;
        assert!(answer.status == 500 && answer.body.contains("NotAuthenticated"), "{answer:?}");
    }
    assert_eq!(vcenter.state().asked.len(), before, "nothing is sent with a dead token");
    let mut fixed = Client::connect(&gated).await;
    fixed.cookie = Some("0123456789abcdef0123456789abcdef01234567".into());
    assert_eq!(fixed.log_in("ann", "secret").await.status, 200);
    assert_ne!(
        fixed.cookie.as_deref(),
        Some("0123456789abcdef0123456789abcdef01234567"),
        "a token is never the client's"
    );
}

#[tokio::test]
async fn logout_ends_one_client_and_no_other() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let (mut first, mut second) = (Client::login(&gated, "ann").await, Client::login(&gated, "ann").await);
    assert_eq!(first.call("Logout", "SessionManager", "SessionManager", "").await.status, 200);
    assert_eq!(first.read().await.status, 500, "it is over for this one");
    assert_eq!(second.read().await.status, 200);
    assert_eq!(vcenter.count("Logout"), 0, "the session there lives on");
}

#[tokio::test]
async fn views_are_found_by_their_owner_alone_and_move_with_it() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let (mut first, mut second) = (Client::login(&gated, "ann").await, Client::login(&gated, "ann").await);
    let view = first.view().await;
    assert_eq!(first.read_view(&view).await.status, 200);
    let foreign = second.read_view(&view).await;
    assert!(foreign.status == 500 && foreign.body.contains("ManagedObjectNotFound"), "{foreign:?}");
    let cookies = |vcenter: &Vcenter| vcenter.state().sessions.len();
    assert_eq!(cookies(&vcenter), 1, "views and reads need no session of their own");

    let filter = "<spec><objectSet><obj type=\"ContainerView\">VIEW</obj></objectSet></spec><partialUpdates>false</partialUpdates>";
    let inner = filter.replace("VIEW", &view);
    let made = first.call("CreateFilter", "PropertyCollector", "propertyCollector", &inner).await;
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(cookies(&vcenter), 2, "a clone of its own");
    let asked = vcenter.last("CreateFilter");
    assert!(!asked.body.contains(&view), "the view was made again there: {asked:?}");
    assert_eq!(first.read_view(&view).await.status, 200, "and goes by the name that the client knows");
    assert_eq!(second.read_view(&view).await.status, 500);
    settled(&gated).await;
}

#[tokio::test]
async fn each_client_reads_by_a_collector_of_its_own() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let (mut first, mut second) = (Client::login(&gated, "ann").await, Client::login(&gated, "ann").await);
    let mut used = Vec::new();
    for client in [&mut first, &mut second] {
        assert_eq!(client.read().await.status, 200);
        used.push(support::vcenter::refs(&vcenter.last("RetrievePropertiesEx").body));
    }
    assert_eq!(used[0].len(), 1, "{used:?}");
    assert_ne!(used[0], used[1]);
    first.call("Logout", "SessionManager", "SessionManager", "").await;
    let mut third = Client::login(&gated, "ann").await;
    third.read().await;
    assert_eq!(support::vcenter::refs(&vcenter.last("RetrievePropertiesEx").body), used[0], "it takes what was left");
    assert_eq!(vcenter.count("CreatePropertyCollector"), 2);
}

#[tokio::test]
async fn more_clients_than_clones_wait_their_turn() {
    let vcenter = Vcenter::start().await;
    let mut plan = vcenter_plan(vcenter.address, 8);
    plan["services"][0]["protocol"]["broker"]["clones_max"] = json!(1);
    let gated = start(&plan);
    let (mut first, mut second) = (Client::login(&gated, "ann").await, Client::login(&gated, "ann").await);
    let filter = "<spec/><partialUpdates>false</partialUpdates>";
    let made = first.call("CreateFilter", "PropertyCollector", "propertyCollector", filter).await;
    let filter_of_first = support::vcenter::refs(&made.body).first().cloned().expect("a filter");
    second.send("CreateFilter", "PropertyCollector", "propertyCollector", filter).await;
    gated.until("the second waits", |g| g.service()["open_requests"] == 1).await;
    assert_eq!(vcenter.count("CreateFilter"), 1);
    first.call("DestroyPropertyFilter", "PropertyFilter", &filter_of_first, "").await;
    assert_eq!(second.answer().await.status, 200, "the clone went back clean");
    assert_eq!(vcenter.count("CreateFilter"), 2);
    assert!(vcenter.state().sessions.len() <= 2);
}

#[tokio::test]
async fn status_sessions_and_explain_say_who_waits_for_a_session() {
    let vcenter = Vcenter::start().await;
    let mut plan = vcenter_plan(vcenter.address, 8);
    plan["services"][0]["protocol"]["broker"]["clones_max"] = json!(1);
    plan["services"][0]["protocol"]["broker"]["wait_max_ns"] = json!(500_000_000);
    let gated = start(&plan);
    let (mut first, mut second) = (Client::login(&gated, "ann").await, Client::login(&gated, "ann").await);
    let filter = "<spec/><partialUpdates>false</partialUpdates>";
    first.call("CreateFilter", "PropertyCollector", "propertyCollector", filter).await;
    second.send("CreateFilter", "PropertyCollector", "propertyCollector", filter).await;
    gated.until("the second waits", |g| g.service()["broker"]["waiting"] == 1).await;
    let broker = gated.service()["broker"].clone();
    assert_eq!((&broker["clients"], &broker["shared"], &broker["clones"]), (&json!(2), &json!(1), &json!(1)));
    let sessions: Value = serde_json::from_str(&gated.gate.sessions_json()).expect("JSON");
    assert_eq!(sessions["services"][0]["principals"][0]["waiting"], 1);
    let newest = |gated: &Gated| {
        let query = ExplainQuery { client: Some("ann".into()), ..ExplainQuery::default() };
        let told: Value = serde_json::from_str(&gated.gate.explain_json(&query)).expect("JSON");
        told["calls"][0].clone()
    };
    let call = newest(&gated);
    assert_eq!(
        (&call["decision"], &call["waits_for"], &call["user"]),
        (&json!("held"), &json!("session"), &json!("ann"))
    );
    assert_eq!(second.answer().await.status, 503);
    gated.until("it is told", |g| newest(g)["decision"] == "turned-away").await;
    let call = newest(&gated);
    assert_eq!((&call["reason"], &call["detail"]), (&json!("deadline"), &json!("late")));
    assert!(call["waited_session_s"].as_f64() > Some(0.4), "{call}");
    gated.until("nothing is in flight", |g| g.in_flight() == 0 && g.service()["open_requests"] == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn a_read_is_sent_again_on_a_new_session_and_nothing_else_is() {
    for empty in [false, true] {
        let vcenter = Vcenter::start().await;
        let gated = start(&vcenter_plan(vcenter.address, 8));
        let mut client = Client::login(&gated, "ann").await;
        vcenter.state().empty_inventory = empty;
        assert_eq!(client.read().await.status, 200);
        vcenter.forget();
        let answer = client.read().await;
        assert!(answer.status == 200 && !answer.body.contains("missingSet"), "{answer:?}");
        assert_eq!(vcenter.count("Login"), 2, "with the password that is still known");
        vcenter.forget();
        let answer = client.call("PowerOnVM_Task", "VirtualMachine", "vm-1", "").await;
        assert!(answer.status == 500 && answer.body.contains("NotAuthenticated"), "{answer:?}");
        assert_eq!(vcenter.count("PowerOnVM_Task"), 1, "what may have run is never sent twice");
        assert_eq!(client.read().await.status, 200);
        settled(&gated).await;
    }
}

#[tokio::test]
async fn a_long_poll_gives_its_slot_back_while_it_waits() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 1));
    let (mut waiting, mut other) = (Client::login(&gated, "ann").await, Client::login(&gated, "ann").await);
    let inner = "<version></version><options><maxWaitSeconds>600</maxWaitSeconds></options>";
    waiting.send("WaitForUpdatesEx", "PropertyCollector", "propertyCollector", inner).await;
    gated.until("it waits there", |g| g.in_flight() == 0 && g.counter("parked") == 1).await;
    assert!(vcenter.last("WaitForUpdatesEx").body.contains("<maxWaitSeconds>60<"), "no longer than the plan says");
    assert_eq!(other.read().await.status, 200, "the one slot is free");
    vcenter.updates.notify_one();
    assert_eq!(waiting.answer().await.status, 200);
    gated.until("it is told", |g| g.service()["open_requests"] == 0).await;
    settled(&gated).await;
}

#[tokio::test]
async fn services_beside_vim25_get_the_session_in_their_header() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let mut client = Client::login(&gated, "ann").await;
    let token = client.cookie.take().expect("a token");
    let body = support::vcenter::request("PbmQueryProfile", "PbmProfileManager", "ProfileManager", "").replace(
        "<soapenv:Body>",
        &format!("<soapenv:Header><vcSessionCookie>{token}</vcSessionCookie></soapenv:Header><soapenv:Body>"),
    );
    client.post("/pbm/sdk", &body).await;
    client.answer().await;
    let asked = vcenter.last("PbmQueryProfile");
    let ours = vcenter.state().sessions.keys().next().cloned().expect("a session");
    assert!(!asked.body.contains(&token) && asked.body.contains(&format!("<vcSessionCookie>{ours}<")), "{asked:?}");
}

#[tokio::test]
async fn rest_logs_in_by_the_same_password_and_shares_one_session_there() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(&gated).await;
        client.peer.send("POST /api/session HTTP/1.1\r\nHost: vc\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\nContent-Length: 0\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let token = answer.body.trim_matches('"').to_string();
        client
            .peer
            .send(format!("GET /api/vcenter/vm HTTP/1.1\r\nHost: vc\r\nvmware-api-session-id: {token}\r\n\r\n"))
            .await;
        assert_eq!(client.answer().await.status, 200);
        tokens.push(token);
    }
    assert_ne!(tokens[0], tokens[1]);
    let asked = vcenter.state().asked.clone();
    let lines = |start: &str| asked.iter().filter(|asked| asked.line.starts_with(start)).collect::<Vec<_>>();
    assert_eq!((vcenter.count("Login"), lines("POST /api/session").len()), (1, 1));
    for asked in lines("GET /api/vcenter/vm") {
        assert!(asked.head.contains("vmware-api-session-id: api-"), "{asked:?}");
        assert!(!tokens.iter().any(|token| asked.head.contains(token)), "{asked:?}");
    }
    let mut nobody = Client::connect(&gated).await;
    nobody.peer.send("GET /api/vcenter/vm HTTP/1.1\r\nHost: vc\r\n\r\n").await;
    assert_eq!(nobody.answer().await.status, 401);
}

#[tokio::test]
async fn what_parsers_could_read_in_two_ways_is_refused() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let deep = "<a>".repeat(100);
    for bad in ["<!DOCTYPE x [<!ENTITY a 'b'>]><Envelope/>", deep.as_str(), "not xml"] {
        let mut client = Client::connect(&gated).await;
        client.post("/sdk", bad).await;
        assert_eq!(client.answer().await.status, 400, "{bad}");
    }
    let mut client = Client::connect(&gated).await;
    let start =
        support::vcenter::request("Login", "SessionManager", "SessionManager", "<userName>ann</userName><password>");
    let (start, _) = start.split_once("</Login>").expect("an end");
    client
        .peer
        .send(format!(
            "POST /sdk HTTP/1.1\r\nHost: vc\r\nContent-Type: text/xml\r\nContent-Length: 52428800\r\n\r\n{start}"
        ))
        .await;
    client.peer.send("x".repeat(32 << 10)).await;
    let answer = client.answer().await;
    assert!((400..500).contains(&answer.status), "a Login of 50 MB: {answer:?}");
    assert!(vcenter.state().asked.is_empty());
    settled(&gated).await;
}

#[tokio::test]
async fn who_holds_what_is_told_without_a_secret() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let client = Client::login(&gated, "ann").await;
    let told = gated.gate.sessions_json();
    let value: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let principal = &value["services"][0]["principals"][0];
    assert_eq!((&principal["user"], &principal["downstream"]), (&json!("ann"), &json!(1)), "{told}");
    assert_eq!(principal["upstream"][0]["kind"], "shared", "{told}");
    let ours = vcenter.state().sessions.keys().next().cloned().expect("a session");
    for secret in [client.cookie.as_deref().expect("a cookie"), &ours, "secret"] {
        assert!(!told.contains(secret) && !gated.gate.metrics_text().contains(secret), "{told}");
    }
    assert!(gated.gate.metrics_text().contains("tidegate_broker_sessions{service=\"s\",kind=\"shared\"} 1"));
    let limits = std::fs::read_to_string("/proc/self/limits").expect("limits");
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a line").to_string();
    assert_eq!(cores.split_whitespace().nth(4), Some("0"), "passwords stay out of core dumps: {cores}");
}

#[tokio::test]
async fn without_a_broker_sessions_pass_and_long_polls_still_give_their_slot_back() {
    let vcenter = Vcenter::start().await;
    let mut plan = vcenter_plan(vcenter.address, 1);
    plan["services"][0]["protocol"]["broker"] = json!(null);
    plan["services"][0]["protocol"]["long_polls_max"] = json!(1);
    let gated = start(&plan);
    let (mut first, mut second) = (Client::login(&gated, "ann").await, Client::login(&gated, "ann").await);
    assert_eq!(vcenter.count("Login"), 2);
    assert!(vcenter.state().sessions.contains_key(first.cookie.as_deref().expect("a cookie")), "the vCenter's own");
    let inner = "<version></version><options><maxWaitSeconds>600</maxWaitSeconds></options>";
    first.send("WaitForUpdatesEx", "PropertyCollector", "propertyCollector", inner).await;
    gated.until("it waits there", |g| g.in_flight() == 0 && g.counter("parked") == 1).await;
    assert_eq!(second.read().await.status, 200, "the one slot is free");
    let another = second.call("WaitForUpdatesEx", "PropertyCollector", "propertyCollector", inner).await;
    assert!(another.status == 503 && another.head.contains("Retry-After"), "{another:?}");
    vcenter.updates.notify_one();
    assert_eq!(first.answer().await.status, 200);
    vcenter.forget();
    assert_eq!(first.read().await.status, 500, "as the vCenter says it");
    assert!(gated.gate.metrics_text().contains("not_authenticated_answers_total{service=\"s\",shape=\"session\"} 1"));
    settled(&gated).await;
}

#[tokio::test]
async fn a_login_without_a_password_is_its_clients_alone() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let mut cookies = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(&gated).await;
        let answer = client.call("LoginByToken", "SessionManager", "SessionManager", "").await;
        let (_, rest) = answer.head.split_once("Set-Cookie: vmware_soap_session=\"").expect("a session");
        client.cookie = rest.split('"').next().map(str::to_string);
        let filter = "<spec/><partialUpdates>false</partialUpdates>";
        assert_eq!(client.call("CreateFilter", "PropertyCollector", "propertyCollector", filter).await.status, 200);
        cookies.push(vcenter.last("CreateFilter").cookie);
        assert_ne!(client.cookie, cookies.last().cloned());
    }
    assert_ne!(cookies[0], cookies[1]);
    assert_eq!((vcenter.count("LoginByToken"), vcenter.count("CloneSession")), (2, 0));
    settled(&gated).await;
}

#[tokio::test]
async fn a_gate_that_ends_logs_out() {
    let vcenter = Vcenter::start().await;
    let gated = start(&vcenter_plan(vcenter.address, 8));
    let mut client = Client::login(&gated, "ann").await;
    let filter = "<spec/><partialUpdates>false</partialUpdates>";
    assert_eq!(client.call("CreateFilter", "PropertyCollector", "propertyCollector", filter).await.status, 200);
    Client::login(&gated, "ben").await;
    assert_eq!(vcenter.state().sessions.len(), 3);
    let gate = gated.gate.clone();
    let drained = tokio::task::spawn_blocking(move || gate.drain(std::time::Duration::from_secs(20))).await;
    assert!(drained.expect("a report").drained);
    assert_eq!(vcenter.state().sessions.len(), 0, "nothing is left there");
    assert_eq!(vcenter.count("Logout"), 3);
}

#[tokio::test]
async fn two_hundred_scripts_are_one_session_there() {
    let vcenter = Vcenter::start().await;
    let mut plan = vcenter_plan(vcenter.address, 8);
    for cap in ["sessions_max", "sessions_per_principal_max"] {
        plan["services"][0]["protocol"]["broker"][cap] = json!(500);
    }
    let gated = start(&plan);
    let mut scripts = tokio::task::JoinSet::new();
    for number in 0..200 {
        let address = gated.address;
        scripts.spawn(async move {
            let mut client = Client::at(address).await;
            assert_eq!(client.log_in(["ann", "ben"][number % 2], "secret").await.status, 200);
            let view = client.view().await;
            for _ in 0..3 {
                assert_eq!(client.read_view(&view).await.status, 200);
            }
            assert_eq!(client.call("DestroyView", "ContainerView", &view, "").await.status, 200);
            assert_eq!(client.call("Logout", "SessionManager", "SessionManager", "").await.status, 200);
        });
    }
    while let Some(script) = scripts.join_next().await {
        script.expect("it ran to its end");
    }
    assert_eq!((vcenter.count("Login"), vcenter.count("CloneSession")), (2, 0));
    assert_eq!(vcenter.state().sessions.len(), 2);
    settled(&gated).await;
}

#[tokio::test]
async fn a_plan_without_a_broker_ends_its_sessions_and_one_with_it_begins_anew() {
    let vcenter = Vcenter::start().await;
    let mut plan = vcenter_plan(vcenter.address, 8);
    plan["services"][0]["listen"] = json!("127.0.0.1:0");
    let gated = start(&plan);
    let mut client = Client::login(&gated, "ann").await;
    assert_eq!(client.read().await.status, 200);
    let mut off = plan.clone();
    off["services"][0]["protocol"]["broker"] = json!(null);
    gated.gate.apply(off.to_string().as_bytes()).expect("a plan");
    gated.until("its session has ended there", |_| vcenter.state().sessions.is_empty()).await;
    assert_eq!(client.read().await.status, 500, "the vCenter does not know it");
    gated.gate.apply(plan.to_string().as_bytes()).expect("a plan");
    assert_eq!(client.read().await.status, 500, "nor does a new broker");
    client.cookie = None;
    assert_eq!(client.log_in("ann", "secret").await.status, 200);
    assert_eq!(client.read().await.status, 200);
    settled(&gated).await;
}
