//! What a client hears whose call is turned away: a SOAP fault that is declared for its operation.
//!
//! A client can only read faults that the WSDL declares for what it called, so which one it is comes from the plan's
//! table of operations. Two exceptions, the same for all: a call with a dead session hears `InvalidSession` (every
//! operation declares it, and it makes the host log in again), at once and without Retry-After.

use super::soap::{SoapVersion, is_name};
use quick_xml::escape::escape;
use tidegate_core::reason::Reason;
use tidegate_core::time::Span;

/// Namespace of operations and faults in VASA 2.0, for a client whose request had none.
const OPERATIONS: &str = "http://com.vmware.vim.vasa/2.0/xsd";
/// Namespace of what is inside a fault.
const FAULTS: &str = "http://fault.vasa.vim.vmware.com/xsd";
/// Declared for every operation of the VASA WSDLs.
const STORAGE_FAULT: &str = "StorageFault";
const INVALID_SESSION: &str = "InvalidSession";

/// Which fault to render, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct FaultSpec<'a> {
    /// Which SOAP the client speaks.
    pub version: SoapVersion,
    /// The namespace of the operation; empty: that of VASA 2.0.
    pub namespace: &'a str,
    /// The fault that the plan's table names for the operation, such as `StorageFault`.
    pub declared: &'a str,
    /// Why the call is turned away.
    pub reason: Reason,
    /// When to come back.
    pub retry_after: Span,
}

/// An answer in place of the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// HTTP status: 500, as SOAP asks for a fault on the receiver's side.
    pub status: u16,
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// Value of `Retry-After` in whole seconds, at least 1; `None`: come back at once, with a new session.
    pub retry_after_s: Option<u64>,
    /// The envelope.
    pub body: String,
}

/// Renders the fault.
pub fn render(spec: &FaultSpec) -> Rendered {
    let retry_after_s = (spec.reason != Reason::TokenDead).then(|| whole_seconds(spec.retry_after));
    let text = match retry_after_s {
        None => "The session has ended; set the context again.".to_owned(),
        Some(s) => format!("Turned away in front of the provider ({}); come back in {s} s.", spec.reason),
    };
    let detail = detail(spec);
    let (content_type, body) = match spec.version {
        SoapVersion::V11 => ("text/xml; charset=utf-8", envelope_11(&text, &detail)),
        SoapVersion::V12 => ("application/soap+xml; charset=utf-8", envelope_12(&text, &detail)),
    };
    Rendered { status: 500, content_type, retry_after_s, body }
}

/// The name of the fault that `spec` asks for. A name that no element can have gives `StorageFault`.
fn name<'a>(spec: &FaultSpec<'a>) -> &'a str {
    match spec.reason {
        Reason::TokenDead => INVALID_SESSION,
        _ if is_name(spec.declared) => spec.declared,
        _ => STORAGE_FAULT,
    }
}

