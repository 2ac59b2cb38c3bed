//! Protocol `vasa`: SOAP 1.1 and 1.2 over HTTP, operations by the local name of the body's first child, whatever their
//! namespace; faults with the detail element named after the fault, as VASA 1.0 and 2.0 providers send them.

use crate::protocol::{Verdict, Want};
use crate::wire::{Request, response};
use tidegate_sim::host::Call;

const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";
const OPERATIONS: &str = "http://com.vmware.vim.vasa/2.0/xsd";
const DATA: &str = "http://data.vasa.vim.vmware.com/xsd";
const FAULTS: &str = "http://fault.vasa.vim.vmware.com/xsd";
const PATH: &str = "/vasa/services/vasaService?version=4";
const VERSION_PATH: &str = "/vasa/version.xml";
/// Calls that a host makes after setContext, in turn.
const FOLLOW_UPS: [&str; 3] = ["queryArrays", "queryStorageContainer", "setPEContext"];

pub fn want(request: &Request) -> Want {
    if request.method == "GET" {
        return if request.path == VERSION_PATH { Want::Page } else { Want::Unknown };
    }
    match operation(&request.body) {
        Some("setContext") => Want::Open,
        Some("getEvents" | "getAlarms") => Want::Poll,
        Some(_) => Want::Call,
        None => Want::Unknown,
    }
}

/// The local name of the first element in the SOAP body.
fn operation(envelope: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(envelope).ok()?;
    let mut in_body = false;
    for tag in text.split('<').skip(1) {
        let name = tag.split(|c: char| c.is_whitespace() || c == '>' || c == '/').next()?;
        let local = name.rsplit(':').next().filter(|local| !local.is_empty());
        match local {
            Some(local) if in_body => return Some(local),
            Some("Body") => in_body = true,
            _ => {}
        }
    }
    None
}

/// Whether the client speaks SOAP 1.2.
fn is_12(request: &Request) -> bool {
    request.headers.get("content-type").is_some_and(|value| value.contains("application/soap+xml"))
}

pub fn answer(request: &Request, want: Want, verdict: Verdict, base: &str) -> Vec<u8> {
    let soap_12 = is_12(request);
    let content_type = if soap_12 { "application/soap+xml; charset=utf-8" } else { "text/xml; charset=utf-8" };
    let operation = operation(&request.body).unwrap_or("unknown");
    match (want, verdict) {
        (Want::Page, _) => response(200, "text/xml; charset=utf-8", "", &version_page(base)),
        (Want::Unknown, _) if request.method == "GET" => response(404, "text/plain", "", "not found\n"),
        (Want::Unknown, _) => {
            response(500, content_type, "", &fault(soap_12, "InvalidArgument", "no operation in the SOAP body"))
        }
        (_, Verdict::NoSession) => {
            let text = "No valid VASA SessionId in HTTP header";
            response(500, content_type, "", &fault(soap_12, "InvalidSession", text))
        }
        (_, Verdict::Opened(number)) => {
            let cookie = format!("Set-Cookie: VASASESSIONID={number}; Path=/; Secure; HttpOnly\r\n");
            response(200, content_type, &cookie, &envelope(soap_12, &context_answer(number)))
        }
        (_, Verdict::Fine) => response(200, content_type, "", &envelope(soap_12, &format!("<v:{operation}Response/>"))),
    }
}

fn envelope(soap_12: bool, body: &str) -> String {
    let soap = if soap_12 { SOAP_12 } else { SOAP_11 };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<e:Envelope xmlns:e=\"{soap}\" xmlns:v=\"{OPERATIONS}\" \
         xmlns:d=\"{DATA}\" xmlns:f=\"{FAULTS}\"><e:Body>{body}</e:Body></e:Envelope>"
    )
}

fn fault(soap_12: bool, name: &str, text: &str) -> String {
    let detail = format!("<v:{name}><f:faultMessageId>{name}</f:faultMessageId></v:{name}>");
    envelope(
        soap_12,
        &if soap_12 {
            format!(
                "<e:Fault><e:Code><e:Value>e:Sender</e:Value></e:Code><e:Reason><e:Text xml:lang=\"en\">{text}</e:Text>\
                 </e:Reason><e:Detail>{detail}</e:Detail></e:Fault>"
            )
        } else {
            format!(
                "<e:Fault><faultcode>e:Client</faultcode><faultstring>{text}</faultstring>\
                 <detail>{detail}</detail></e:Fault>"
            )
        },
    )
}

