//! Answers as vCenter and vcsim give them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::super::write;
use super::*;
use proptest::prelude::*;

fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    )
}

fn fault(words: &str, detail: &str) -> String {
    envelope(&format!(
        "<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>{words}</faultstring><detail>{detail}</detail>\
         </soapenv:Fault>"
    ))
}

fn not_authenticated(words: &str, privilege: &str) -> String {
    let detail = format!(
        "<NotAuthenticatedFault xmlns=\"urn:vim25\" xsi:type=\"NotAuthenticated\"><object type=\"Folder\">group-d1</object>\
         <privilegeId>{privilege}</privilegeId></NotAuthenticatedFault>"
    );
    fault(words, &detail)
}

fn missing(xsi: &str, message: &str) -> String {
    envelope(&format!(
        "<RetrievePropertiesExResponse xmlns=\"urn:vim25\"><returnval><objects><obj type=\"Folder\">group-d1</obj><missingSet>\
         <path>name</path><fault><fault xsi:type=\"{xsi}\"><object type=\"Folder\">group-d1</object><privilegeId>System.View\
         </privilegeId></fault><localizedMessage>{message}</localizedMessage></fault></missingSet></objects></returnval>\
         </RetrievePropertiesExResponse>"
    ))
}

#[test]
fn tells_the_three_shapes_apart() {
    let from_host =
        "Received SOAP response fault from [&lt;&lt;io_obj p:0x1&gt;, /hgw/host-150117/sdk&gt;]: fileManagement";
    for (status, answer, expected) in [
        (500, not_authenticated("The session is not authenticated.", "System.View"), Judged::OwnSessionDead),
        (500, not_authenticated("", "System.Read"), Judged::OwnSessionDead),
        (500, not_authenticated("", "Datastore.FileManagement"), Judged::StaleGateway),
        (500, not_authenticated(from_host, "System.View"), Judged::StaleGateway),
        (200, missing("NotAuthenticated", ""), Judged::EmptyInventory),
        (200, missing("vim25:NotAuthenticated", ""), Judged::EmptyInventory),
        (200, missing("NotAuthenticated", from_host), Judged::StaleGateway),
        (200, missing("NoPermission", "NotAuthenticated"), Judged::Fine),
        (200, envelope("<R xmlns=\"urn:vim25\"><returnval>NotAuthenticated</returnval></R>"), Judged::Fine),
        (500, fault("NotAuthenticated", "<InvalidLoginFault xsi:type=\"InvalidLogin\"/>"), Judged::Other),
        (500, fault("x", ""), Judged::Other),
        (503, "Service Unavailable".to_owned(), Judged::Other),
        (401, "{}".to_owned(), Judged::OwnSessionDead),
        (201, "\"b4e2\"".to_owned(), Judged::Fine),
    ] {
        assert_eq!(judge(status, answer.as_bytes()), expected, "{status} {answer}");
    }
}

#[test]
fn an_answer_that_is_cut_off_is_judged_by_its_beginning() {
    let objects = "<objects><obj type=\"VirtualMachine\">vm-1</obj></objects>".repeat(1000);
    let long = missing("NotAuthenticated", "").replace("</returnval>", &format!("{objects}</returnval>"));
    assert!(long.len() > JUDGED_MAX);
    assert_eq!(judge(200, long.as_bytes()), Judged::EmptyInventory);
}

