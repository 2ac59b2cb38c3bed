//! Answers of vcsim and vCenter about sessions.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::vcenter::answer::user_session;

fn session(key: &str) -> UserSession {
    UserSession { key: key.to_owned(), user_name: format!("user of {key}"), ..UserSession::default() }
}

fn answer(properties: &str) -> String {
    format!(
        "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body>\
         <RetrievePropertiesExResponse xmlns=\"urn:vim25\" xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\"><returnval>\
         <objects><obj type=\"SessionManager\">SessionManager</obj>{properties}</objects></returnval>\
         </RetrievePropertiesExResponse></soapenv:Body></soapenv:Envelope>"
    )
}

fn rewritten(answer: &str) -> String {
    let ours = |key: &str| key.starts_with("gate-");
    String::from_utf8(
        rewrite(answer.as_bytes(), &ours, &session("mine"), &[session("mine"), session("other")]).unwrap(),
    )
    .unwrap()
}

#[test]
fn the_gates_sessions_are_not_seen() {
    let entry = |key: &str| format!("<UserSession>{}</UserSession>", session(key).elements());
    let list = |entries: &[&str]| {
        let entries: String = entries.iter().map(|key| entry(key)).collect();
        format!("<propSet><name>sessionList</name><val i:type=\"ArrayOfUserSession\">{entries}</val></propSet>")
    };
    let current = |key: &str| {
        let elements = session(key).elements();
        format!("<propSet><name>currentSession</name><val i:type=\"UserSession\">{elements}</val></propSet>")
    };
    let before = answer(&(list(&["gate-1", "direct", "gate-2"]) + &current("gate-1")));
    let after = answer(&(list(&["direct", "mine", "other"]) + &current("mine")));
    assert_eq!(rewritten(&before), after);
    assert_eq!(rewritten(&answer(&list(&[]))), answer(&list(&["mine", "other"])));
    let part = |name: &str, key: &str| {
        answer(&format!("<propSet><name>{name}</name><val i:type=\"xsd:string\">{key}</val></propSet>"))
    };
    assert_eq!(rewritten(&part("currentSession.key", "gate-1")), part("currentSession.key", "mine"));
    assert_eq!(rewritten(&part("name", "gate-1")), part("name", "gate-1"));
}

#[test]
fn what_fetch_returns_is_rewritten_too() {
    let fetched = |key: &str| {
        format!(
            "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><FetchResponse xmlns=\"urn:vim25\">\
             <returnval xmlns:x=\"http://www.w3.org/2001/XMLSchema-instance\" x:type=\"UserSession\">{}</returnval>\
             </FetchResponse></e:Body></e:Envelope>",
            session(key).elements()
        )
    };
    let after = rewritten(&fetched("gate-1"));
    assert_eq!((after.as_str(), user_session(after.as_bytes())), (fetched("mine").as_str(), Some(session("mine"))));
}

#[test]
fn what_cannot_be_read_is_not_passed_on() {
    let rewrite = |answer: &str| rewrite(answer.as_bytes(), &|_| false, &session("mine"), &[]);
    let whole = answer("");
    assert_eq!(rewrite(&whole[..whole.len() - 3]), Err(Unreadable::Malformed));
    assert_eq!(rewrite("{}"), Err(Unreadable::Malformed));
    assert_eq!(rewrite(&answer("<val i:type=\"UserSession\"/>")), Err(Unreadable::Malformed));
    assert_eq!(rewrite(&" ".repeat(ANSWER_MAX + 1)), Err(Unreadable::TooLong));
}
