//! Requests as pyVmomi 9.1 and govmomi 0.54 send them (recorded), and what must not be taken.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use proptest::prelude::*;

const PYVMOMI: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8"?>"#,
    "\n",
    r#"<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" "#,
    r#"xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" "#,
    r#"xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">"#,
    "\n<soapenv:Body>{}</soapenv:Body>\n</soapenv:Envelope>",
);
const GOVMOMI: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8"?>"#,
    "\n",
    r#"<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>{}</Body></Envelope>"#
);
const VIEW: &str = "session[f850f64b-77e2-459f-acdd-81fdb23f2266]e2bc69b6-89bf-4122-8c42-c6dad887abb3";

fn pyvmomi(body: &str) -> String {
    PYVMOMI.replace("{}", body)
}

fn govmomi(body: &str) -> String {
    GOVMOMI.replace("{}", body)
}

fn operation(body: &str) -> Operation {
    match read(body.as_bytes(), true) {
        Spoken::Operation(operation) => *operation,
        other => panic!("{other:?} {body}"),
    }
}

fn refused(body: &str) -> &'static str {
    match read(body.as_bytes(), true) {
        Spoken::Refused(why) => why,
        other => panic!("{other:?} {body}"),
    }
}

/// What stands at a reference's place is what was read.
fn stands(body: &str, reference: &Ref) {
    assert_eq!(&body[reference.at.clone()], reference.id);
}

#[test]
fn texts_are_what_the_vcenter_will_read() {
    let body = "<TerminateSession xmlns=\"urn:vim25\"><_this type=\"SessionManager\">SessionManager</_this>\
                <sessionId>a</sessionId><v:sessionId xmlns:v=\"urn:vim25\"> b\n</v:sessionId><sessionId>&#x63;&amp;</sessionId>\
                <sessionId>d<!-- -->d</sessionId><sessionId><![CDATA[e]]></sessionId><sessionId/></TerminateSession>";
    assert_eq!(texts(pyvmomi(body).as_bytes(), "sessionId"), ["a", "b", "c&", "dd", "e", ""]);
    assert_eq!(texts(pyvmomi("<a><b>x</b></a>").as_bytes(), "b"), ["x"]);
    let many = format!("<T>{}</T>", "<b>x</b>".repeat(2 * TEXTS_MAX));
    assert_eq!(texts(pyvmomi(&many).as_bytes(), "b").len(), TEXTS_MAX);
}

#[test]
fn reads_the_logins_of_both() {
    let py = pyvmomi(
        "<Login xmlns=\"urn:vim25\"><_this versionId=\"6.5\" type=\"SessionManager\">SessionManager</_this>\
         <userName versionId=\"6.5\">operator</userName><password versionId=\"6.5\">s3&lt;&amp;&gt;\"cret</password></Login>",
    );
    let go = govmomi(
        "<Login xmlns=\"urn:vim25\"><_this type=\"SessionManager\">SessionManager</_this><userName>operator</userName>\
         <password>s3&lt;&amp;&gt;&#34;cret</password><locale>en_US</locale></Login>",
    );
    for (body, locale) in [(py, None), (go, Some("en_US"))] {
        let found = operation(&body);
        assert_eq!((found.name.as_str(), found.namespace.as_str()), ("Login", "urn:vim25"));
        assert!(!format!("{found:?}").contains("cret"), "no password in logs");
        let (this, login) = (found.this.unwrap(), found.login.unwrap());
        stands(&body, &this);
        assert_eq!((this.kind.as_str(), this.id.as_str()), ("SessionManager", "SessionManager"));
        assert_eq!((login.user.as_str(), login.password.as_str()), ("operator", "s3<&>\"cret"));
        assert_eq!(login.locale.as_deref(), locale);
    }
}

