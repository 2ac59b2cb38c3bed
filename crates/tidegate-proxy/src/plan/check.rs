//! Checks of the plan that types alone cannot make. Each error names its field.

mod vcenter;

use super::{
    FORMAT, IoPlan, MatchPlan, MonitorPlan, Plan, PortsPlan, ProbePlan, ProtocolPlan, ServerPlan, ServicePlan, TcpPlan,
    TlsPlan, VerifyPlan,
};
use crate::error::GateError;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use tidegate_core::ledger::{PortRange, Settings};
use tidegate_core::time::Span;

type Checked = Result<(), GateError>;

/// Reads and checks a plan.
///
/// # Errors
/// The first thing that is wrong, with the path of its field.
pub fn parse(json: &[u8]) -> Result<Plan, GateError> {
    let plan: Plan = serde_json::from_slice(json).map_err(|error| GateError::plan("plan", error))?;
    check(&plan)?;
    Ok(plan)
}

/// Checks a plan; touches no file and no socket.
///
/// # Errors
/// The first thing that is wrong, with the path of its field.
pub fn check(plan: &Plan) -> Checked {
    ensure(plan.format == FORMAT, "format", format_args!("is {}, but this library takes {FORMAT}", plan.format))?;
    ensure(!plan.services.is_empty(), "services", "is empty: name at least one service")?;
    let mut names = BTreeSet::new();
    let mut listens = BTreeSet::new();
    for (index, service) in plan.services.iter().enumerate() {
        let at = format!("services[{index}]");
        check_name(&format!("{at}.name"), &service.name)?;
        ensure(names.insert(&service.name), format!("{at}.name"), "is used twice")?;
        let fresh = service.listen.port() == 0 || listens.insert(service.listen);
        ensure(fresh, format!("{at}.listen"), "is used twice")?;
        check_service(&at, service)?;
    }
    check_ports(&plan.ports)?;
    check_admin(plan)
}

fn check_ports(ports: &PortsPlan) -> Checked {
    // Ranges that are left out are found on the machine; what is wrong with the rest is wrong everywhere.
    let any = vec![PortRange { first: 1, last: u16::MAX }];
    let ranges = if ports.ranges.is_empty() { any } else { ports.ranges.clone() };
    let checked = Settings::new(ports.sources.clone(), ranges, ports.headroom, 0).check();
    checked.map_err(|error| GateError::plan("ports", format_args!("cannot be used: {error}")))
}

fn ensure(holds: bool, field: impl std::fmt::Display, message: impl std::fmt::Display) -> Checked {
    if holds { Ok(()) } else { Err(GateError::plan(field, message)) }
}

fn check_name(field: &str, name: &str) -> Checked {
    let fine =
        !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    ensure(fine, field, "must be 1 to 64 letters, digits, '-', '_' or '.'")
}

fn check_admin(plan: &Plan) -> Checked {
    let admin = &plan.admin;
    ensure(admin.tcp.is_none() || admin.token_file.is_some(), "admin.token_file", "is missing: admin.tcp needs a token")
}

fn check_service(at: &str, service: &ServicePlan) -> Checked {
    check_io(&format!("{at}.io"), &service.io)?;
    check_protocol(&format!("{at}.protocol"), &service.protocol)?;
    check_tcp(at, service)?;
    check_identities(at, service)?;
    service.monitor.as_ref().map_or(Ok(()), |monitor| check_monitor(&format!("{at}.monitor"), monitor, service))?;
    ensure(!service.servers.is_empty(), format!("{at}.servers"), "is empty: name at least one server")?;
    ensure(service.servers.len() <= 1024, format!("{at}.servers"), "has more than 1024 members")?;
    let admission = &service.admission.servers;
    let names = |(a, b): (&ServerPlan, &tidegate_core::admission::ServerPlan)| a.name == b.name;
    let same = admission.len() == service.servers.len() && service.servers.iter().zip(admission).all(names);
    ensure(same, format!("{at}.admission.servers"), "must list the same names as servers, in the same order")?;
    let mut seen = BTreeSet::new();
    for (index, server) in service.servers.iter().enumerate() {
        let at = format!("{at}.servers[{index}]");
        check_name(&format!("{at}.name"), &server.name)?;
        ensure(seen.insert(&server.name), format!("{at}.name"), "is used twice")?;
        check_server(&at, server)?;
    }
    let broker = matches!(&service.protocol, ProtocolPlan::Vcenter(plan) if plan.broker.is_some());
    if let TlsPlan::Passthrough { names, .. } = &service.tls {
        ensure(names.iter().all(|n| !n.is_empty()), format!("{at}.tls.names"), "has an empty name")?;
        let plain = service.servers.iter().all(|s| s.tls.is_none());
        ensure(
            plain,
            format!("{at}.servers"),
            "must have tls = null behind passthrough: the client's TLS goes through",
        )?;
        ensure(!broker, format!("{at}.protocol.broker"), "must be null behind passthrough: no call can be read")?;
    }
    let one = service.servers.len() == 1;
    ensure(one || !broker, format!("{at}.servers"), "must be one where a broker is: a session lives at one vCenter")?;
    tidegate_core::admission::Machine::new(service.admission.clone(), None, tidegate_core::time::Nanos(0))
        .map(drop)
        .map_err(|error| GateError::plan(format!("{at}.admission"), error))
}

