//! Task slots in scenes: what a backup, an operator and a sick vCenter look like to them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use tidegate_core::limit::tasks::*;
use tidegate_core::time::{Nanos, Span};

const OPERATOR: PrincipalIx = PrincipalIx(0);
const BACKUP: PrincipalIx = PrincipalIx(1);
const AUTOMATION: PrincipalIx = PrincipalIx(2);

struct Scene {
    slots: TaskSlots,
    now: Nanos,
    asks: u64,
    log: Vec<Action>,
}

fn settings() -> Settings {
    let bulk = PrincipalPlan { bulk: true, ..PrincipalPlan::default() };
    let principals = vec![PrincipalPlan::default(), bulk.clone(), bulk];
    Settings { principals, ..Settings::default() }
}

impl Scene {
    fn new(settings: Settings) -> Scene {
        let mut scene = Scene { slots: TaskSlots::new(settings), now: Nanos(0), asks: 0, log: Vec::new() };
        scene.event(Event::Time { unix_s: 0 });
        scene
    }

    fn event(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.slots.on_event(self.now, event, &mut actions);
        self.log.extend(&actions);
        actions
    }

    /// A call arrives; it works on the VM and its datastore of the same number; a lease is on host 1.
    fn arrive(&mut self, principal: PrincipalIx, work: Work, vm: u64) -> Ask {
        let ask = Ask(self.asks);
        self.asks += 1;
        let datastores = [DatastoreKey(vm % 100)].into_iter().collect();
        let host = (work == Work::Lease).then_some(HostKey(1));
        self.event(Event::Arrive { ask, principal, work, host, datastores, vm: Some(VmKey(vm)) });
        ask
    }

    /// As `arrive`, and vCenter has begun it.
    fn begin(&mut self, principal: PrincipalIx, work: Work, vm: u64) -> Ask {
        let ask = self.arrive(principal, work, vm);
        assert_eq!(self.last(ask), Some(Action::Go { ask }), "{work} {vm}");
        self.started(ask);
        ask
    }

    fn started(&mut self, ask: Ask) {
        self.event(Event::Started { ask, task: Some(TaskKey(ask.0)) });
    }

    fn end(&mut self, ask: Ask) -> Vec<Action> {
        self.event(Event::Ended { task: TaskKey(ask.0), how: How::Fine, vm: None })
    }

    fn look(&mut self, datastore: u64, micros: u32) -> Vec<Action> {
        self.event(Event::Latency { datastore: DatastoreKey(datastore), micros: Some(micros) })
    }

    /// Time goes on, with every wake that is asked for.
    fn wait(&mut self, span: Span) {
        let end = self.now + span;
        while let Some(at) = self.slots.next_wake(self.now).filter(|at| *at <= end) {
            assert!(at >= self.now);
            self.now = at;
            self.event(Event::Wake);
            assert!(self.slots.next_wake(at).is_none_or(|next| next > at), "what is due is done");
        }
        self.now = end;
    }

    fn last(&self, ask: Ask) -> Option<Action> {
        let about = |action: &&Action| match **action {
            Action::Go { ask: other } | Action::Hold { ask: other, .. } | Action::TurnAway { ask: other, .. } => {
                other == ask
            }
        };
        self.log.iter().rev().find(about).copied()
    }

    fn went(&self, ask: Ask) -> bool {
        self.last(ask) == Some(Action::Go { ask })
    }

    fn held(&self, ask: Ask) -> Option<Why> {
        match self.last(ask) {
            Some(Action::Hold { why, .. }) => Some(why),
            _ => None,
        }
    }

    fn turned_away(&self, ask: Ask) -> Option<(Why, Span)> {
        match self.last(ask) {
            Some(Action::TurnAway { reason, retry_after, .. }) => Some((reason, retry_after)),
            _ => None,
        }
    }

    fn view(&self) -> TasksView {
        self.slots.view(self.now)
    }
}

#[test]
fn a_slot_is_held_until_the_task_ends_not_until_the_call_is_answered() {
    let mut scene = Scene::new(Settings { start: 2, ..settings() });
    let first = scene.begin(OPERATOR, Work::Task, 1);
    scene.begin(OPERATOR, Work::Task, 2);
    let third = scene.arrive(OPERATOR, Work::Task, 3);
    assert_eq!(scene.held(third), Some(Why::Limit));
    assert_eq!(scene.end(first), [Action::Go { ask: third }]);
    assert_eq!(scene.view().running, 2);
    scene.event(Event::Started { ask: third, task: None });
    assert_eq!((scene.view().running, scene.view().totals.unbegun), (1, 1), "vCenter said no");
}