#[test]
fn reads_a_retrieve_with_a_view() {
    let body = pyvmomi(&format!(
        "<RetrievePropertiesEx xmlns=\"urn:vim25\"><_this versionId=\"6.5\" type=\"PropertyCollector\">propertyCollector\
         </_this><specSet><propSet><type>VirtualMachine</type><pathSet>name</pathSet><pathSet>runtime.host</pathSet></propSet>\
         <objectSet><obj type=\"ContainerView\">{VIEW}</obj><skip>true</skip><selectSet xsi:type=\"TraversalSpec\">\
         <name>t</name><type>ContainerView</type><path>view</path><skip>false</skip></selectSet></objectSet></specSet>\
         <options versionId=\"6.5\"><maxObjects>2</maxObjects></options></RetrievePropertiesEx>"
    ));
    let found = operation(&body);
    assert!(found.max_objects && found.whole && !found.names_current_session && !found.has_operation_id);
    assert_eq!(found.this.unwrap().id, "propertyCollector");
    let [view] = found.session_refs.as_slice() else { panic!("{:?}", found.session_refs) };
    assert_eq!((view.kind.as_str(), view.id.as_str()), ("ContainerView", VIEW));
    stands(&body, view);
    assert_eq!(found.named, std::slice::from_ref(view));
    let mapped = edit(body.as_bytes(), &[Edit::text(view.at.clone(), "session[a]<b>")]);
    let mapped = String::from_utf8(mapped).unwrap();
    assert!(mapped.contains(">session[a]&lt;b&gt;</obj>"));
    assert_eq!(operation(&mapped).session_refs[0].id, "session[a]<b>");
}

#[test]
fn reads_waits_and_snapshots() {
    let body = pyvmomi(
        "<WaitForUpdatesEx xmlns=\"urn:vim25\"><_this type=\"PropertyCollector\">propertyCollector</_this>\
         <version versionId=\"6.5\"></version><options versionId=\"6.5\"><maxWaitSeconds>300</maxWaitSeconds></options>\
         </WaitForUpdatesEx>",
    );
    let (at, seconds) = operation(&body).max_wait_s.unwrap();
    assert_eq!((&body[at.clone()], seconds), ("300", 300));
    assert_eq!(
        operation(&String::from_utf8(edit(body.as_bytes(), &[Edit::text(at, "60")])).unwrap()).max_wait_s.unwrap().1,
        60
    );
    let body = govmomi(&format!(
        "<WaitForUpdatesEx xmlns=\"urn:vim25\"><_this type=\"PropertyCollector\">{VIEW}</_this></WaitForUpdatesEx>"
    ));
    let found = operation(&body);
    assert_eq!((found.max_wait_s, found.session_refs.len()), (None, 1));
    let body = govmomi(
        "<CreateSnapshot_Task xmlns=\"urn:vim25\"><_this type=\"VirtualMachine\">vm-97</_this><name>session[x</name>\
         <memory>true</memory></CreateSnapshot_Task>",
    );
    let found = operation(&body);
    assert_eq!((found.this.unwrap().id.as_str(), found.session_refs.len()), ("vm-97", 1));
}

#[test]
fn knows_who_asks_for_sessions() {
    let set = |inside: &str| {
        operation(&govmomi(&format!(
            "<RetrievePropertiesEx xmlns=\"urn:vim25\"><_this type=\"PropertyCollector\">p</_this><specSet><propSet>{inside}\
             </propSet></specSet></RetrievePropertiesEx>"
        )))
    };
    for (inside, current, list) in [
        ("<type>SessionManager</type><pathSet>currentSession</pathSet>", true, false),
        ("<type>SessionManager</type><pathSet>currentSession.key</pathSet>", true, false),
        ("<type>SessionManager</type><pathSet>sessionList[\"a\"].key</pathSet>", false, true),
        ("<type>SessionManager</type><all>true</all>", true, true),
        ("<type>SessionManager</type><all>false</all>", false, false),
        ("<type>VirtualMachine</type><all>true</all>", false, false),
        ("<type>SessionManager</type><pathSet>currentSessions</pathSet>", false, false),
    ] {
        let found = set(inside);
        assert_eq!((found.names_current_session, found.names_session_list), (current, list), "{inside}");
    }
    let fetch = operation(&pyvmomi(
        "<Fetch xmlns=\"urn:vim25\"><_this versionId=\"6.5\" type=\"SessionManager\">SessionManager</_this>\
         <prop versionId=\"6.5\">currentSession</prop></Fetch>",
    ));
    assert!(fetch.names_current_session && !fetch.names_session_list);
}

