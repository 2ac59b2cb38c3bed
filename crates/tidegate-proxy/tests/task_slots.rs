//! Work inside a vCenter through the gate: a call that begins a task holds a slot until the task is over.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

mod support;
use serde_json::{Value, json};
use support::vcenter::{Answer, Client, Vcenter, refs, vcenter_plan};
use support::{Gated, start};
use tidegate_proxy::ExplainQuery;

/// A gate before the vCenter, with a change to its tasks.
fn gate(vcenter: &Vcenter, change: Value) -> Gated {
    let mut plan = vcenter_plan(vcenter.address, 64);
    let tasks = plan["services"][0]["protocol"]["tasks"].as_object_mut().expect("tasks");
    tasks.extend(change.as_object().expect("an object").clone());
    start(&plan)
}

async fn on_vm(client: &mut Client, operation: &str, vm: &str) -> Answer {
    client.call(operation, "VirtualMachine", vm, "").await
}

/// The value of one of the metrics.
fn metric(gated: &Gated, name: &str) -> f64 {
    let text = gated.gate.metrics_text();
    let line = text.lines().find(|line| line.starts_with(&format!("{name}{{"))).unwrap_or_default();
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or(-1.0)
}

fn feed(gated: &Gated, latency: Value) {
    let look = json!({
        "service": gated.service()["name"],
        "datastores": [{"id": "datastore-1", "latency_us": latency}],
        "vms": {"vm-1": {"host": "host-1", "datastores": ["datastore-1"]}, "vm-2": {"host": "host-1", "datastores": ["datastore-1"]}},
    });
    gated.gate.datastores(&look.to_string()).expect("a look");
}