fn context_answer(number: u64) -> String {
    format!(
        "<v:setContextResponse><v:return><d:defaultNamespace>lab.tidegate.vp</d:defaultNamespace>\
         <d:defaultSessionTimeoutInSeconds>300</d:defaultSessionTimeoutInSeconds><d:maxBatchSize>1024</d:maxBatchSize>\
         <d:maxConcurrentRequestsPerSession>5</d:maxConcurrentRequestsPerSession><d:name>vp-lab</d:name>\
         <d:needsExplicitActivation>false</d:needsExplicitActivation>\
         <d:retainVasaProviderCertificate>true</d:retainVasaProviderCertificate><d:sessionId>{number}</d:sessionId>\
         <d:supportedProfile>ProfileBasedManagementProfile</d:supportedProfile><d:uid>lab.tidegate.vp:0001</d:uid>\
         <d:vasaApiVersion>3.0</d:vasaApiVersion></v:return></v:setContextResponse>"
    )
}

fn version_page(base: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<supportedVersions><version id=\"4\">\
         <serviceLocation>{base}{PATH}</serviceLocation></version></supportedVersions>\n"
    )
}

/// Whether an answer is the fault InvalidSession.
pub fn is_invalid_session(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains(":InvalidSession>")
}

/// A host's request: every other host speaks SOAP 1.1.
pub fn request(call: Call, index: u32, cookie: &str, authority: &str) -> Vec<u8> {
    let operation = match call {
        Call::SetContext => "setContext",
        Call::FollowUp(number) => FOLLOW_UPS[number as usize % FOLLOW_UPS.len()],
        Call::Poll => "getEvents",
    };
    let inner = match call {
        Call::SetContext => usage_context(index),
        Call::Poll => "<v:lastEventId>-1</v:lastEventId>".to_owned(),
        Call::FollowUp(_) => String::new(),
    };
    let soap_12 = index.is_multiple_of(2);
    let body = envelope(soap_12, &format!("<v:{operation}>{inner}</v:{operation}>"));
    let kind = if soap_12 {
        format!("Content-Type: application/soap+xml; charset=utf-8; action=\"urn:{operation}\"\r\n")
    } else {
        format!("Content-Type: text/xml; charset=utf-8\r\nSOAPAction: \"urn:{operation}\"\r\n")
    };
    let length = body.len();
    format!("POST {PATH} HTTP/1.1\r\nHost: {authority}\r\n{kind}{cookie}Content-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn usage_context(index: u32) -> String {
    let number = index + 1;
    format!(
        "<v:usageContext><d:hostGuid>5f0c7a10-0000-1000-8000-{number:012x}</d:hostGuid><d:hostInitiator>\
         <d:uniqueIdentifier>iqn.1998-01.com.vmware:esx-{number:03}</d:uniqueIdentifier>\
         <d:iscsiIdentifier>iqn.1998-01.com.vmware:esx-{number:03}</d:iscsiIdentifier></d:hostInitiator>\
         <d:sessionTimeoutInSeconds>0</d:sessionTimeoutInSeconds><d:subscribeEvent>Rebind</d:subscribeEvent>\
         </v:usageContext>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_found_whatever_their_prefix() {
        for (envelope, name) in [
            ("<e:Envelope xmlns:e='x'><e:Header/><e:Body><v:setContext><v:a/>", Some("setContext")),
            ("<Envelope><Body attr=\"1\">\n <getEvents/></Body></Envelope>", Some("getEvents")),
            ("<?xml version='1.0'?><s:Envelope><s:Body/></s:Envelope>", None),
            ("not xml", None),
        ] {
            assert_eq!(operation(envelope.as_bytes()), name, "{envelope}");
        }
    }

    #[test]
    fn an_invalid_session_is_known_by_its_detail() {
        for soap_12 in [true, false] {
            assert!(is_invalid_session(fault(soap_12, "InvalidSession", "x").as_bytes()));
            assert!(!is_invalid_session(fault(soap_12, "StorageFault", "InvalidSession").as_bytes()));
        }
    }
}
