//! What is written is read again by this crate's own readers; tests/vcenter reads it with pyVmomi.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::super::answer::{Judged, faulted, judge};
use super::super::request::{Operation, Ref, Spoken, read};
use super::*;
use proptest::prelude::*;

fn operation(ask: &Ask) -> Operation {
    match read(&ask.body, true) {
        Spoken::Operation(operation) => *operation,
        other => panic!("{other:?} {}", String::from_utf8_lossy(&ask.body)),
    }
}

#[test]
fn requests_say_what_they_mean() {
    let view = Ref::new("ContainerView", "session[a]b");
    for (ask, name, kind, id) in [
        (acquire_clone_ticket(), "AcquireCloneTicket", "SessionManager", "SessionManager"),
        (clone_session("cst-1"), "CloneSession", "SessionManager", "SessionManager"),
        (logout(), "Logout", "SessionManager", "SessionManager"),
        (create_property_collector(), "CreatePropertyCollector", "PropertyCollector", "propertyCollector"),
        (destroy_property_collector("session[a]c"), "DestroyPropertyCollector", "PropertyCollector", "session[a]c"),
        (destroy_view(&view), "DestroyView", "ContainerView", "session[a]b"),
        (current_time(), "CurrentTime", "ServiceInstance", "ServiceInstance"),
        (
            retrieve_tasks("propertyCollector", &["task-1", "task-2"]),
            "RetrievePropertiesEx",
            "PropertyCollector",
            "propertyCollector",
        ),
    ] {
        let found = operation(&ask);
        let this = found.this.unwrap();
        assert_eq!((found.name.as_str(), found.namespace.as_str()), (name, "urn:vim25"));
        assert_eq!((this.kind.as_str(), this.id.as_str(), ask.soap_action), (kind, id, "\"urn:vim25/6.5\""));
    }
    let named = operation(&retrieve_tasks("propertyCollector", &["task-1", "task-2"])).named;
    assert_eq!(named.iter().map(|task| task.id.as_str()).collect::<Vec<_>>(), ["task-1", "task-2"]);
}

#[test]
fn faults_are_what_vcenter_says() {
    let object = Ref::new("Folder", "group-d1");
    let dead = fault(&Say::NotAuthenticated { object, privilege: "System.View".to_owned() }, None);
    assert_eq!((dead.status, judge(500, &dead.body)), (500, Judged::OwnSessionDead));
    let detail = concat!(
        "<faultcode>ServerFaultCode</faultcode><faultstring>The session is not authenticated.</faultstring><detail>",
        r#"<NotAuthenticatedFault xmlns="urn:vim25" xsi:type="NotAuthenticated"><object type="Folder">group-d1</object>"#,
        "<privilegeId>System.View</privilegeId></NotAuthenticatedFault></detail>",
    );
    assert!(String::from_utf8(dead.body).unwrap().contains(detail));
    let gone =
        faulted(&fault(&Say::ManagedObjectNotFound(Ref::new("ListView", "session[x]y")), Some("no & never")).body);
    let gone = gone.unwrap();
    assert_eq!((gone.name.as_str(), gone.words.as_str()), ("ManagedObjectNotFound", "no & never"));
    assert_eq!(gone.object.unwrap().id, "session[x]y");
    assert!(String::from_utf8(void("<x>").body).unwrap().contains("<UnnamedResponse"));
}

/// The files that tests/unit/test_vcenter_answers.py gives to pyVmomi.
#[test]
fn answers_are_those_that_pyvmomi_is_tested_with() {
    let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/vcenter");
    let object = || Ref::new("Folder", "group-d1");
    let view = Ref::new("ContainerView", "session[52bb85b0-adbe-7f20-156d-6130b6dc066e]5286fa88-1");
    let privilege = || "System.View".to_owned();
    for (name, answer) in [
        ("Login", session("Login", &sample())),
        ("CloneSession", session("CloneSession", &sample())),
        ("Logout", void("Logout")),
        ("SessionIsActive", session_is_active(true)),
        ("NotAuthenticated", fault(&Say::NotAuthenticated { object: object(), privilege: privilege() }, None)),
        ("InvalidLogin", fault(&Say::InvalidLogin, None)),
        ("ManagedObjectNotFound", fault(&Say::ManagedObjectNotFound(view), None)),
        ("RequestCanceled", fault(&Say::RequestCanceled, None)),
        ("NoPermission", fault(&Say::NoPermission { object: object(), privilege: privilege() }, None)),
        ("InvalidState", fault(&Say::InvalidState, None)),
        ("InvalidRequest", fault(&Say::InvalidRequest, Some("words of <its> own & more"))),
        ("NotFound", fault(&Say::NotFound, None)),
        ("HostCommunication", fault(&Say::NoAnswer, None)),
    ] {
        let said = String::from_utf8(answer.body).unwrap();
        assert_eq!(
            std::fs::read_to_string(place.join(format!("{name}.xml"))).unwrap_or_default(),
            said + "\n",
            "{name}"
        );
        assert_eq!(
            (answer.status == 500, answer.content_type),
            (name.starts_with(['N', 'I', 'M', 'R', 'H']), CONTENT_TYPE)
        );
    }
}

fn sample() -> UserSession {
    UserSession {
        key: "52bb85b0-adbe-7f20-156d-6130b6dc066e".to_owned(),
        user_name: "VSPHERE.LOCAL\\backup & <co>".to_owned(),
        full_name: "backup".to_owned(),
        login_time: date_time(1_795_630_290),
        last_active_time: date_time(1_795_630_350),
        locale: "en".to_owned(),
        message_locale: "en".to_owned(),
        extension_session: false,
        ip_address: "10.0.0.7".to_owned(),
        user_agent: "VI Perl".to_owned(),
        call_count: 7,
    }
}

proptest! {
    /// Whatever a password is made of, it arrives; and the memory that held it never moved.
    #[test]
    fn a_login_says_the_same_password(user in "[^\\x00-\\x1f\\x7f]{0,20}", password in "([^\\x00-\\x1f\\x7f]|[<>&\"'\r\n\t]){0,40}") {
        let ask = login(&user, &password, Some("en"));
        let found = operation(&ask).login.unwrap();
        prop_assert_eq!((found.user.as_str(), found.password.as_str()), (user.as_str(), password.as_str()));
    }

    #[test]
    fn whatever_is_said_is_one_fault(kind in "[A-Za-z]{0,20}", id in "\\PC{0,20}", words in "\\PC{0,40}") {
        let say = Say::NoPermission { object: Ref::new(&kind, &id), privilege: words.clone() };
        let found = faulted(&fault(&say, Some(&words)).body).unwrap();
        prop_assert_eq!((found.name.as_str(), found.words.as_str()), ("NoPermission", words.as_str()));
        prop_assert_eq!(found.object.unwrap().id, id.trim());
    }
}