fn check_server(at: &str, server: &ServerPlan) -> Checked {
    let field = format!("{at}.address");
    if server.address.parse::<SocketAddr>().is_err() {
        let host_port = server.address.rsplit_once(':').and_then(|(h, p)| Some((h, p.parse::<u16>().ok()?)));
        let Some((host, port)) = host_port else {
            return Err(GateError::plan(field, format_args!("{:?} is not IP:port or host:port", server.address)));
        };
        let fine = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        ensure(fine && port > 0, field, format_args!("{:?} is not IP:port or host:port", server.address))?;
    }
    let Some(tls) = &server.tls else { return Ok(()) };
    let pair = tls.certificate.is_some() == tls.key.is_some();
    ensure(pair, format!("{at}.tls"), "needs certificate and key together, or neither")?;
    match &tls.verify {
        VerifyPlan::Ca(_) => Ok(()),
        VerifyPlan::None(true) => Ok(()),
        VerifyPlan::None(false) => Err(GateError::plan(format!("{at}.tls.verify.none"), "is false: say ca or sha256")),
        VerifyPlan::Sha256(text) => {
            let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
            let others = text.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
            ensure(digits == 64 && others, format!("{at}.tls.verify.sha256"), "is not 64 hexadecimal digits")
        }
    }
}

fn check_io(at: &str, io: &IoPlan) -> Checked {
    let spans = [
        ("head_timeout_ns", io.head_timeout),
        ("handshake_timeout_ns", io.handshake_timeout),
        ("idle_timeout_ns", io.idle_timeout),
        ("write_timeout_ns", io.write_timeout),
        ("body_rate_timeout_ns", io.body_rate_timeout),
        ("connect_timeout_ns", io.connect_timeout),
        ("server_idle_ns", io.server_idle),
        ("drain_ns", io.drain),
    ];
    for (name, span) in spans {
        let fine = span >= Span::millis(1) && span <= Span::secs(86_400);
        ensure(fine, format_args!("{at}.{name}"), "must be from 1 ms to one day")?;
    }
    let range = |n: u32| (1..=1_000_000).contains(&n);
    ensure(range(io.connections_max), format_args!("{at}.connections_max"), "must be 1 to 1000000")?;
    ensure(range(io.handshakes_max), format_args!("{at}.handshakes_max"), "must be 1 to 1000000")?;
    let bytes = (64 * 1024..=1 << 40).contains(&io.buffers_max_bytes);
    ensure(bytes, format_args!("{at}.buffers_max_bytes"), "must be 64 KiB to 1 TiB")
}

fn check_protocol(at: &str, protocol: &ProtocolPlan) -> Checked {
    match protocol {
        ProtocolPlan::Http(http) => {
            ensure((400..=599).contains(&http.status), format!("{at}.status"), "must be 400 to 599")?;
            for (index, rule) in http.rules.iter().enumerate() {
                let field = format!("{at}.rules[{index}].path");
                ensure(rule.path.starts_with('/'), field, "must begin with '/'")?;
                check_cost(&format!("{at}.rules[{index}]"), rule.cost_milli)?;
            }
            check_token(&format!("{at}.session_cookie"), http.session_cookie.as_deref())?;
            check_token(&format!("{at}.user_header"), http.user_header.as_deref())
        }
        ProtocolPlan::Vasa(vasa) => {
            for (name, operation) in &vasa.operations {
                check_cost(&format!("{at}.operations.{name}"), operation.cost_milli)?;
                check_token(&format!("{at}.operations.{name}.fault"), Some(&operation.fault))?;
            }
            check_cost(&format!("{at}.default"), vasa.default.cost_milli)?;
            check_token(&format!("{at}.default.fault"), Some(&vasa.default.fault))?;
            check_token(&format!("{at}.session_cookie"), Some(&vasa.session_cookie))?;
            ensure(vasa.version_path.starts_with('/'), format!("{at}.version_path"), "must begin with '/'")
        }
        ProtocolPlan::Vcenter(plan) => vcenter::check(at, plan),
        ProtocolPlan::Tcp {} => Ok(()),
    }
}