/// The element that the WSDL's message part names, and in it the fault itself, which has the same name.
fn detail(spec: &FaultSpec) -> String {
    let name = name(spec);
    let namespace = escape(if spec.namespace.is_empty() { OPERATIONS } else { spec.namespace });
    // Of the faults only StorageFault has an id of its message; it tells a log reader who spoke.
    let id = if name == STORAGE_FAULT {
        format!(r#"<f:faultMessageId xmlns:f="{FAULTS}">tidegate.{}</f:faultMessageId>"#, spec.reason)
    } else {
        String::new()
    };
    format!(r#"<v:{name} xmlns:v="{namespace}"><v:{name}>{id}</v:{name}></v:{name}>"#)
}

fn envelope_11(text: &str, detail: &str) -> String {
    format!(
        concat!(
            r#"<?xml version="1.0" encoding="UTF-8"?>"#,
            r#"<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><soap:Fault>"#,
            "<faultcode>soap:Server</faultcode><faultstring>{}</faultstring><detail>{}</detail>",
            "</soap:Fault></soap:Body></soap:Envelope>",
        ),
        escape(text),
        detail
    )
}

fn envelope_12(text: &str, detail: &str) -> String {
    format!(
        concat!(
            r#"<?xml version="1.0" encoding="UTF-8"?>"#,
            r#"<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body><soap:Fault>"#,
            "<soap:Code><soap:Value>soap:Receiver</soap:Value></soap:Code>",
            r#"<soap:Reason><soap:Text xml:lang="en">{}</soap:Text></soap:Reason><soap:Detail>{}</soap:Detail>"#,
            "</soap:Fault></soap:Body></soap:Envelope>",
        ),
        escape(text),
        detail
    )
}

/// Rounded up, for coming early is being turned away again; at least 1.
fn whole_seconds(span: Span) -> u64 {
    span.0.div_ceil(1_000_000_000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vasa::soap::{self, Operation, Prefix};
    use proptest::prelude::*;

    const SPEC: FaultSpec = FaultSpec {
        version: SoapVersion::V11,
        namespace: "http://com.vmware.vim.vasa/2.0/xsd",
        declared: "StorageFault",
        reason: Reason::QueueFull,
        retry_after: Span(6_100_000_000),
    };

    #[test]
    fn soap_11() {
        let fault = render(&SPEC);
        assert_eq!((fault.status, fault.content_type, fault.retry_after_s), (500, "text/xml; charset=utf-8", Some(7)));
        assert!(fault.body.contains("<faultcode>soap:Server</faultcode>"));
        assert!(fault.body.contains("(queue-full); come back in 7 s."));
        let detail = concat!(
            r#"<detail><v:StorageFault xmlns:v="http://com.vmware.vim.vasa/2.0/xsd"><v:StorageFault>"#,
            r#"<f:faultMessageId xmlns:f="http://fault.vasa.vim.vmware.com/xsd">tidegate.queue-full"#,
            "</f:faultMessageId></v:StorageFault></v:StorageFault></detail>"
        );
        assert!(fault.body.contains(detail));
    }

    #[test]
    fn soap_12() {
        let spec = FaultSpec { version: SoapVersion::V12, declared: "VasaProviderBusy", ..SPEC };
        let fault = render(&spec);
        assert_eq!(fault.content_type, "application/soap+xml; charset=utf-8");
        assert!(fault.body.contains("<soap:Value>soap:Receiver</soap:Value>"));
        assert!(fault.body.contains("<v:VasaProviderBusy></v:VasaProviderBusy></v:VasaProviderBusy></soap:Detail>"));
        assert!(!fault.body.contains("faultMessageId"));
    }

    #[test]
    fn a_dead_session_is_told_so() {
        let fault = render(&FaultSpec { reason: Reason::TokenDead, ..SPEC });
        assert_eq!(fault.retry_after_s, None);
        assert!(fault.body.contains("<v:InvalidSession></v:InvalidSession>"));
    }

    #[test]
    fn a_wait_is_never_zero() {
        assert_eq!(render(&FaultSpec { retry_after: Span::ZERO, ..SPEC }).retry_after_s, Some(1));
    }

    proptest! {
        /// Whatever the table and the client say, the answer is XML whose body holds one `Fault`.
        #[test]
        fn is_always_well_formed(
            namespace in "\\PC{0,40}", declared in "\\PC{0,20}", reason in 0..Reason::ALL.len(), new: bool,
        ) {
            let (version, reason) = (if new { SoapVersion::V12 } else { SoapVersion::V11 }, Reason::ALL[reason]);
            let spec = FaultSpec { version, namespace: &namespace, declared: &declared, reason, ..SPEC };
            let fault = render(&spec);
            let Prefix::Operation(Operation { name, version: read, .. }) =
                soap::read_prefix(None, fault.body.as_bytes(), true)
            else {
                return Err(TestCaseError::fail("not SOAP"));
            };
            prop_assert_eq!((name.as_str(), read), ("Fault", version));
            let mut reader = quick_xml::NsReader::from_str(&fault.body);
            let mut next = || reader.read_event().map_err(|e| TestCaseError::fail(e.to_string()));
            while next()? != quick_xml::events::Event::Eof {}
        }
    }
}