#[test]
fn judges_json() {
    let fault = |privilege: &str| {
        format!(
            r#"{{"_typeName": "NotAuthenticated", "object": {{}}, "privilegeId" : "{privilege}", "faultMessage": []}}"#
        )
    };
    for (status, answer, expected) in [
        (500, fault("System.View"), Judged::OwnSessionDead),
        (500, fault("Datastore.FileManagement"), Judged::StaleGateway),
        (500, r#"{"_typeName":"NotFound","m":"\"_typeName\":\"NotAuthenticated\""}"#.to_owned(), Judged::Other),
        (
            200,
            r#"{"missingSet":[{"fault":{"fault":{"_typeName":"NotAuthenticated"}}}]}"#.to_owned(),
            Judged::EmptyInventory,
        ),
        (200, r#"{"name":"NotAuthenticated"}"#.to_owned(), Judged::Fine),
    ] {
        assert_eq!(judge(status, answer.as_bytes()), expected, "{answer}");
    }
}

#[test]
fn reads_what_calls_return() {
    let response = |name: &str, content: &str| {
        envelope(&format!("<{name}Response xmlns=\"urn:vim25\">{content}</{name}Response>"))
    };
    let view = response("CreateContainerView", "<returnval type=\"ContainerView\">session[52bb]5286</returnval>");
    let found = returned_ref(view.as_bytes()).unwrap();
    assert_eq!(
        (found.kind.as_str(), found.id.as_str(), &view[found.at]),
        ("ContainerView", "session[52bb]5286", "session[52bb]5286")
    );
    assert_eq!(returned_ref(response("Logout", "").as_bytes()), None);
    let cst = response("AcquireCloneTicket", "<returnval>cst-VCT-52-1--tp-2</returnval>");
    assert_eq!(ticket(cst.as_bytes()).as_deref(), Some("cst-VCT-52-1--tp-2"));
    assert_eq!(ticket(fault("x", "").as_bytes()), None);
    let page = |token: &str| {
        response("RetrievePropertiesEx", &format!("<returnval>{token}<objects><obj>token</obj></objects></returnval>"))
    };
    assert!(
        next_page(page("<token>1</token>").as_bytes()).as_deref() == Some("1")
            && next_page(page("").as_bytes()).is_none()
            && next_page(page("<token/>").as_bytes()).is_none()
    );
    let gone = fault(
        "gone",
        "<ManagedObjectNotFoundFault xsi:type=\"ManagedObjectNotFound\"><obj type=\"Task\">task-9</obj></ManagedObjectNotFoundFault>",
    );
    let gone = faulted(gone.as_bytes()).unwrap();
    assert_eq!(
        (gone.name.as_str(), gone.words.as_str(), gone.object.unwrap().id.as_str()),
        ("ManagedObjectNotFound", "gone", "task-9")
    );
    assert_eq!(faulted(fault("x", "").as_bytes()).unwrap().name, "ServerFaultCode");
    assert_eq!(faulted(view.as_bytes()), None);
}

#[test]
fn reads_the_sessions_that_it_writes() {
    let session = UserSession {
        key: "52bb85b0-adbe-7f20-156d-6130b6dc066e".to_owned(),
        user_name: "VSPHERE.LOCAL\\backup & <co>".to_owned(),
        full_name: "backup".to_owned(),
        login_time: write::date_time(0),
        last_active_time: write::date_time(86_400),
        locale: "en".to_owned(),
        message_locale: "en".to_owned(),
        extension_session: true,
        ip_address: "10.0.0.7".to_owned(),
        user_agent: "VI Perl".to_owned(),
        call_count: 7,
    };
    let answer = write::session("Login", &session);
    assert_eq!((answer.status, user_session(&answer.body)), (200, Some(session)));
}

#[test]
fn reads_the_states_of_tasks() {
    let task = |id: &str, state: &str| {
        format!(
            "<objects><obj type=\"Task\">{id}</obj><propSet><name>info.state</name><val xsi:type=\"TaskInfoState\">{state}</val>\
             </propSet></objects>"
        )
    };
    let lost = "<objects><obj type=\"Task\">task-3</obj><missingSet><path>info.state</path></missingSet></objects>";
    let entity = "<propSet><name>info.entity</name><val type=\"VirtualMachine\" xsi:type=\"ManagedObjectReference\">vm-7</val></propSet></objects>";
    let error = "<propSet><name>info.error</name><val xsi:type=\"LocalizedMethodFault\"><fault xsi:type=\"NotAuthenticated\">\
                 <privilegeId>Datastore.FileManagement</privilegeId></fault><localizedMessage>x</localizedMessage></val></propSet></objects>";
    let machine = task("vm-1", "running").replace("\"Task\"", "\"VirtualMachine\"");
    let answer = envelope(&format!(
        "<RetrievePropertiesExResponse xmlns=\"urn:vim25\"><returnval>{}{}{lost}{machine}{}</returnval></RetrievePropertiesExResponse>",
        task("task-1", "running"),
        task("task-2", "success").replace("</objects>", entity),
        task("task-4", "error").replace("</objects>", error),
    ));
    let expected =
        [("task-1", State::Running, None), ("task-2", State::Success, Some("vm-7")), ("task-4", State::Error, None)];
    let expected = expected.map(|(id, state, entity)| TaskState {
        id: id.to_owned(),
        state,
        entity: entity.map(str::to_owned),
        expired: state == State::Error,
    });
    assert_eq!(task_states(answer.as_bytes()), expected);
}

proptest! {
    #[test]
    fn never_panics(status in 100..600u16, body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let body = [body.as_slice(), b"NotAuthenticated"].concat();
        let _ = judge(status, &body);
        let _ = (returned_ref(&body), user_session(&body), ticket(&body), next_page(&body), faulted(&body), task_states(&body));
    }
}