#[test]
fn reads_headers_and_adds_an_operation_id() {
    let header = |inside: &str| {
        format!(
            "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\">{inside}<Body><PbmFetch xmlns=\"urn:pbm\"/></Body>\
             </Envelope>"
        )
    };
    let body = header("<Header><vcSessionCookie>\"f92d\"</vcSessionCookie><operationID>op-1</operationID></Header>");
    let found = operation(&body);
    let (at, value) = found.cookie.unwrap();
    assert_eq!((&body[at], value.as_str(), found.has_operation_id), ("\"f92d\"", "f92d", true));
    let prefixed =
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><a/></s:Body></s:Envelope>";
    for body in [
        header(""),
        header("<Header/>"),
        header("<Header></Header>"),
        header("<Header> <x>y</x></Header>"),
        prefixed.to_owned(),
    ] {
        let found = operation(&body);
        assert!(!found.has_operation_id);
        let edited = edit(body.as_bytes(), &[found.with_operation_id("tg-1&")]);
        let again = operation(std::str::from_utf8(&edited).unwrap());
        assert!(again.has_operation_id, "{}", String::from_utf8_lossy(&edited));
        assert_eq!((again.name, again.this), (found.name, found.this));
    }
    let token = header(
        "<Header><w:Security xmlns:w=\"urn:w\"><w:Timestamp><w:Expires>2026-11-25T18:11:30.273Z</w:Expires></w:Timestamp>\
         <Assertion><Conditions NotBefore=\"2026-11-25T18:00:00Z\" NotOnOrAfter=\"2026-11-25T18:10:30Z\"/></Assertion>\
         </w:Security></Header>",
    );
    assert_eq!(operation(&token).expires, Some(1_795_630_230));
}

#[test]
fn refuses_what_could_be_read_in_two_ways() {
    let this = "<_this type=\"A\">a</_this>";
    for body in [
        govmomi(&format!("<a>{this}{this}</a>")),
        govmomi("<a/><b/>"),
        govmomi("<a>text</a>"),
        govmomi(&format!("<a>text{this}</a>")),
        govmomi("<a><b><c/>session[x</b></a>"),
        govmomi("<a><b type='A' type='B'>x</b></a>"),
        govmomi("<a><b type='&#65;'>x</b></a>"),
        govmomi("<a>&#1;</a>"),
        govmomi("<a>&xxe;</a>"),
        govmomi("<a><?x y?></a>"),
        govmomi("<a><?xml version='1.0'?></a>"),
        govmomi("<a"),
        govmomi("<a></b>"),
        govmomi("<Login><userName>a</userName></Login>"),
        govmomi("<Login><userName>a</userName><password>b</password><password>c</password></Login>"),
        govmomi("<Wait><options><maxWaitSeconds>-1</maxWaitSeconds></options></Wait>"),
        govmomi("<a/>").replace("</Body>", "</Body><Body/>"),
        govmomi("<a/>").replace("</Body>", "</Body><Header/>"),
        govmomi("<a/>").replace("</Envelope>", ""),
        govmomi("<a/>") + "<Envelope/>",
        govmomi("<a/>") + "x",
        govmomi(&"<a>".repeat(100)),
        govmomi(&format!("<a{}/>", (0..65).map(|n| format!(" b{n}=''")).collect::<String>())),
        govmomi(&format!("<a>{}</a>", "<b>session[x</b>".repeat(SESSION_REFS_MAX + 1))),
        format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{}", govmomi("<a/>")),
    ] {
        refused(&body);
    }
    let mut body = govmomi("<a><b>x</b></a>").into_bytes();
    body.iter_mut().filter(|b| **b == b'x').last().into_iter().for_each(|b| *b = 0xff);
    assert!(matches!(read(&body, true), Spoken::Refused(_)));
    for body in ["", "{}", "<html/>", "\u{0}", "<Envelope><Body><a/></Body></Envelope>"] {
        assert_eq!(read(body.as_bytes(), true), Spoken::NotSoap, "{body}");
    }
    assert_eq!(read(govmomi("").as_bytes(), true), Spoken::NotSoap);
}

