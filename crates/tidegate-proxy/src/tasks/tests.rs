//! Slots at run time, without a vCenter: who waits is woken, what is dropped is given back, what is seen counts.

use super::watch::{Seen, Witness};
use super::*;
use crate::gate::feed;
use crate::plan::{PrincipalPlan, ProtocolPlan, parse};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::AtomicU32;
use std::task::{Context, Poll, Wake};
use tidegate_core::limit::tasks::Why;

const PLAN: &str = include_str!("../../../../fuzz/corpus/plan/vcenter");

fn plan(change: impl FnOnce(&mut VcenterPlan)) -> VcenterPlan {
    let plan = parse(PLAN.as_bytes()).unwrap();
    let ProtocolPlan::Vcenter(mut vcenter) = plan.services[0].protocol.clone() else { panic!("no vCenter") };
    vcenter.principals.clear();
    change(&mut vcenter);
    vcenter
}

/// Two slots.
fn two() -> Arc<Handle> {
    Arc::new(Handle::new(&plan(|plan| (plan.tasks.start, plan.tasks.most) = (2, 2)), 7))
}

fn object(kind: &str, id: &str) -> Ref {
    Ref { kind: kind.into(), id: id.into(), at: 0..0 }
}

fn about(handle: &Handle, work: Work, vm: &str) -> TaskAsk {
    handle.about(work, 0, Some(Watcher(1)), [object("VirtualMachine", vm)].iter())
}

#[derive(Default)]
struct Woken(AtomicU32);
impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What the machine says now, and who is woken when it says more.
fn poll(hold: &mut TaskHold) -> (Poll<Word>, Arc<Woken>) {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    (hold.poll(&Context::from_waker(&waker)), woken)
}

fn running(handle: &Handle) -> (u32, u32) {
    let view = handle.view();
    (view.running, view.waiting)
}

const GO: Poll<Word> = Poll::Ready(Word::Go);

#[test]
fn who_waits_is_woken_when_a_task_is_seen_to_end() {
    let handle = two();
    for id in ["task-1", "task-2"] {
        let mut hold = handle.ask(about(&handle, Work::Task, "vm-1")).unwrap();
        assert_eq!(poll(&mut hold).0, GO);
        hold.sent();
        hold.began(Some(id));
    }
    let mut waits = handle.ask(about(&handle, Work::Task, "vm-2")).unwrap();
    let (word, woken) = poll(&mut waits);
    assert_eq!((word, running(&handle)), (Poll::Pending, (2, 1)));
    let seen = |id: &str, how| Seen { id: id.into(), how, entity: None };
    handle.seen(&[seen("task-1", None), seen("task-3", Some(How::Fine)), seen("", Some(How::Failed))]);
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    handle.seen(&[seen("task-2", Some(How::Failed))]);
    assert_eq!((woken.0.load(Ordering::SeqCst), poll(&mut waits).0), (1, GO));
    assert_eq!(handle.due(1), BTreeMap::from([(Watcher(1), vec!["task-1".to_string()])]));
}

#[test]
fn a_snapshot_that_is_made_and_removed_between_two_looks_is_not_open() {
    let handle = two();
    for (work, id) in [(Work::Snapshot, "task-1"), (Work::Unsnapshot, "task-2")] {
        let mut hold = handle.ask(about(&handle, work, "vm-1")).unwrap();
        assert_eq!(poll(&mut hold).0, GO);
        hold.sent();
        hold.began(Some(id));
    }
    let seen = |id: &str| Seen { id: id.into(), how: Some(How::Fine), entity: Some("vm-1".into()) };
    handle.seen(&[seen("task-2"), seen("task-1")]);
    assert_eq!((running(&handle), handle.view().snapshots, handle.view().vms), ((0, 0), 0, 0));
}

