//! Tables of requests, whole and cut, and properties: chunks never change a verdict, names are found in any envelope.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use proptest::prelude::*;

const SET_CONTEXT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:v="http://com.vmware.vim.vasa/2.0/xsd"
            xmlns:d="http://data.vasa.vim.vmware.com/xsd">
 <e:Header><x:security xmlns:x="y"><Body><getEvents/></Body></x:security></e:Header>
 <e:Body><v:setContext><v:usageContext>
   <d:hostGuid>5f0c7a10-0000-1000-8000-a0369f5d0001</d:hostGuid>
   <d:vcGuid>9be0</d:vcGuid>
 </v:usageContext></v:setContext></e:Body></e:Envelope>"#;

fn soap11(body: &str) -> String {
    format!(r#"<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body>{body}</S:Body></S:Envelope>"#)
}

fn whole(body: &str) -> Prefix {
    read_prefix(None, body.as_bytes(), true)
}

fn operation(prefix: Prefix) -> Operation {
    match prefix {
        Prefix::Operation(operation) => operation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn reads_set_context_and_its_host() {
    let found = operation(whole(SET_CONTEXT));
    assert_eq!((found.name.as_str(), found.version), ("setContext", SoapVersion::V12));
    assert_eq!(found.namespace, "http://com.vmware.vim.vasa/2.0/xsd");
    assert_eq!(found.host_guid.as_deref(), Some("5f0c7a10-0000-1000-8000-a0369f5d0001"));
}

#[test]
fn reads_operations_in_any_namespace() {
    for (body, name, namespace) in [
        (
            r#"<getEvents xmlns="http://com.vmware.vim.vasa/1.0/xsd"><lastEventId>0</lastEventId></getEvents>"#,
            "getEvents",
            "http://com.vmware.vim.vasa/1.0/xsd",
        ),
        (r#"<n:queryArrays xmlns:n="urn:any"/>"#, "queryArrays", "urn:any"),
        ("<getEvents/>", "getEvents", ""),
        ("<undeclared:getEvents/>", "getEvents", ""),
        ("<!-- a --> text <getEvents/>", "getEvents", ""),
    ] {
        let found = operation(whole(&soap11(body)));
        assert_eq!((found.name.as_str(), found.version), (name, SoapVersion::V11));
        assert_eq!(found.namespace, namespace);
    }
}

#[test]
fn takes_only_a_plain_host_guid() {
    let long = "x".repeat(NAME_MAX + 1);
    for (guid, expected) in [
        ("<hostGuid>a-1</hostGuid>", Some("a-1")),
        ("<hostGuid><![CDATA[a-1]]></hostGuid>", Some("a-1")),
        ("<chapUsername>x</chapUsername><hostGuid>\n a-1 </hostGuid>", Some("a-1")),
        ("<hostGuid>a&amp;1</hostGuid>", None),
        ("<hostGuid>a 1</hostGuid>", None),
        ("<hostGuid>é</hostGuid>", None),
        ("<hostGuid/>", None),
        (&format!("<hostGuid>{long}</hostGuid>"), None),
        ("<vcGuid>1</vcGuid>", None),
    ] {
        let body = soap11(&format!("<setContext><usageContext>{guid}</usageContext></setContext>"));
        assert_eq!(operation(whole(&body)).host_guid.as_deref(), expected, "{guid}");
    }
    assert_eq!(operation(whole(&soap11("<setContext/>"))).host_guid, None);
}

#[test]
fn does_not_take_other_things_for_soap() {
    for body in [
        "",
        "  ",
        "{\"a\":1}",
        "<html></html>",
        "<Envelope><Body><a/></Body></Envelope>",
        r#"<x:Envelope xmlns:x="urn:x"><x:Body><a/></x:Body></x:Envelope>"#,
        r#"<x:NotEnvelope xmlns:x="http://schemas.xmlsoap.org/soap/envelope/"><x:Body><a/></x:Body></x:NotEnvelope>"#,
        r#"<x:Envelope xmlns:x="http://schemas.xmlsoap.org/soap/envelope/"><x:Body><a"#,
        r#"<x:Envelope xmlns:x="http://schemas.xmlsoap.org/soap/envelope/"><a></b>"#,
        "\u{0}\u{0}",
    ] {
        assert_eq!(whole(body), Prefix::NotSoap, "{body}");
    }
    assert_eq!(whole(&soap11("")), Prefix::NotSoap);
    assert_eq!(whole(&soap11("text")), Prefix::NotSoap);
    assert_eq!(read_prefix(None, b"<\xff", true), Prefix::NotSoap);
    assert_eq!(read_prefix(None, b"\xff\xfe<\0", false), Prefix::NotSoap, "UTF-16");
}

#[test]
fn refuses_what_soap_does_not_allow() {
    let deep = "<a>".repeat(100);
    for body in [
        "<!DOCTYPE e [<!ENTITY x 'y'>]><e/>".to_owned(),
        "<!DOCTYPE e [<!ENTITY x ".to_owned(),
        "<!DOCTYPE>".to_owned(),
        "<?php x?>".to_owned() + &soap11("<a/>"),
        soap11("&xxe;<a/>"),
        "<?xml version='1.0' encoding='UTF-7'?>".to_owned() + &soap11("<a/>"),
        soap11(&format!("<{}/>", "a".repeat(NAME_MAX + 1))),
        soap11("<é/>"),
        format!(r#"<x:Envelope xmlns:x="http://schemas.xmlsoap.org/soap/envelope/"><x:Header>{deep}"#),
    ] {
        assert!(matches!(whole(&body), Prefix::Refused(_)), "{body} {:?}", whole(&body));
    }
}

#[test]
fn an_operation_beyond_the_prefix_is_not_looked_for() {
    let padded = soap11(&format!("{}<getEvents/>", " ".repeat(PREFIX_MAX)));
    assert_eq!(read_prefix(None, padded.as_bytes(), false), Prefix::NotSoap);
    assert_eq!(read_prefix(None, &padded.as_bytes()[..PREFIX_MAX - 1], false), Prefix::NeedMore);
    let late = soap11(&format!("<setContext>{}<hostGuid>a</hostGuid></setContext>", " ".repeat(PREFIX_MAX)));
    let found = operation(read_prefix(None, late.as_bytes(), false));
    assert_eq!((found.name.as_str(), found.host_guid), ("setContext", None));
}

const MTOM: &[u8] =
    br#"Multipart/Related; start-info="application/soap+xml; action=\"a\""; Boundary="uuid:1"; type="a/b""#;

fn mtom(part_head: &str, envelope: &str, rest: &[u8]) -> Vec<u8> {
    [format!("preamble\r\n--uuid:1\r\n{part_head}\r\n{envelope}\r\n--uuid:1").as_bytes(), rest].concat()
}

#[test]
fn reads_the_first_part_of_mtom() {
    let head = "Content-Type: application/xop+xml\r\nContent-Transfer-Encoding: Binary\r\nContent-ID: <a>\r\n";
    let rest = b"\r\nContent-ID: <b>\r\n\r\n\xff\xfe\x00\r\n--uuid:1--";
    for head in [head, ""] {
        let body = mtom(head, SET_CONTEXT, rest);
        let found = operation(read_prefix(Some(MTOM), &body, true));
        assert_eq!((found.name.as_str(), found.host_guid.is_some()), ("setContext", true));
    }
    let body = mtom("", "<not-soap", rest);
    assert_eq!(read_prefix(Some(MTOM), &body, false), Prefix::NotSoap, "the first part is over");
    let base64 = mtom("content-transfer-encoding: base64\r\n", SET_CONTEXT, rest);
    assert!(matches!(read_prefix(Some(MTOM), &base64, true), Prefix::Refused(_)));
    for bad in [
        "multipart/related",
        "multipart/related; boundary=",
        "multipart/related; boundary=a; boundary=b",
        "multipart/related; boundary=\"a\\\"\"",
        "multipart/related; boundary=\"a ",
    ] {
        assert!(matches!(read_prefix(Some(bad.as_bytes()), &body, true), Prefix::Refused(_)), "{bad}");
    }
    assert_eq!(read_prefix(Some(b"multipart/related; boundary=other"), &body, true), Prefix::NotSoap);
}

fn never_changes(content_type: Option<&[u8]>, body: &[u8]) {
    let mut verdict = Prefix::NeedMore;
    for cut in 0..=body.len() {
        let next = read_prefix(content_type, &body[..cut], false);
        if verdict == Prefix::NeedMore {
            verdict = next;
        } else {
            assert_eq!(next, verdict, "at {cut}");
        }
    }
    if verdict != Prefix::NeedMore {
        assert_eq!(read_prefix(content_type, body, true), verdict, "at the end");
    }
}

#[test]
fn a_verdict_never_changes() {
    never_changes(None, SET_CONTEXT.as_bytes());
    never_changes(None, soap11("<getEvents/>").as_bytes());
    never_changes(None, soap11("<é/>").as_bytes());
    never_changes(Some(MTOM), &mtom("Content-ID: <a>\r\n", SET_CONTEXT, b"\r\n\r\n\xff"));
    let cut = SET_CONTEXT.find("<d:vcGuid>").unwrap();
    assert!(matches!(read_prefix(None, &SET_CONTEXT.as_bytes()[..cut], false), Prefix::Operation(_)));
}

proptest! {
    #[test]
    fn finds_any_name(
        prefix in "[a-z]{1,5}", name in "[A-Za-z_][A-Za-z0-9_.-]{0,40}", header in "(<[a-z]{1,3}/>){0,5}", new: bool,
    ) {
        let old = "http://schemas.xmlsoap.org/soap/envelope/";
        let uri = if new { "http://www.w3.org/2003/05/soap-envelope" } else { old };
        prop_assume!(!prefix.starts_with("xml"));
        let p = &prefix;
        let text = format!(
            "\u{feff}<{p}:Envelope xmlns:{p}='{uri}'><{p}:Header>{header}</{p}:Header>\
             <{p}:Body><q:{name} a='>'/></{p}:Body></{p}:Envelope>"
        );
        let found = operation(whole(&text));
        prop_assert_eq!(found.name, name);
        prop_assert_eq!(found.version == SoapVersion::V12, new);
    }

    #[test]
    fn chunks_never_change_a_verdict(
        pieces in proptest::collection::vec(prop_oneof![
            Just("<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'>"), Just("<e:Body>"),
            Just("</e:Body>"),
            Just("<setContext>"), Just("<hostGuid>"), Just("</hostGuid>"), Just("abc"), Just("&amp;"), Just("&x;"),
            Just("<!--"), Just("-->"), Just("<![CDATA["), Just("]]>"), Just("<a/>"), Just("</a>"),
            Just("<!DOCTYPE"), Just("<?x?>"),
            Just("'"), Just("é"), Just("\r\n--b"), Just("\r\n\r\n"),
        ], 0..12),
        multipart: bool,
    ) {
        let content_type = multipart.then_some(b"multipart/related; boundary=b".as_slice());
        never_changes(content_type, pieces.concat().as_bytes());
    }

    #[test]
    fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..300), content_type in "\\PC{0,80}", last: bool) {
        let _ = read_prefix(Some(content_type.as_bytes()), &body, last);
    }
}

#[test]
fn a_first_part_is_refused_alike_however_much_of_it_is_there() {
    let (long, head) = (" ".repeat(3000), format!("X: {}", "y".repeat(2040)));
    let bodies = [
        format!("--b x{long}\r\n\r\n"),
        format!("--b{long}x\r\n\r\n"),
        format!("--b \r x\r\n{long}"),
        format!("--b\r\n{head}\r\n\r\n{SET_CONTEXT}\r\n--b--"),
        format!("--b\r\n{head}yy\r\n\r\n{SET_CONTEXT}\r\n--b--"),
    ];
    for body in bodies {
        let read =
            |end: usize, whole| read_prefix(Some(b"multipart/related; boundary=b"), &body.as_bytes()[..end], whole);
        let all = read(body.len(), true);
        for end in 0..body.len() {
            let early = read(end, false);
            assert!(early == Prefix::NeedMore || early == all, "{end} of {} bytes: {early:?}, {all:?}", body.len());
        }
    }
}
