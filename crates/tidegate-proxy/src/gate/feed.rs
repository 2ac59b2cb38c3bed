//! What the counters of a vCenter say, as Python reads them: how slow each datastore is, and where each VM lies.

use crate::error::GateError;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Most datastores of one vCenter; vSphere has up to 2500.
const DATASTORES: usize = 4096;
/// Most VMs of one vCenter; vSphere has up to 45 000.
const VMS: usize = 65_536;
/// Most datastores of one VM that are looked at.
const DATASTORES_OF_VM: usize = 16;

/// One look at a vCenter; it replaces the one before whole.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Feed {
    /// Which service it is about.
    pub(crate) service: String,
    pub(crate) datastores: Vec<Datastore>,
    /// By id of the VM; the same as before when left out.
    pub(crate) vms: Option<BTreeMap<String, Placed>>,
}

/// One datastore.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Datastore {
    /// Its id (`datastore-11`).
    pub(crate) id: String,
    /// The worst of its hosts, in microseconds; `None`: not known.
    pub(crate) latency_us: Option<u32>,
}

/// Where a VM lies.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Placed {
    /// Id of its host.
    pub(crate) host: Option<String>,
    /// Ids of its datastores.
    pub(crate) datastores: Vec<String>,
}

/// Reads one look.
///
/// # Errors
/// It is no such JSON, or it has more members than a vCenter can have.
pub(crate) fn parse(json: &str) -> Result<Feed, GateError> {
    let refuse =
        |why: &dyn std::fmt::Display| GateError::new("feed", format!("a look at counters is refused: {why}"), "");
    let feed: Feed = serde_json::from_str(json).map_err(|error| refuse(&error))?;
    let vms = feed.vms.as_ref();
    if feed.datastores.len() > DATASTORES {
        return Err(refuse(&format_args!("it has more than {DATASTORES} datastores")));
    }
    if vms.is_some_and(|vms| vms.len() > VMS) {
        return Err(refuse(&format_args!("it has more than {VMS} VMs")));
    }
    if vms.is_some_and(|vms| vms.values().any(|placed| placed.datastores.len() > DATASTORES_OF_VM)) {
        return Err(refuse(&format_args!("a VM has more than {DATASTORES_OF_VM} datastores")));
    }
    Ok(feed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_read() {
        let feed = parse(
            r#"{"service": "vc", "datastores": [{"id": "datastore-1", "latency_us": 18000}, {"id": "datastore-2", "latency_us": null}],
                "vms": {"vm-1": {"host": "host-1", "datastores": ["datastore-1"]}, "vm-2": {"host": null, "datastores": []}}}"#,
        )
        .unwrap();
        assert_eq!(feed.datastores[0], Datastore { id: "datastore-1".into(), latency_us: Some(18_000) });
        assert_eq!(feed.datastores[1].latency_us, None);
        assert_eq!(feed.vms.unwrap()["vm-2"], Placed { host: None, datastores: Vec::new() });
        assert_eq!(parse(r#"{"service": "vc", "datastores": [], "vms": null}"#).unwrap().vms, None);
    }

    #[test]
    fn what_is_no_look_is_refused() {
        let many = vec![r#"{"id": "a", "latency_us": 1}"#; DATASTORES + 1].join(",");
        let ids = vec![r#""a""#; DATASTORES_OF_VM + 1].join(",");
        let vms: Vec<String> = (0..=VMS).map(|n| format!(r#""{n}": {{"host": null, "datastores": []}}"#)).collect();
        for (json, says) in [
            ("", "EOF"),
            (r#"{"service": "vc", "datastores": [], "more": 1}"#, "unknown field"),
            (r#"{"service": "vc", "datastores": [{"id": "a", "latency_us": -1}]}"#, "invalid value"),
            (&format!(r#"{{"service": "vc", "datastores": [{many}]}}"#), "more than 4096 datastores"),
            (&format!(r#"{{"service": "vc", "datastores": [], "vms": {{{}}}}}"#, vms.join(",")), "more than 65536 VMs"),
            (
                &format!(
                    r#"{{"service": "vc", "datastores": [], "vms": {{"v": {{"host": null, "datastores": [{ids}]}}}}}}"#
                ),
                "more than 16 datastores",
            ),
        ] {
            let error = parse(json).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