#[test]
fn what_is_dropped_unsent_is_given_back_and_what_was_sent_is_not() {
    let handle = two();
    let mut first = handle.ask(about(&handle, Work::Task, "vm-1")).unwrap();
    let mut second = handle.ask(about(&handle, Work::Task, "vm-1")).unwrap();
    let mut third = handle.ask(about(&handle, Work::Task, "vm-1")).unwrap();
    let fourth = handle.ask(about(&handle, Work::Task, "vm-1")).unwrap();
    assert_eq!((poll(&mut first).0, poll(&mut second).0, poll(&mut third).0), (GO, GO, Poll::Pending));
    drop(fourth);
    first.sent();
    drop(first);
    assert_eq!((running(&handle), poll(&mut third).0), ((2, 1), Poll::Pending), "it may be under way");
    drop(second);
    assert_eq!((running(&handle), poll(&mut third).0), ((2, 0), GO));
    third.sent();
    third.answered(b"<no answer that names a task/>");
    assert_eq!(running(&handle), (1, 0));
    assert!(handle.inner().mail.is_empty());
    handle.drain();
    let mut late = handle.ask(about(&handle, Work::Task, "vm-1")).unwrap();
    assert!(matches!(poll(&mut late).0, Poll::Ready(Word::TurnAway { reason: Why::Draining, .. })));
}

#[test]
fn a_task_that_nobody_can_ask_for_is_over_with_its_answer() {
    let handle = two();
    let mut hold = handle.ask(TaskAsk { watcher: None, ..about(&handle, Work::Snapshot, "vm-1") }).unwrap();
    assert_eq!(poll(&mut hold).0, GO);
    hold.sent();
    hold.began(Some("task-1"));
    assert_eq!((running(&handle), handle.view().snapshots, handle.due(1).len()), ((0, 0), 1, 0));
}

#[test]
fn a_lease_is_over_when_its_client_says_so() {
    let handle = two();
    for id in ["session[1]a", "session[1]b"] {
        let mut hold = handle.ask(about(&handle, Work::Lease, "vm-1")).unwrap();
        assert_eq!(poll(&mut hold).0, GO);
        hold.sent();
        hold.began(Some(id));
    }
    assert_eq!((handle.view().leases, handle.due(1).len()), (2, 0));
    for (operation, this, left) in [
        ("HttpNfcLeaseProgress", "session[1]a", 2),
        ("HttpNfcLeaseComplete", "session[1]c", 2),
        ("HttpNfcLeaseComplete", "session[1]a", 1),
        ("HttpNfcLeaseComplete", "session[1]a", 1),
        ("HttpNfcLeaseGetManifest", "session[1]b", 1),
        ("HttpNfcLeaseAbort", "session[1]b", 0),
    ] {
        handle.passing(operation, this);
        assert_eq!(handle.view().leases, left, "{operation} {this}");
    }
}

#[test]
fn counters_tell_where_a_vm_lies_and_how_slow_that_is() {
    let handle = two();
    let feed = |latency: &str, vms: &str| {
        let json = format!(
            r#"{{"service": "vc", "datastores": [{{"id": "datastore-1", "latency_us": {latency}}}], "vms": {vms}}}"#
        );
        handle.feed(&feed::parse(&json).unwrap());
    };
    feed(
        "25000",
        r#"{"vm-1": {"host": "host-1", "datastores": ["datastore-1"]}, "vm-2": {"host": null, "datastores": []}}"#,
    );
    let found = about(&handle, Work::Snapshot, "vm-1");
    assert_eq!((found.datastores.iter().count(), found.host.is_some()), (1, true));
    let mut slow = handle.ask(found).unwrap();
    let mut other = handle.ask(about(&handle, Work::Snapshot, "vm-2")).unwrap();
    assert_eq!((poll(&mut slow).0, poll(&mut other).0), (Poll::Pending, GO));
    feed("19000", "null");
    assert_eq!(poll(&mut slow).0, Poll::Pending, "not yet");
    feed("null", "null");
    assert_eq!((poll(&mut slow).0, handle.view().slow_datastores), (GO, 0), "nobody knows any more");
    feed("25000", "null");
    let now = clock::now();
    assert!(handle.inner().places.stale(now).is_empty());
    assert_eq!(handle.inner().places.stale(now + FRESH + Span::secs(1)).len(), 1, "the counters have stopped");
    assert_eq!(handle.inner().places.next(), None);
}

#[test]
fn objects_are_told_by_their_type_or_else_by_their_id() {
    let handle = two();
    let objects = [
        object("VirtualMachineSnapshot", "vm-9"),
        object("", "vm-1"),
        object("HostSystem", "vm-2"),
        object("", "datastore-1"),
    ];
    let found = handle.about(Work::Lease, 3, None, objects.iter());
    assert_eq!(found.vm, Some(VmKey(handle.key(Kind::Vm, "vm-1"))));
    assert_eq!(found.host.map(|host| host.0), Some(handle.key(Kind::Host, "vm-2")));
    assert_eq!((found.datastores.iter().count(), found.principal), (1, PrincipalIx(3)));
    assert_ne!(handle.key(Kind::Vm, "a"), handle.key(Kind::Host, "a"));
    assert_ne!(handle.key(Kind::Vm, "a"), Handle::new(&plan(|_| ()), 8).key(Kind::Vm, "a"), "it is keyed");
}

