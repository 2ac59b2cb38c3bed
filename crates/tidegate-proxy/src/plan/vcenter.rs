//! The part of the plan about a vCenter: its operations, its sessions, its tasks, and who is paced.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidegate_core::admission::Role;
use tidegate_core::time::Span;

/// A vCenter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VcenterPlan {
    /// By name of the SOAP operation (`RetrievePropertiesEx`; VI/JSON's methods are the same), else by method and path
    /// (`POST /api/session`). `*_Task`: tasks that are not listed.
    pub operations: BTreeMap<String, VcenterOperation>,
    /// For operations that are not listed.
    pub default: VcenterOperation,
    /// How sessions are shared; `None`: they pass as they are.
    pub broker: Option<BrokerPlan>,
    /// How much work may be under way inside.
    pub tasks: TasksPlan,
    /// Who is paced; a user belongs to the first that names it, and else to nobody here.
    pub principals: Vec<PrincipalPlan>,
    /// Most long polls that wait at the server at once, 1..=1 000 000.
    pub long_polls_max: u32,
    /// A long poll is told to wait no longer than this at the server.
    #[serde(rename = "long_poll_max_ns")]
    pub long_poll_max: Span,
}

impl VcenterPlan {
    /// What is known of an operation.
    pub fn operation(&self, name: &str) -> VcenterOperation {
        let listed = self.operations.get(name);
        let task = || name.ends_with("_Task").then(|| self.operations.get("*_Task")).flatten();
        *listed.or_else(task).unwrap_or(&self.default)
    }

    /// The place of `user` in [`Self::principals`], counted from 1; 0: none of them.
    pub fn principal(&self, user: &str) -> u16 {
        let place = self.principals.iter().position(|p| p.users.iter().any(|pattern| matches(pattern, user)));
        place.and_then(|place| u16::try_from(place + 1).ok()).unwrap_or(0)
    }
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VcenterOperation {
    /// What it is for.
    pub role: Role,
    /// Its expected work, in thousandths of a session open.
    pub cost_milli: u32,
}

/// Bounds of the sessions that the gate holds at the vCenter, and of those that clients hold at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerPlan {
    /// Clones per principal, 0..=64; each is lent to one client at a time.
    pub clones_max: u32,
    /// Sessions of all clients together.
    pub sessions_max: u32,
    /// Sessions of the clients of one principal.
    pub sessions_per_principal_max: u32,
    /// Sessions that cannot be shared (tokens, certificates of extensions), all together.
    pub own_max: u32,
    /// Principals that are known at once.
    pub principals_max: u32,
    /// Calls of one principal that wait for a session.
    pub waiting_max: u32,
    /// How long such a call waits.
    #[serde(rename = "wait_max_ns")]
    pub wait_max: Span,
    /// A client's session that is idle for this long is over.
    #[serde(rename = "idle_ns")]
    pub idle: Span,
    /// A session at the vCenter is replaced before it is this old.
    #[serde(rename = "life_ns")]
    pub life: Span,
    /// A password is kept, and believed, for this long after the vCenter took it.
    #[serde(rename = "verify_ns")]
    pub verify: Span,
    /// A session at the vCenter that clients hold on to is used at least this often.
    #[serde(rename = "keepalive_ns")]
    pub keepalive: Span,
}

/// Bounds of the work that is under way inside the vCenter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TasksPlan {
    /// How long a token lives that waits inside for a host.
    #[serde(rename = "token_life_ns")]
    pub token_life: Span,
    /// Tasks at once until their rate is known, 1..=`most`.
    pub start: u32,
    /// Tasks at once, whatever their rate.
    pub most: u32,
    /// Leases (NFC) of all hosts together.
    pub leases_max: u32,
    /// Leases of one host, 1..=`leases_max`.
    pub leases_per_host_max: u32,
    /// Open snapshots of one datastore.
    pub snapshots_per_datastore_max: u32,
    /// A lease that says nothing for this long is over.
    #[serde(rename = "lease_timeout_ns")]
    pub lease_timeout: Span,
    /// How long a call waits for a place.
    #[serde(rename = "wait_max_ns")]
    pub wait_max: Span,
    /// Calls that wait for a place.
    pub waiting_max: u32,
    /// A VM in work, or an open snapshot, is forgotten after this.
    #[serde(rename = "work_max_ns")]
    pub work_max: Span,
    /// Snapshots wait while their datastore is this slow, whoever makes them, in microseconds.
    pub hold_us: u32,
    /// At this latency a datastore's snapshots are halved, in microseconds; at least `hold_us`.
    pub halve_us: u32,
}