#[test]
fn what_vcenter_gets_is_done_within_half_the_life_of_a_token() {
    let mut scene = Scene::new(settings());
    let mut inside: Vec<Ask> = Vec::new();
    let mut longest = 0;
    for _ in 0..2400 {
        // 4 calls arrive every second, and vCenter does 2 tasks per second, in order.
        (0..4).for_each(|_| _ = scene.arrive(OPERATOR, Work::Task, 1));
        let log = std::mem::take(&mut scene.log);
        for action in log {
            if let Action::Go { ask } = action {
                scene.started(ask);
                inside.push(ask);
            }
        }
        inside.drain(..inside.len().min(2)).for_each(|ask| _ = scene.end(ask));
        longest = longest.max(inside.len());
        scene.wait(Span::secs(1));
    }
    assert!((290..=302).contains(&longest), "0.5 * 300 s * 2 per second, not {longest}");
}

#[test]
fn an_operator_finds_a_slot_while_a_backup_runs() {
    let mut scene = Scene::new(settings());
    let backup: Vec<Ask> = (0..60).map(|vm| scene.arrive(BACKUP, Work::Task, vm)).collect();
    assert_eq!(backup.iter().filter(|ask| scene.went(**ask)).count(), 28);
    assert_eq!(scene.held(backup[28]), Some(Why::Share));
    for vm in 100..104 {
        scene.begin(OPERATOR, Work::Task, vm);
    }
    let fifth = scene.arrive(OPERATOR, Work::Task, 104);
    assert_eq!(scene.held(fifth), Some(Why::Limit));
    let ends = backup[..28].iter().take_while(|ask| {
        scene.started(**ask);
        scene.end(**ask) != [Action::Go { ask: fifth }]
    });
    assert!(ends.count() <= 4, "the operator had four in a row, and then it goes by turns");
}

#[test]
fn two_bulk_principals_go_by_turns() {
    let mut scene = Scene::new(Settings { start: 16, ..settings() });
    let backup: Vec<Ask> = (0..40).map(|vm| scene.arrive(BACKUP, Work::Task, vm)).collect();
    let automation: Vec<Ask> = (40..50).map(|vm| scene.arrive(AUTOMATION, Work::Task, vm)).collect();
    for ask in &backup[..14] {
        scene.started(*ask);
        scene.end(*ask);
    }
    let went = |asks: &[Ask]| asks.iter().filter(|ask| scene.went(**ask)).count();
    assert!(went(&automation) >= 7, "{} and {}", went(&backup), went(&automation));
}

#[test]
fn at_most_so_many_vms_are_in_a_bulk_principals_work() {
    let mut scene = Scene::new(Settings { start: 200, ..settings() });
    let snapshots: Vec<Ask> = (0..60).map(|vm| scene.arrive(BACKUP, Work::Snapshot, vm)).collect();
    assert_eq!((scene.slots.vms_of(BACKUP), scene.held(snapshots[50])), (50, Some(Why::Vms)));
    scene.started(snapshots[0]);
    scene.end(snapshots[0]);
    assert_eq!(scene.slots.vms_of(BACKUP), 50, "its snapshot is open");
    scene.begin(BACKUP, Work::Lease, 0);
    let removal = scene.begin(BACKUP, Work::Unsnapshot, 0);
    scene.end(removal);
    assert!(scene.held(snapshots[50]).is_some(), "its lease is open");
    scene.end(Ask(60));
    assert!(scene.went(snapshots[50]));
    let other = scene.arrive(OPERATOR, Work::Snapshot, 99);
    assert!(scene.went(other), "nobody else is bound by that");
}

#[test]
fn four_vms_per_datastore_have_open_snapshots() {
    let mut scene = Scene::new(settings());
    let first: Vec<Ask> = [1, 101, 201, 301].map(|vm| scene.begin(OPERATOR, Work::Snapshot, vm)).to_vec();
    scene.end(first[0]);
    let fifth = scene.arrive(OPERATOR, Work::Snapshot, 401);
    assert_eq!(scene.held(fifth), Some(Why::Snapshots));
    scene.begin(OPERATOR, Work::Snapshot, 101); // counts already
    scene.begin(OPERATOR, Work::Snapshot, 2); // on another one
    scene.event(Event::Ended { task: TaskKey(first[3].0), how: How::Failed, vm: None });
    assert!(scene.went(fifth), "there is no snapshot of the fourth");
    let sixth = scene.arrive(OPERATOR, Work::Snapshot, 501);
    // Only vCenter knows whose snapshot is removed.
    let removal = Ask(1000);
    let (work, datastores) = (Work::Unsnapshot, Datastores::default());
    scene.event(Event::Arrive { ask: removal, principal: OPERATOR, work, host: None, datastores, vm: None });
    scene.started(removal);
    assert!(!scene.went(sixth));
    scene.event(Event::Ended { task: TaskKey(1000), how: How::Fine, vm: Some(VmKey(1)) });
    assert!(scene.went(sixth));
}

