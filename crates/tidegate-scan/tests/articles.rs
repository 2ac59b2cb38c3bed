//! The samples of the articles, as they stand there and in the forms that logs, syslog and tools give them.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use serde_json::{Value, json};
use tidegate_scan::Scanner;

const VASA: &str = "2025-08-08T12:17:14.610Z Er(163) VVold[2255518]: [Originator@6876 sub=Default OpId=Session] VasaSession::DoSetContext: setContext for VP XXX (url: https://XXX:8443/vasa/services/vasaService?version=4) failed [connectionState: TransportError]: TRANSPORT_FAULT (Timeout / SSL_connect() failed in tcp_connect())\n25331:2025-08-08T17:37:07.849Z Er(163) VVold[2317367]: [Originator@6876 sub=Default OpId=Session] VasaSession::DoSetContext: setContext for VP XXX (url: https://XXXX/axis2/services/vasa2) failed [connectionState: Connected]: STORAGE_FAULT (ADB conversion error. Details: Invalid Fault Id / )\n";
const NFC: &str = "info vpxd[4085937] [Originator@6876 sub=vmomi.soapStub[774949] opID=7ac8f6ad] SOAP request returned HTTP failure; <<io_obj p:0x00007f740d5e8b48, h:250, <UNIX ''>, <UNIX '/var/run/envoy-hgw/hgw-pipe'>>, /hgw/host-150117/sdk>, method: fileManagement; code: 500(Internal Server Error); fault: (vim.fault.NotAuthenticated) {\n-->    faultCause = (vmodl.MethodFault) null,\n-->    faultMessage = <unset>,\n-->    object = 'vim.Datastore:62aef28d-fe0e61a8-3da4-9efa524000e2',\n-->    privilegeId = \"Datastore.FileManagement\"\n-->    msg = \"Received SOAP response fault from [...]: fileManagement. The session is not authenticated.\"\n--> }\n";

fn scanner() -> Scanner {
    let plan = json!({"format": 1, "now": 1_764_063_021_000_000_000_i64, "signatures": [
        {"id": "transport", "literals": ["connectionState: TransportError"], "all": [r"setContext for VP\s+(?P<provider>\S+)"],
         "programs": ["vvold"]},
        {"id": "storage", "literals": ["connectionState: Connected"], "all": ["STORAGE_FAULT"]},
        {"id": "nfc", "literals": ["vim.fault.NotAuthenticated"],
         "all": [r"code:\s*500\b", r"/hgw/(?P<host_moid>host-\d+)/", r"The session is not authenticated\."]},
    ]});
    Scanner::new(plan.to_string().as_bytes()).unwrap()
}

fn scan(text: &str, cut: Option<usize>) -> Value {
    serde_json::from_str(&scanner().scan_text("sample", text.as_bytes(), cut)).unwrap()
}

#[test]
fn vasa_sample_has_both_faults() {
    let result = scan(VASA, None);
    let hits = result["hits"].as_array().unwrap();
    let told: Vec<_> =
        hits.iter().map(|hit| (&hit["signature"], &hit["line"], &hit["program"], &hit["severity"])).collect();
    assert_eq!(json!(told), json!([["transport", 1, "VVold", "error"], ["storage", 2, "VVold", "error"]]));
    assert_eq!(hits[0]["time"], json!(1_754_655_434_610_000_000_i64));
    assert_eq!(hits[0]["fields"], json!({"provider": "XXX"}));
}

#[test]
fn nfc_sample_is_one_record_without_a_time() {
    for text in [NFC.to_owned(), format!("    {}", NFC.replace('\n', "\n    ")), NFC.replace('\n', "\r\n")] {
        let result = scan(&text, None);
        let hits = result["hits"].as_array().unwrap();
        assert_eq!(hits.len(), 1, "{text}");
        assert_eq!(hits[0]["fields"], json!({"host_moid": "host-150117"}));
        assert_eq!(hits[0]["time_source"], json!("none"));
        assert_eq!((&hits[0]["program"], &hits[0]["pid"]), (&json!("vpxd"), &json!("4085937")));
    }
}

#[test]
fn text_cut_anywhere_gives_the_same_result() {
    let text = format!("{VASA}{NFC}2025-08-08T12:17:14.610Z info hostd[1] [Originator@6876 sub=Default] quiet\n");
    let whole = scan(&text, None);
    for cut in 0..=text.len() {
        assert_eq!(scan(&text, Some(cut)), whole, "{cut}");
    }
}
