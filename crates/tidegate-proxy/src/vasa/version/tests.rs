//! Tables of documents, and properties: no document gets through with an address that is not the gate's.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use proptest::prelude::*;

fn gate() -> Origin {
    Origin::parse("https://gate.example:9443/").unwrap()
}

fn rewritten(document: &str) -> Result<String, VersionError> {
    rewrite(document.as_bytes(), &gate()).map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn replaces_scheme_and_authority_only() {
    let cases = [
        (
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<v:versions xmlns:v=\"u\"><!-- a --><v:version id=\"4\">\n  \
             <v:serviceLocation>https://vp-a:8443/vasa/services/v?version=4&amp;x=1</v:serviceLocation>\n\
             </v:version></v:versions>\n",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<v:versions xmlns:v=\"u\"><!-- a --><v:version id=\"4\">\n  \
             <v:serviceLocation>https://gate.example:9443/vasa/services/v?version=4&amp;x=1</v:serviceLocation>\n\
             </v:version></v:versions>\n",
        ),
        (
            "<a><serviceLocation> HTTP://10.0.0.1/x </serviceLocation><serviceLocation>/y</serviceLocation></a>",
            "<a><serviceLocation> https://gate.example:9443/x </serviceLocation>\
             <serviceLocation>/y</serviceLocation></a>",
        ),
        (
            "<a><serviceLocation><![CDATA[https://vp/x?a&b]]></serviceLocation></a>",
            "<a><serviceLocation><![CDATA[https://gate.example:9443/x?a&b]]></serviceLocation></a>",
        ),
        (
            r#"<a><v n="1" serviceLocation="https://vp/x?a&amp;b" m="&quot;"/></a>"#,
            r#"<a><v n="1" serviceLocation="https://gate.example:9443/x?a&amp;b" m="&quot;"/></a>"#,
        ),
        (
            "<serviceLocation>https://vp</serviceLocation>",
            "<serviceLocation>https://gate.example:9443</serviceLocation>",
        ),
    ];
    for (document, expected) in cases {
        assert_eq!(rewritten(document), Ok(expected.to_owned()));
    }
}

#[test]
fn refuses_what_it_cannot_be_sure_of() {
    for document in [
        "<a><serviceLocation>ftp://vp/x</serviceLocation></a>",
        "<a><serviceLocation>//vp/x</serviceLocation></a>",
        "<a><serviceLocation>vp:8443/x</serviceLocation></a>",
        "<a><serviceLocation>https:///x</serviceLocation></a>",
        "<a><serviceLocation>https://vp&#47;x</serviceLocation></a>",
        "<a><serviceLocation>https://vp<!-- -->.evil/x</serviceLocation></a>",
        "<a><serviceLocation>&#104;ttps://vp/x</serviceLocation></a>",
        "<a><serviceLocation><b>https://vp/x</b></serviceLocation></a>",
        r#"<a serviceLocation="&#104;ttps://vp/x"/>"#,
        r#"<a serviceLocation="https://vp\x"/>"#,
    ] {
        assert_eq!(rewritten(document), Err(VersionError::Location), "{document}");
    }
    for document in [
        "<!DOCTYPE a [<!ENTITY x 'y'>]><a><serviceLocation>https://vp/x</serviceLocation></a>",
        "<!DOCTYPE a [<!ENTITY x",
        "<a><serviceLocation>https://vp/x</serviceLocation>",
        "<a><serviceLocation>https://vp/x</b></a>",
        "<a",
    ] {
        assert!(matches!(rewritten(document), Err(VersionError::Malformed(_))), "{document}");
    }
    assert_eq!(rewritten("<a/>"), Err(VersionError::NoLocation));
    assert_eq!(rewrite(&vec![b' '; DOCUMENT_MAX + 1], &gate()), Err(VersionError::TooLong));
    assert!(matches!(rewrite(b"<a>\xff</a>", &gate()), Err(VersionError::Malformed(_))));
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    for good in ["https://gate", "http://10.0.0.1:80", "https://[fd00::1]:8443"] {
        assert_eq!(Origin::parse(good).unwrap().as_str(), good);
    }
    for bad in
        ["gate", "ftp://gate", "https://", "https://gate/x", "https://user@gate", "https://gate?x", "https://a b"]
    {
        assert_eq!(Origin::parse(bad), None, "{bad}");
    }
    assert_eq!(Origin::from_host("https", b"gate:1").unwrap().as_str(), "https://gate:1");
    assert_eq!(Origin::from_host("https", b"ga<te"), None);
    assert_eq!(Origin::from_host("https", b"\xff"), None);
}

proptest! {
    #[test]
    fn no_address_but_the_gates_gets_through(
        head in "[ -~]{0,30}", host in "[a-z]{1,8}", tail in "(/[a-z?=;&!-]{0,20})?", end in "[ -~]{0,30}"
    ) {
        let document = format!("<a>{head}<serviceLocation>https://{host}.provider{tail}</serviceLocation>{end}</a>");
        if let Ok(text) = rewritten(&document) {
            let location = "<serviceLocation>https://gate.example:9443";
            prop_assert!(text.contains(location), "{}", text);
            let stays = format!("{head}{end}").matches(".provider").count();
            prop_assert_eq!(text.matches(".provider").count(), stays);
        }
    }

    #[test]
    fn never_panics(document in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = rewrite(&document, &gate());
    }
}