#[test]
fn no_snapshot_begins_on_a_slow_datastore() {
    let mut scene = Scene::new(settings());
    scene.look(1, 20_000);
    let held = scene.arrive(BACKUP, Work::Snapshot, 1);
    assert_eq!(scene.held(held), Some(Why::Latency));
    scene.begin(BACKUP, Work::Snapshot, 2);
    scene.begin(BACKUP, Work::Task, 1);
    scene.begin(BACKUP, Work::Unsnapshot, 1);
    assert_eq!(scene.look(1, 18_000), [], "not yet");
    assert_eq!(scene.look(1, 17_999), [Action::Go { ask: held }]);
    scene.look(1, 30_000); // half of four
    scene.look(1, 18_500);
    let slow = [101, 201].map(|vm| scene.arrive(BACKUP, Work::Snapshot, vm));
    scene.look(1, 17_000); // three: one is open
    assert!(slow.iter().all(|ask| scene.went(*ask)));
    let fourth = scene.arrive(BACKUP, Work::Snapshot, 301);
    assert_eq!(scene.held(fourth), Some(Why::Snapshots));
    assert_eq!(scene.look(1, 100), [Action::Go { ask: fourth }]);
    let fifth = scene.arrive(BACKUP, Work::Snapshot, 3);
    assert!(scene.went(fifth), "nothing is known of its datastore");
}

#[test]
fn leases_have_bounds_of_their_own() {
    let mut scene = Scene::new(Settings { leases_max: 4, leases_per_host_max: 3, start: 3, ..settings() });
    let leases: Vec<Ask> = (0..3).map(|vm| scene.begin(OPERATOR, Work::Lease, vm)).collect();
    assert_eq!((scene.view().running, scene.view().leases), (0, 3), "a granted lease takes no task slot");
    let fourth = scene.arrive(OPERATOR, Work::Lease, 3);
    assert_eq!(scene.held(fourth), Some(Why::HostLeases));
    for _ in 0..5 {
        scene.wait(Span::secs(50));
        scene.event(Event::Progress { task: TaskKey(leases[0].0) });
        scene.event(Event::Progress { task: TaskKey(leases[1].0) });
        scene.event(Event::Left { ask: fourth });
    }
    scene.wait(Span::secs(50));
    assert_eq!(scene.view().leases, 2, "the third was silent for 300 seconds");
    scene.end(leases[0]);
    assert_eq!(scene.view().leases, 1);
}

#[test]
fn what_is_not_heard_of_gives_its_slot_back() {
    let mut scene = Scene::new(Settings { start: 3, ..settings() });
    let lost = scene.arrive(OPERATOR, Work::Snapshot, 1);
    scene.event(Event::Lost { ask: lost });
    let silent = scene.begin(OPERATOR, Work::Task, 2);
    let unsent = scene.arrive(OPERATOR, Work::Task, 3);
    scene.event(Event::Left { ask: unsent });
    assert_eq!(scene.view().running, 2);
    scene.wait(Span::secs(100));
    scene.event(Event::Progress { task: TaskKey(silent.0) });
    scene.wait(Span::secs(200));
    assert_eq!((scene.view().running, scene.view().snapshots), (1, 1), "there may be a snapshot");
    scene.wait(Span::secs(100));
    assert_eq!((scene.view().running, scene.view().totals.forgotten), (0, 2));
    scene.wait(Span::secs(7200));
    assert_eq!((scene.view().snapshots, scene.view().vms), (0, 0));
    assert_eq!(scene.slots.next_wake(scene.now), None);
}