/// Users that share bounds and windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrincipalPlan {
    /// Its name in metrics and status.
    pub name: String,
    /// User names as clients log in with them; `*` and `?` stand for any text and any sign, case counts for nothing.
    pub users: Vec<String>,
    /// What it does gives way to what others do.
    pub bulk: bool,
    /// VMs that it has in work at once.
    pub vms_max: u32,
    /// When it may begin work; none: always.
    pub windows: Vec<WindowPlan>,
}

/// When work may begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowPlan {
    /// From (included) and to (not included), in seconds since 1970 (UTC), in order and not overlapping.
    pub open: Vec<(i64, i64)>,
    /// What is done with work that comes at another time.
    pub outside: Outside,
}

/// What is done with work outside its windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outside {
    /// It waits, as long as a call may wait.
    Hold,
    /// It is turned away at once.
    TurnAway,
}

/// Whether `text` is what `pattern` says. Time: the product of their lengths at most.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut here) = (0, 0);
    let mut star: Option<(usize, usize)> = None; // where to go on after the last `*`, and which text it has eaten
    while let Some(byte) = text.get(here) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, here));
                at += 1;
            }
            Some(b'?') => (at, here) = (at + 1, here + sign(text, here)),
            Some(wanted) if wanted.eq_ignore_ascii_case(byte) => (at, here) = (at + 1, here + 1),
            _ => {
                let Some((after, eaten)) = star else { return false };
                star = Some((after, eaten + 1));
                (at, here) = (after, eaten + 1);
            }
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