#[tokio::test]
async fn a_task_holds_its_slot_until_the_vcenter_says_that_it_is_over() {
    let vcenter = Vcenter::start().await;
    let gated = gate(&vcenter, json!({"start": 1, "most": 1}));
    let (mut first, mut second) = (Client::login(&gated, "ann").await, Client::login(&gated, "ann").await);
    assert_eq!(on_vm(&mut first, "PowerOnVM_Task", "vm-1").await.status, 200);
    second.send("PowerOnVM_Task", "VirtualMachine", "vm-2", "").await;
    gated.until("it waits", |g| metric(g, "tidegate_tasks_running") == 1.0 && g.service()["open_requests"] == 1).await;
    assert_eq!(first.read().await.status, 200, "what begins no work does not wait");
    assert_eq!(vcenter.count("PowerOnVM_Task"), 1);
    vcenter.tasks_are("success");
    assert_eq!(second.answer().await.status, 200);
    assert_eq!(vcenter.count("PowerOnVM_Task"), 2);
    gated.until("nothing is in flight", |g| g.in_flight() == 0 && g.service()["open_requests"] == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn work_that_is_asked_for_at_length_is_watched_too() {
    let vcenter = Vcenter::start().await;
    let gated = gate(&vcenter, json!({"start": 1, "most": 1}));
    let mut client = Client::login(&gated, "ann").await;
    let spec = format!("<spec>{}</spec>", "<note>x</note>".repeat(2000));
    let answer = client.call("ReconfigVM_Task", "VirtualMachine", "vm-1", &spec).await;
    assert!(answer.status == 200 && answer.body.contains("task-"), "{answer:?}");
    assert_eq!(metric(&gated, "tidegate_tasks_running"), 1.0);
    vcenter.tasks_are("success");
    gated.until("it is over", |g| metric(g, "tidegate_tasks_running") == 0.0).await;
    gated.until("nothing is in flight", |g| g.in_flight() == 0 && g.service()["open_requests"] == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn on_a_clone_tasks_are_watched_by_a_collector_of_the_gates_own() {
    let vcenter = Vcenter::start().await;
    let gated = gate(&vcenter, json!({"start": 1, "most": 1}));
    let mut client = Client::login(&gated, "ann").await;
    let shared = vcenter.state().sessions.keys().next().cloned().expect("a session");
    let filter = "<spec/><partialUpdates>false</partialUpdates>";
    assert_eq!(client.call("CreateFilter", "PropertyCollector", "propertyCollector", filter).await.status, 200);
    vcenter.state().sessions.remove(&shared);
    assert_eq!(on_vm(&mut client, "PowerOnVM_Task", "vm-1").await.status, 200);
    vcenter.tasks_are("success");
    gated.until("it is over", |g| metric(g, "tidegate_tasks_running") == 0.0).await;
    let asked = vcenter.last("RetrievePropertiesEx");
    assert_ne!(asked.cookie, shared);
    assert_eq!(refs(&asked.body).len(), 1, "the pages that its client reads are not disturbed: {asked:?}");
    assert_eq!(vcenter.count("CreatePropertyCollector"), 1);
    gated.until("nothing is in flight", |g| g.in_flight() == 0 && g.service()["open_requests"] == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn who_waits_too_long_is_told_to_come_back_and_nothing_was_sent() {
    let vcenter = Vcenter::start().await;
    let gated = gate(&vcenter, json!({"start": 1, "most": 1, "wait_max_ns": 1_000_000}));
    let mut client = Client::login(&gated, "ann").await;
    assert_eq!(on_vm(&mut client, "PowerOnVM_Task", "vm-1").await.status, 200);
    let answer = on_vm(&mut client, "PowerOnVM_Task", "vm-2").await;
    assert!(answer.status == 503 && answer.head.contains("Retry-After: "), "{answer:?}");
    assert_eq!(vcenter.count("PowerOnVM_Task"), 1);
    assert_eq!(client.read().await.status, 200, "the connection goes on");
    gated.until("nothing is in flight", |g| g.in_flight() == 0 && g.service()["open_requests"] == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_leaves_the_line() {
    let vcenter = Vcenter::start().await;
    let gated = gate(&vcenter, json!({"start": 1, "most": 1}));
    let mut client = Client::login(&gated, "ann").await;
    assert_eq!(on_vm(&mut client, "PowerOnVM_Task", "vm-1").await.status, 200);
    let mut leaves = Client::login(&gated, "ann").await;
    leaves.send("PowerOnVM_Task", "VirtualMachine", "vm-2", "").await;
    gated.until("it waits", |g| metric(g, "tidegate_tasks_arrived_calls_total") == 2.0).await;
    drop(leaves);
    gated.until("it has left", |g| g.service()["open_requests"] == 0).await;
    assert_eq!(metric(&gated, "tidegate_tasks_running"), 1.0);
    gated.until("nothing is in flight", |g| g.in_flight() == 0 && g.service()["open_requests"] == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn a_snapshot_is_open_until_the_task_that_removes_it_is_over() {
    let vcenter = Vcenter::start().await;
    let gated = gate(&vcenter, json!({"snapshots_per_datastore_max": 1}));
    feed(&gated, json!(1000));
    let (mut first, mut second) = (Client::login(&gated, "ann").await, Client::login(&gated, "ann").await);
    assert_eq!(on_vm(&mut first, "CreateSnapshot_Task", "vm-1").await.status, 200);
    vcenter.tasks_are("success");
    gated.until("it is made", |g| metric(g, "tidegate_tasks_running") == 0.0).await;
    second.send("CreateSnapshot_Task", "VirtualMachine", "vm-2", "").await;
    gated.until("it waits", |g| metric(g, "tidegate_tasks_arrived_calls_total") == 2.0).await;
    let removal = first.call(
        "RemoveSnapshot_Task",
        "VirtualMachineSnapshot",
        "snapshot-9",
        "<removeChildren>false</removeChildren>",
    );
    assert_eq!(removal.await.status, 200);
    assert_eq!(vcenter.count("CreateSnapshot_Task"), 1, "the removal is under way");
    vcenter.tasks_are("success");
    assert_eq!(second.answer().await.status, 200, "vCenter said whose snapshot it was");
    gated.until("nothing is in flight", |g| g.in_flight() == 0 && g.service()["open_requests"] == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn no_snapshot_begins_on_a_datastore_that_is_slow() {
    let vcenter = Vcenter::start().await;
    let gated = gate(&vcenter, json!({}));
    feed(&gated, json!(20_000));
    let mut client = Client::login(&gated, "ann").await;
    client.send("CreateSnapshot_Task", "VirtualMachine", "vm-1", "").await;
    gated.until("it waits", |g| metric(g, "tidegate_tasks_arrived_calls_total") == 1.0).await;
    feed(&gated, json!(18_500));
    assert_eq!((vcenter.count("CreateSnapshot_Task"), metric(&gated, "tidegate_tasks_begun_calls_total")), (0, 0.0));
    feed(&gated, json!(17_000));
    assert_eq!(client.answer().await.status, 200);
    gated.until("nothing is in flight", |g| g.in_flight() == 0 && g.service()["open_requests"] == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn a_lease_is_open_until_its_client_completes_it() {
    let vcenter = Vcenter::start().await;
    let gated = gate(&vcenter, json!({"leases_max": 1, "leases_per_host_max": 1}));
    let (mut first, mut second) = (Client::login(&gated, "ann").await, Client::login(&gated, "ann").await);
    let answer = on_vm(&mut first, "ExportVm", "vm-1").await;
    let lease = refs(&answer.body).first().cloned().expect("a lease");
    second.send("ExportVm", "VirtualMachine", "vm-2", "").await;
    gated.until("it waits", |g| metric(g, "tidegate_tasks_arrived_calls_total") == 2.0).await;
    assert_eq!(metric(&gated, "tidegate_tasks_leases"), 1.0);
    let progress = first.call("HttpNfcLeaseProgress", "HttpNfcLease", &lease, "<percent>50</percent>").await;
    assert_eq!((progress.status, vcenter.count("ExportVm")), (200, 1));
    assert_eq!(first.call("HttpNfcLeaseComplete", "HttpNfcLease", &lease, "").await.status, 200);
    assert_eq!(second.answer().await.status, 200);
    gated.until("nothing is in flight", |g| g.in_flight() == 0 && g.service()["open_requests"] == 0).await;
    gated.assert_conserved();
}

/// The newest call of this operation that `explain` tells of.
fn told(gated: &Gated, operation: &str) -> Value {
    let answer: Value = serde_json::from_str(&gated.gate.explain_json(&ExplainQuery::default())).expect("JSON");
    let calls = answer["calls"].as_array().expect("calls").clone();
    calls.into_iter().find(|call| call["operation"] == operation).unwrap_or_default()
}

#[tokio::test]
async fn status_and_explain_say_why_a_call_waits_for_a_task_slot_and_waited() {
    let vcenter = Vcenter::start().await;
    let gated = gate(&vcenter, json!({"start": 1, "most": 1}));
    let (mut first, mut second) = (Client::login(&gated, "ann").await, Client::login(&gated, "ann").await);
    assert_eq!(on_vm(&mut first, "PowerOnVM_Task", "vm-1").await.status, 200);
    second.send("PowerOffVM_Task", "VirtualMachine", "vm-2", "").await;
    gated.until("it waits", |g| g.service()["tasks"]["waiting"] == 1).await;
    let tasks = gated.service()["tasks"].clone();
    assert_eq!((&tasks["running"], &tasks["limit"], &tasks["held"]["task-limit"]), (&json!(1), &json!(1), &json!(1)));
    let call = told(&gated, "PowerOffVM_Task");
    assert_eq!(
        (&call["decision"], &call["waits_for"], &call["call"]),
        (&json!("held"), &json!("task-slot"), &Value::Null)
    );
    assert_eq!(call["user"], "ann");
    let text = call["text"].as_str().expect("a sentence");
    assert!(text.contains("for a task slot (task-limit: as many tasks are under way"), "{text}");
    vcenter.tasks_are("success");
    assert_eq!(second.answer().await.status, 200);
    gated.until("it is over", |g| g.in_flight() == 0 && g.service()["open_requests"] == 0).await;
    let call = told(&gated, "PowerOffVM_Task");
    assert_eq!((&call["decision"], &call["task_slot_reason"]), (&json!("admitted"), &json!("task-limit")));
    assert!(call["waited_task_slot_s"].as_f64() > Some(0.0) && call["waits_for"].is_null(), "{call}");
    gated.assert_conserved();
}

#[tokio::test]
async fn explain_says_for_what_a_call_was_turned_away_before_admission() {
    let vcenter = Vcenter::start().await;
    let gated = gate(&vcenter, json!({"start": 1, "most": 1, "wait_max_ns": 1_000_000}));
    let mut client = Client::login(&gated, "ann").await;
    assert_eq!(on_vm(&mut client, "PowerOnVM_Task", "vm-1").await.status, 200);
    assert_eq!(on_vm(&mut client, "PowerOffVM_Task", "vm-2").await.status, 503);
    gated.until("it is told", |g| told(g, "PowerOffVM_Task")["decision"] == "turned-away").await;
    let call = told(&gated, "PowerOffVM_Task");
    assert_eq!(
        (&call["reason"], &call["detail"], &call["status"]),
        (&json!("deadline"), &json!("task-limit"), &json!(503))
    );
    gated.until("nothing is in flight", |g| g.in_flight() == 0 && g.service()["open_requests"] == 0).await;
    gated.assert_conserved();
}

#[tokio::test]
async fn bypass_lets_work_pass_that_waits_and_that_comes() {
    let vcenter = Vcenter::start().await;
    let gated = gate(&vcenter, json!({"start": 1, "most": 1}));
    let (mut first, mut second) = (Client::login(&gated, "ann").await, Client::login(&gated, "ann").await);
    assert_eq!(on_vm(&mut first, "PowerOnVM_Task", "vm-1").await.status, 200);
    second.send("PowerOnVM_Task", "VirtualMachine", "vm-2", "").await;
    gated.until("it waits", |g| g.service()["tasks"]["waiting"] == 1).await;
    gated.gate.bypass(None, true).expect("a switch");
    assert_eq!(second.answer().await.status, 200);
    assert_eq!(on_vm(&mut first, "PowerOnVM_Task", "vm-3").await.status, 200);
    assert_eq!(metric(&gated, "tidegate_tasks_running"), 1.0, "what passes takes no slot");
    gated.gate.bypass(None, false).expect("a switch");
    second.send("PowerOnVM_Task", "VirtualMachine", "vm-2", "").await;
    gated.until("it waits", |g| g.service()["tasks"]["waiting"] == 1).await;
    drop(second);
    gated.until("nothing is in flight", |g| g.in_flight() == 0 && g.service()["open_requests"] == 0).await;
    gated.assert_conserved();
}