#[test]
fn windows_are_for_what_begins() {
    let hours = |outside| vec![Window { open: vec![(1000, 2000)], outside }];
    let mut settings = settings();
    settings.principals[1].windows = hours(Outside::Hold);
    settings.principals[2].windows = hours(Outside::TurnAway);
    let mut scene = Scene::new(settings);
    scene.wait(Span::secs(980));
    let (early, held) = (scene.arrive(AUTOMATION, Work::Task, 1), scene.arrive(BACKUP, Work::Snapshot, 2));
    let (why, retry_after) = scene.turned_away(early).unwrap();
    assert_eq!((why, scene.held(held)), (Why::Window, Some(Why::Window)));
    assert!((Span::secs(20)..=Span::secs(25)).contains(&retry_after), "{retry_after:?}");
    scene.wait(Span::secs(20));
    assert!(scene.went(held), "it is 1000 now");
    scene.started(held);
    scene.end(held);
    scene.wait(Span::secs(1000));
    let late = scene.arrive(BACKUP, Work::Snapshot, 3);
    assert_eq!(scene.held(late), Some(Why::Window));
    scene.begin(BACKUP, Work::Lease, 2); // began in time
    scene.begin(BACKUP, Work::Unsnapshot, 3); // cleans up
    scene.wait(Span::secs(60));
    let (why, retry_after) = scene.turned_away(late).unwrap();
    assert_eq!(why, Why::Window, "it has waited for as long as a call may");
    assert!(retry_after >= Span::secs(60));
}

#[test]
fn a_full_line_turns_away_who_has_the_most_in_it() {
    let mut scene = Scene::new(Settings { start: 1, waiting_max: 3, ..settings() });
    scene.begin(OPERATOR, Work::Task, 0);
    let backup: Vec<Ask> = (1..=4).map(|vm| scene.arrive(BACKUP, Work::Task, vm)).collect();
    assert_eq!(scene.turned_away(backup[3]).unwrap().0, Why::QueueFull);
    let operator = scene.arrive(OPERATOR, Work::Task, 9);
    assert_eq!(scene.held(operator), Some(Why::Limit));
    assert_eq!(scene.turned_away(backup[2]).unwrap().0, Why::QueueFull);
    scene.event(Event::Drain);
    assert_eq!(scene.turned_away(operator).unwrap().0, Why::Draining);
    assert_eq!((scene.view().waiting, scene.view().running), (0, 1), "what runs goes on");
    let late = scene.arrive(OPERATOR, Work::Unsnapshot, 10);
    assert_eq!(scene.turned_away(late).unwrap().0, Why::Draining);
}

#[test]
fn new_settings_move_principals_and_keep_who_waits() {
    let mut scene = Scene::new(Settings { start: 2, ..settings() });
    scene.begin(BACKUP, Work::Task, 1);
    let waits: Vec<Ask> = (2..5).map(|vm| scene.arrive(BACKUP, Work::Task, vm)).collect();
    assert_eq!((scene.held(waits[0]), scene.view().bulk), (Some(Why::Share), 1));
    let mut actions = Vec::new();
    let settings = Settings { start: 3, ..settings() };
    scene.slots.apply(scene.now, settings, |_| OPERATOR, &mut actions);
    assert_eq!(actions, [Action::Go { ask: waits[0] }, Action::Go { ask: waits[1] }]);
    assert_eq!((scene.view().bulk, scene.slots.vms_of(OPERATOR), scene.slots.vms_of(BACKUP)), (0, 3, 0));
    assert_eq!(scene.view().held[Why::Limit as usize], 1);
}

#[test]
fn strange_events_are_no_matter() {
    let mut scene = Scene::new(settings());
    let ask = scene.begin(OPERATOR, Work::Task, 1);
    let (work, datastores) = (Work::Task, Datastores::default());
    let again = Event::Arrive { ask, principal: PrincipalIx(9), work, host: None, datastores, vm: None };
    let nobody = Ask(77);
    let events = [
        again,
        Event::Started { ask, task: Some(TaskKey(5)) },
        Event::Lost { ask },
        Event::Left { ask },
        Event::Started { ask: nobody, task: None },
        Event::Left { ask: nobody },
        Event::Lost { ask: nobody },
        Event::Progress { task: TaskKey(5) },
        Event::Ended { task: TaskKey(5), how: How::Fine, vm: Some(VmKey(1)) },
        Event::Time { unix_s: i64::MAX },
        Event::Wake,
    ];
    for event in events {
        assert_eq!(scene.event(event), []);
    }
    assert_eq!((scene.view().running, scene.view().totals.arrived), (1, 1));
    let twin = scene.arrive(OPERATOR, Work::Task, 2);
    scene.event(Event::Started { ask: twin, task: Some(TaskKey(ask.0)) });
    assert_eq!(scene.view().running, 1, "one task holds one slot");
    assert!(scene.slots.runs(TaskKey(ask.0)) && !scene.slots.runs(TaskKey(5)));
}