/// Length of the sign at `here`, in bytes of UTF-8.
fn sign(text: &[u8], here: usize) -> usize {
    1 + text.iter().skip(here + 1).take_while(|byte| (**byte & 0xC0) == 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, ProtocolPlan, parse};
    use serde_json::{Value, json};

    const PLAN: &str = include_str!("../../../../fuzz/corpus/plan/vcenter");

    /// The plan of a vCenter, with something else at `at`.
    fn parsed(at: &str, value: Value) -> Result<Plan, String> {
        let mut plan: Value = serde_json::from_str(PLAN).unwrap();
        *plan.pointer_mut(&format!("/services/0{at}")).unwrap() = value;
        parse(plan.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    fn vcenter(plan: &Plan) -> &VcenterPlan {
        let ProtocolPlan::Vcenter(vcenter) = &plan.services[0].protocol else { panic!("no vcenter") };
        vcenter
    }

    #[test]
    fn a_plan_is_read_and_written() {
        let plan = parse(PLAN.as_bytes()).unwrap();
        assert_eq!(plan.services[0].protocol.word(), "vcenter");
        assert_eq!(vcenter(&plan).principals[0].windows[0].outside, Outside::TurnAway);
        assert_eq!(parse(&serde_json::to_vec(&plan).unwrap()).unwrap(), plan);
        let off = parsed("/protocol/broker", Value::Null).unwrap();
        assert_eq!(vcenter(&off).broker, None);
    }

    #[test]
    fn sessions_are_shared_at_one_server() {
        let mut plan: Value = serde_json::from_str(PLAN).unwrap();
        for list in ["/services/0/servers", "/services/0/admission/servers"] {
            let list = plan.pointer_mut(list).and_then(Value::as_array_mut).unwrap();
            let mut other = list[0].clone();
            other["name"] = json!("other");
            list.push(other);
        }
        let error = parse(plan.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains("services[0].servers must be one where a broker is"), "{error}");
        plan["services"][0]["protocol"]["broker"] = Value::Null;
        parse(plan.to_string().as_bytes()).unwrap();
    }

    #[test]
    fn an_operation_is_listed_a_task_or_another() {
        let plan = parse(PLAN.as_bytes()).unwrap();
        let cost = |name: &str| vcenter(&plan).operation(name).cost_milli;
        assert_eq!(
            (cost("Login"), cost("CreateSnapshot_Task"), cost("MoveVM_Task"), cost("Query")),
            (1000, 8000, 2000, 100)
        );
        let without = parsed("/protocol/operations", json!({})).unwrap();
        assert_eq!(vcenter(&without).operation("MoveVM_Task").cost_milli, 100);
    }

    #[test]
    fn a_user_belongs_to_the_first_that_names_it() {
        let plan = parse(PLAN.as_bytes()).unwrap();
        let place = |user: &str| vcenter(&plan).principal(user);
        assert_eq!(place("VSPHERE.LOCAL\\Svc-Backup-7"), 1);
        assert_eq!(place("svc-terraform@vsphere.local"), 2);
        assert_eq!(place("administrator@vsphere.local"), 0);
        assert_eq!(place(""), 0);
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("*", "any", true),
            ("", "", true),
            ("", "a", false),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("A*B*C", "aXbYbZc", true),
            ("a*b", "ab ", false),
            ("svc-*@*", "svc-x@y", true),
            ("svc-*", "svc", false),
            ("**a**", "cba", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
        let (pattern, text) = ("a*".repeat(128) + "b", "a".repeat(4096));
        assert!(!matches(&pattern, &text));
    }

    #[test]
    fn each_error_names_its_field() {
        let day = 86_400_000_000_001_u64;
        for (at, value, says) in [
            ("/protocol/default/cost_milli", json!(0), "services[0].protocol.default.cost_milli must be 1 to"),
            ("/protocol/operations/Login/cost_milli", json!(0), "operations.Login.cost_milli must be 1 to"),
            ("/protocol/operations/Login/role", json!("x"), "unknown variant"),
            ("/protocol/long_polls_max", json!(0), "protocol.long_polls_max must be 1 to 1000000"),
            ("/protocol/long_poll_max_ns", json!(999_999_999), "long_poll_max_ns must be from 1 s to one day"),
            ("/protocol/broker/clones_max", json!(65), "broker.clones_max must be 0 to 64"),
            ("/protocol/broker/sessions_max", json!(0), "broker.sessions_max must be 1 to 1000000"),
            ("/protocol/broker/idle_ns", json!(0), "broker.idle_ns must be from 1 ms to one day"),
            ("/protocol/broker/life_ns", json!(day), "broker.life_ns must be from 1 ms to one day"),
            ("/protocol/broker/keepalive_ns", json!(3_600_000_000_000_u64), "must be shorter than idle_ns"),
            ("/protocol/tasks/start", json!(1000), "tasks.start must be 1 to most"),
            ("/protocol/tasks/leases_per_host_max", json!(53), "leases_per_host_max must be 1 to leases_max"),
            ("/protocol/tasks/token_life_ns", json!(0), "tasks.token_life_ns must be from 1 ms to one day"),
            ("/protocol/tasks/halve_us", json!(1), "tasks.halve_us must be hold_us or more"),
            ("/protocol/principals/0/name", json!("a b"), "principals[0].name must be 1 to 64"),
            ("/protocol/principals/1/name", json!("backup"), "principals[1].name is used twice"),
            ("/protocol/principals/0/users", json!([]), "principals[0].users must be 1 to 64 names"),
            ("/protocol/principals/0/users/0", json!(""), "principals[0].users must be 1 to 64 names"),
            ("/protocol/principals/0/vms_max", json!(0), "principals[0].vms_max must be 1 to"),
            ("/protocol/principals/0/windows/0/open/0", json!([5, 5]), "windows[0].open must be in order"),
            ("/protocol/principals/0/windows/0/outside", json!("x"), "unknown variant"),
            ("/tls", json!({"kind": "passthrough", "names": [], "settle_ns": 1}), "broker must be null behind"),
        ] {
            let error = parsed(at, value).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