#[test]
fn a_long_body_is_told_as_far_as_it_was_seen() {
    let query = |count: usize| {
        let view = "<b type=\"View\">session[a]b</b>";
        govmomi(&format!("<QueryPerf><_this type=\"A\">b</_this>{}{view}</QueryPerf>", "<x>1</x>".repeat(count)))
    };
    for (body, whole) in [(query(4000), true), (query(40_000), false)] {
        let Spoken::Operation(found) = read(body.as_bytes(), true) else { panic!() };
        assert_eq!((found.whole, found.name.as_str(), found.this.unwrap().id.as_str()), (whole, "QueryPerf", "b"));
        assert_eq!(found.session_refs.len(), usize::from(whole), "what stands at its end");
        assert_eq!(read(&body.as_bytes()[..PREFIX_MAX - 1], false), Spoken::NeedMore);
    }
    let login = |length: usize| {
        govmomi(&format!("<Login><userName>a</userName><password>{}</password></Login>", "x".repeat(length)))
    };
    assert!(matches!(read(login(12 << 10).as_bytes(), true), Spoken::Operation(_)));
    for length in [PREFIX_MAX, BODY_MAX] {
        let login = login(length);
        assert_eq!(read(login.as_bytes(), true), Spoken::Refused(LONG_LOGIN));
        assert_eq!(read(&login.as_bytes()[..PREFIX_MAX], false), Spoken::Refused(LONG_LOGIN), "as early as that");
    }
}

#[test]
fn a_page_is_known_by_its_token() {
    for (name, token) in
        [("ContinueRetrievePropertiesEx", Some("t-1")), ("CancelRetrievePropertiesEx", Some("t-1")), ("Other", None)]
    {
        let body = govmomi(&format!("<{name}><_this type=\"PropertyCollector\">pc</_this><token>t-1</token></{name}>"));
        let Spoken::Operation(found) = read(body.as_bytes(), true) else { panic!() };
        assert_eq!(found.token.as_deref(), token, "{name}");
    }
}

#[test]
fn references_are_found_however_they_are_written() {
    for text in
        ["session[a]b", " session[a]b\n", "<![CDATA[session[a]b]]>", "ses<!-- -->sion[a]b", "&#115;ession&#x5b;a]b"]
    {
        let body = format!(
            "\u{feff}{}",
            govmomi(&format!("<x:a xmlns:x='urn:x'><x:b x:type='V' type=\"V\">{text}</x:b></x:a>"))
        );
        let found = operation(&body);
        let [reference] = found.session_refs.as_slice() else { panic!("{text}: {found:?}") };
        assert_eq!((reference.kind.as_str(), reference.id.as_str()), ("V", "session[a]b"));
        assert_eq!((&body[reference.at.clone()], found.namespace.as_str()), (text, "urn:x"));
    }
}

#[test]
fn edits_never_overlap() {
    let put = |at: Range<usize>, text| Edit::text(at, text);
    assert_eq!(edit(b"abcdef", &[put(4..5, "Y"), put(1..2, "X"), put(0..0, "<")]), b"&lt;aXcdYf");
    assert_eq!(edit(b"abc", &[put(0..2, "X"), put(1..3, "Y"), put(2..9, "Z"), put(9..9, "Z")]), b"Xc");
}

proptest! {
    #[test]
    fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..300), whole: bool) {
        let _ = read(&body, whole);
    }

    /// Cut anywhere: nothing is said before the end but what is said there too.
    #[test]
    fn a_verdict_never_changes(body in "(<[a-c:/]{1,3}>|<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\">|<Body>|</Body>|</Envelope>|&amp;|x|<!--|-->|é){0,14}", at in 0..200usize) {
        let body = body.as_bytes();
        let (all, early) = (read(body, true), read(&body[..at.min(body.len())], false));
        let same = match (&early, &all) {
            (Spoken::Refused(_), Spoken::Refused(_)) => true,
            _ => early == all,
        };
        prop_assert!(early == Spoken::NeedMore || same, "{:?} {:?}", early, all);
    }
}