fn check_tcp(at: &str, service: &ServicePlan) -> Checked {
    let TcpPlan { half_closed_timeout, idle_timeout, idle_timeout_pressed, .. } = service.tcp;
    for (name, span) in [
        ("half_closed_timeout_ns", half_closed_timeout),
        ("idle_timeout_ns", idle_timeout),
        ("idle_timeout_pressed_ns", idle_timeout_pressed),
    ] {
        let fine = span >= Span::millis(1) && span <= Span::secs(86_400);
        ensure(fine, format_args!("{at}.tcp.{name}"), "must be from 1 ms to one day")?;
    }
    let pressed = idle_timeout_pressed <= idle_timeout;
    ensure(pressed, format_args!("{at}.tcp.idle_timeout_pressed_ns"), "must not be longer than idle_timeout_ns")?;
    let counts = [service.tcp.half_open_max, service.tcp.connections_per_client_max.unwrap_or(1)];
    for (name, n) in ["half_open_max", "connections_per_client_max"].iter().zip(counts) {
        ensure((1..=1_000_000).contains(&n), format_args!("{at}.tcp.{name}"), "must be 1 to 1000000")?;
    }
    if !matches!(service.protocol, ProtocolPlan::Tcp {}) {
        return ensure(!service.tcp.lazy, format_args!("{at}.tcp.lazy"), "is for protocol tcp");
    }
    let plain = matches!(service.tls, TlsPlan::None {}) && service.servers.iter().all(|server| server.tls.is_none());
    ensure(
        plain,
        format_args!("{at}.tls"),
        "must be none with protocol tcp, towards servers too: bytes pass as they come",
    )?;
    let headers = service.identities.iter().all(|identity| matches!(identity.matches, MatchPlan::Address(_)));
    ensure(headers, format_args!("{at}.identities"), "must go by address with protocol tcp")
}

fn check_monitor(at: &str, monitor: &MonitorPlan, service: &ServicePlan) -> Checked {
    let settings = monitor.settings.check();
    settings.map_err(|error| {
        GateError::plan(format!("{at}.settings.{}", error.field), format!("must be {}", error.range))
    })?;
    let tls =
        matches!(service.tls, TlsPlan::Passthrough { .. }) || service.servers.iter().all(|server| server.tls.is_some());
    match &monitor.probe {
        ProbePlan::Tcp {} | ProbePlan::HalfOpen {} => Ok(()),
        ProbePlan::Tls {} => ensure(tls, format!("{at}.probe.kind"), "is tls, but not every server speaks TLS"),
        ProbePlan::Http { path, status } => {
            let fine = path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic());
            ensure(fine, format!("{at}.probe.path"), "must begin with '/' and have no spaces")?;
            let fine = (1..=32).contains(&status.len()) && status.iter().all(|status| (100..=599).contains(status));
            ensure(fine, format!("{at}.probe.status"), "must be 1 to 32 numbers from 100 to 599")
        }
    }
}

fn check_cost(at: &str, cost: u32) -> Checked {
    ensure((1..=1_000_000).contains(&cost), format_args!("{at}.cost_milli"), "must be 1 to 1000000")
}

fn check_token(field: &str, text: Option<&str>) -> Checked {
    let fine =
        text.is_none_or(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
    ensure(fine, field, "must be letters, digits, '-', '_' or '.'")
}

fn check_identities(at: &str, service: &ServicePlan) -> Checked {
    for (index, identity) in service.identities.iter().enumerate() {
        if let MatchPlan::Header(name, _) = &identity.matches {
            check_token(&format!("{at}.identities[{index}].match.header"), Some(name))?;
        }
    }
    Ok(())
}