#[test]
fn principals_keep_their_work_when_the_plan_changes() {
    let named = |names: &'static [&'static str]| {
        plan(|plan| {
            plan.principals = names
                .iter()
                .map(|name| PrincipalPlan {
                    name: name.to_string(),
                    users: Vec::new(),
                    bulk: true,
                    vms_max: 1,
                    windows: Vec::new(),
                })
                .collect();
        })
    };
    let handle = Arc::new(Handle::new(&named(&["a", "b"]), 7));
    let on = |principal, vm: &str| {
        handle.ask(TaskAsk { principal: PrincipalIx(principal), ..about(&handle, Work::Task, vm) }).unwrap()
    };
    let (mut a, mut b) = (on(1, "vm-1"), on(2, "vm-2"));
    assert_eq!((poll(&mut a).0, poll(&mut b).0), (GO, GO));
    handle.apply(&named(&["c", "b"]));
    let (mut c, mut again) = (on(1, "vm-3"), on(2, "vm-4"));
    assert_eq!((poll(&mut c).0, poll(&mut again).0), (GO, Poll::Pending), "b has its VM in work still");
    drop(b);
    assert_eq!(poll(&mut again).0, GO);
}

/// A vCenter where every task is over when it is asked for the second time.
#[derive(Clone, Default)]
struct Slow {
    asked: Rc<RefCell<BTreeMap<String, u32>>>,
    calls: Rc<RefCell<Vec<usize>>>,
}

impl Witness for Slow {
    async fn look(&self, watcher: Watcher, ids: &[String]) -> Vec<Seen> {
        assert_eq!(watcher, Watcher(1));
        self.calls.borrow_mut().push(ids.len());
        let mut asked = self.asked.borrow_mut();
        let mut look = |id: &String| {
            let times = asked.entry(id.clone()).or_default();
            *times += 1;
            Seen { id: id.clone(), how: (*times > 1).then_some(How::Fine), entity: None }
        };
        ids.iter().map(&mut look).collect()
    }
}

#[tokio::test]
async fn the_collector_asks_for_what_is_outstanding_until_it_is_over() {
    let handle = Arc::new(Handle::new(&plan(|plan| (plan.tasks.start, plan.tasks.most) = (300, 300)), 7));
    let witness = Slow::default();
    for n in 0..300 {
        let mut hold = handle.ask(about(&handle, Work::Task, "vm-1")).unwrap();
        assert_eq!(poll(&mut hold).0, GO);
        hold.sent();
        hold.began(Some(&format!("task-{n}")));
    }
    let mut rounds = 1;
    while watch::round(&handle, &witness, rounds).await {
        rounds += 1;
    }
    assert_eq!((running(&handle), rounds), ((0, 0), 4));
    assert_eq!(witness.calls.borrow().iter().sum::<usize>(), 600, "each of them twice");
    assert!(witness.calls.borrow().iter().all(|ids| *ids <= 256));
    handle.close();
    watch::run(handle, witness).await;
}

#[tokio::test]
async fn a_wait_ends() {
    let tasks = |plan: &mut VcenterPlan| {
        (plan.tasks.start, plan.tasks.most, plan.tasks.wait_max) = (1, 1, Span::millis(1));
    };
    let handle = Arc::new(Handle::new(&plan(tasks), 7));
    let place = tokio::task::LocalSet::new();
    let word = place.run_until(async {
        let timer = tokio::task::spawn_local(handle.clone().run_timer());
        let _runs = handle.ask(about(&handle, Work::Task, "vm-1")).unwrap();
        let mut late = handle.ask(about(&handle, Work::Task, "vm-2")).unwrap();
        let word = std::future::poll_fn(|cx| late.poll(cx)).await;
        handle.close();
        timer.await.unwrap();
        word
    });
    assert!(matches!(word.await, Word::TurnAway { reason: Why::Limit, .. }));
}
