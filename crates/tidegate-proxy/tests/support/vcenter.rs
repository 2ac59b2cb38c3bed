//! A vCenter of the tests: sessions with cookies that differ from their keys, objects that belong to one session, and a
//! list of all that was asked.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::{Gated, Peer, length, plan};

const S: u64 = 1_000_000_000;

/// A plan with one vCenter behind a broker.
pub fn vcenter_plan(server: SocketAddr, limit: u32) -> Value {
    let mut plan = plan(server, limit);
    plan["services"][0]["protocol"] = json!({
        "kind": "vcenter",
        "operations": {"Login": {"role": "open", "cost_milli": 1000}, "WaitForUpdatesEx": {"role": "poll", "cost_milli": 10}},
        "default": {"role": "call", "cost_milli": 100},
        "broker": {
            "clones_max": 8, "sessions_max": 100, "sessions_per_principal_max": 50, "own_max": 10, "principals_max": 10,
            "waiting_max": 100, "wait_max_ns": 10 * S, "idle_ns": 1800 * S, "life_ns": 72_000 * S, "verify_ns": 900 * S,
            "keepalive_ns": 600 * S,
        },
        "tasks": {
            "token_life_ns": 300 * S, "start": 32, "most": 640, "leases_max": 52, "leases_per_host_max": 48,
            "snapshots_per_datastore_max": 4, "lease_timeout_ns": 300 * S, "wait_max_ns": 60 * S, "waiting_max": 2000,
            "work_max_ns": 7200 * S, "hold_us": 20_000, "halve_us": 25_000,
        },
        "principals": [], "long_polls_max": 2, "long_poll_max_ns": 60 * S,
    });
    plan
}

/// A session there.
#[derive(Clone, Default)]
pub struct Session {
    pub key: String,
    pub user: String,
    pub objects: BTreeSet<String>,
}

/// One request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub line: String,
    pub operation: String,
    pub cookie: String,
    pub head: String,
    pub body: String,
}

#[derive(Default)]
pub struct State {
    pub sessions: BTreeMap<String, Session>,
    tickets: BTreeMap<String, Session>,
    /// Sessions of REST.
    pub apis: BTreeSet<String>,
    pub asked: Vec<Asked>,
    made: u64,
    /// Dead sessions are told as an inventory that is empty.
    pub empty_inventory: bool,
    /// Answers come in pages.
    pub paging: bool,
    /// Pages that were not read, by session and token.
    pages: BTreeSet<(String, String)>,
    /// Tasks by name, with their state and what they work on.
    pub tasks: BTreeMap<String, (&'static str, String)>,
}

/// The server.
#[derive(Clone)]
pub struct Vcenter {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// Ends the waits for updates.
    pub updates: Arc<Notify>,
    /// While it is held, logins and logouts wait.
    pub gate: Arc<tokio::sync::RwLock<()>>,
}

impl Vcenter {
    pub async fn start() -> Vcenter {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let vcenter = Vcenter { address, state: Arc::default(), updates: Arc::default(), gate: Arc::default() };
        let serving = vcenter.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let vcenter = serving.clone();
                tokio::spawn(async move { vcenter.serve(Peer { tcp, buf: Vec::new() }).await });
            }
        });
        vcenter
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often this operation came.
    pub fn count(&self, operation: &str) -> usize {
        self.state().asked.iter().filter(|asked| asked.operation == operation).count()
    }

    /// How often a request whose line begins so came.
    pub fn lines(&self, start: &str) -> usize {
        self.state().asked.iter().filter(|asked| asked.line.starts_with(start)).count()
    }

    /// The last request for this operation.
    pub fn last(&self, operation: &str) -> Asked {
        let state = self.state();
        state.asked.iter().rev().find(|asked| asked.operation == operation).expect("it was asked").clone()
    }

    /// All tasks are like this now.
    pub fn tasks_are(&self, how: &'static str) {
        self.state().tasks.values_mut().for_each(|task| task.0 = how);
    }

    /// Forgets all sessions.
    pub fn forget(&self) {
        self.state().sessions.clear();
    }

    async fn serve(&self, mut peer: Peer) {
        while let Some(head) = peer.head().await {
            let body = match head.contains("Transfer-Encoding: chunked") {
                true => chunks(&mut peer).await,
                false => peer.try_exactly(length(&head)).await,
            };
            let Some(body) = body else { return };
            let body = String::from_utf8_lossy(&body).into_owned();
            let asked = Asked {
                line: head.lines().next().unwrap_or_default().to_string(),
                operation: operation(&body),
                cookie: cookie(&head),
                head: head.clone(),
                body: body.clone(),
            };
            self.state().asked.push(asked.clone());
            if ["Login", "Logout"].contains(&asked.operation.as_str()) || asked.line.starts_with("POST /api/session") {
                drop(self.gate.read().await);
            }
            if asked.operation.starts_with("WaitForUpdates") {
                self.updates.notified().await;
            }
            let (status, set, answer) = self.answer(&asked);
            let set = set.map(|c| format!("Set-Cookie: vmware_soap_session=\"{c}\"; Path=/; HttpOnly; Secure;\r\n"));
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Type: text/xml\r\n{}Content-Length: {}\r\n\r\n",
                set.unwrap_or_default(),
                answer.len()
            );
            peer.send(head + &answer).await;
        }
    }

    fn answer(&self, asked: &Asked) -> (u16, Option<String>, String) {
        let mut guard = self.state();
        let state = &mut *guard;
        if asked.line.starts_with("POST /api/session") {
            state.made += 1;
            let token = format!("api-{}", state.made);
            state.apis.insert(token.clone());
            return (201, None, format!("\"{token}\""));
        }
        if let Some((_, rest)) = asked.head.split_once("vmware-api-session-id: ") {
            let alive = state.apis.contains(rest.lines().next().unwrap_or_default());
            return match (alive, asked.line.contains("/sdk/vim25/")) {
                (true, _) => (200, None, "plain".into()),
                (false, true) => (500, None, r#"{"_typeName":"NotAuthenticated","privilegeId":"System.View"}"#.into()),
                (false, false) => (401, None, "{}".into()),
            };
        }
        if asked.operation.is_empty() {
            return (200, None, "plain".into());
        }
        let (body, name) = (asked.body.as_str(), asked.operation.as_str());
        let session = state.sessions.get(&asked.cookie).cloned();
        state.made += 1;
        let number = state.made;
        match name {
            "Login" | "LoginByToken" => {
                if name == "Login" && text(body, "password") != "secret" {
                    return (500, Some(hex(number)), fault("InvalidLogin", ""));
                }
                let user = text(body, if name == "Login" { "userName" } else { "subject" });
                let new = Session { key: key(number), user, objects: BTreeSet::new() };
                let told = envelope(&format!("<{name}Response xmlns=\"urn:vim25\">{}</{name}Response>", told(&new)));
                state.sessions.insert(hex(number), new);
                return (200, Some(hex(number)), told);
            }
            "CloneSession" => {
                let Some(of) = state.tickets.remove(&text(body, "cloneTicket")) else {
                    return (500, None, fault("InvalidLogin", ""));
                };
                let new = Session { key: key(number), user: of.user, objects: BTreeSet::new() };
                let told = envelope(&format!(
                    "<CloneSessionResponse xmlns=\"urn:vim25\">{}</CloneSessionResponse>",
                    told(&new)
                ));
                state.sessions.insert(hex(number), new);
                return (200, Some(hex(number)), told);
            }
            "RetrieveServiceContent" => return (200, None, done(name, "<returnval><about/></returnval>")),
            _ => {}
        }
        let Some(session) = session else {
            if state.empty_inventory && name.starts_with("RetrieveProperties") {
                let missing = "<returnval><objects><obj type=\"Folder\">group-d1</obj><missingSet><path>name</path><fault>\
                    <fault xsi:type=\"NotAuthenticated\"><object type=\"Folder\">group-d1</object>\
                    <privilegeId>System.View</privilegeId></fault><localizedMessage/></fault></missingSet></objects></returnval>";
                return (200, None, done(name, missing));
            }
            return (500, None, fault("NotAuthenticated", "System.View"));
        };
        let foreign = refs(body).into_iter().find(|object| !session.objects.contains(object));
        if let Some(foreign) = foreign {
            let detail = format!("<obj type=\"View\">{foreign}</obj>");
            return (500, None, fault("ManagedObjectNotFound", &detail));
        }
        match name {
            "AcquireCloneTicket" => {
                let ticket = format!("cst-VCT-{number}");
                state.tickets.insert(ticket.clone(), session);
                (200, None, done(name, &format!("<returnval>{ticket}</returnval>")))
            }
            "Logout" => {
                state.sessions.remove(&asked.cookie);
                (200, None, done(name, ""))
            }
            "ContinueRetrievePropertiesEx" | "CancelRetrievePropertiesEx" => {
                let known = state.pages.remove(&(asked.cookie.clone(), text(body, "token")));
                if known { (200, None, done(name, "<returnval/>")) } else { (500, None, fault("InvalidArgument", "")) }
            }
            "RetrievePropertiesEx" if state.paging => {
                let token = format!("page-{number}");
                let told = done(name, &format!("<returnval><token>{token}</token></returnval>"));
                state.pages.insert((asked.cookie.clone(), token));
                (200, None, told)
            }
            "RetrievePropertiesEx" if body.contains("<type>Task</type>") => {
                let objects = state.tasks.iter().filter(|(task, _)| body.contains(&format!(">{task}<")));
                let objects: String = objects.map(|(task, (how, on))| told_task(task, how, on)).collect();
                (200, None, done(name, &format!("<returnval>{objects}</returnval>")))
            }
            _ if name.ends_with("_Task") => {
                let task = format!("task-{number}");
                let on = if name == "RemoveSnapshot_Task" { "vm-1".to_string() } else { text_of(body, "_this") };
                state.tasks.insert(task.clone(), ("running", on));
                (200, None, done(name, &format!("<returnval type=\"Task\">{task}</returnval>")))
            }
            _ if name == "ExportVm" || name.starts_with("Create") => {
                let (kind, id) = match name.strip_prefix("Create") {
                    Some(kind) => (kind, format!("5286fa88-0000-0000-0000-{number:012}")),
                    None => ("HttpNfcLease", format!("lease-{number}")),
                };
                let object = format!("session[{}]{id}", session.key);
                let answer = done(name, &format!("<returnval type=\"{kind}\">{object}</returnval>"));
                state.sessions.entry(asked.cookie.clone()).and_modify(|session| {
                    session.objects.insert(object);
                });
                (200, None, answer)
            }
            _ if name.starts_with("Destroy") => {
                let this = refs(body).first().cloned().unwrap_or_default();
                state.sessions.entry(asked.cookie.clone()).and_modify(|session| {
                    session.objects.remove(&this);
                });
                (200, None, done(name, ""))
            }
            _ => (200, None, done(name, &format!("<returnval>of {}</returnval>", session.key))),
        }
    }
}

/// A body that comes in chunks.
async fn chunks(peer: &mut Peer) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = usize::from_str_radix(&peer.line().await?, 16).expect("a size");
        body.extend(peer.try_exactly(size).await?);
        assert_eq!(peer.line().await.as_deref(), Some(""), "what ends a chunk");
        if size == 0 {
            return Some(body);
        }
    }
}

fn hex(number: u64) -> String {
    format!("{number:040x}")
}

fn key(number: u64) -> String {
    format!("52bb85b0-adbe-7f20-156d-{number:012x}")
}

fn cookie(head: &str) -> String {
    let line = head.lines().find_map(|line| line.strip_prefix("Cookie: ")).unwrap_or_default();
    let value = line.split("vmware_soap_session=").nth(1).unwrap_or_default();
    value.trim_start_matches('"').split(['"', ';']).next().unwrap_or_default().to_string()
}

/// The first element of the body.
fn operation(body: &str) -> String {
    let Some((_, rest)) = body.split_once("Body>") else { return String::new() };
    let name: String = rest
        .trim_start()
        .trim_start_matches('<')
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "_:".contains(*c))
        .collect();
    name.rsplit(':').next().unwrap_or_default().to_string()
}

/// The text of the first element called `name`.
pub fn text(body: &str, name: &str) -> String {
    let rest = body.split_once(&format!("<{name}>")).map(|(_, rest)| rest).unwrap_or_default();
    rest.split('<').next().unwrap_or_default().to_string()
}

/// The text of the first element called `name`, whatever its attributes.
pub fn text_of(body: &str, name: &str) -> String {
    let rest = body.split_once(&format!("<{name}")).and_then(|(_, rest)| rest.split_once('>'));
    rest.map(|(_, rest)| rest).unwrap_or_default().split('<').next().unwrap_or_default().to_string()
}

fn told_task(task: &str, how: &str, on: &str) -> String {
    format!(
        "<objects><obj type=\"Task\">{task}</obj><propSet><name>info.entity</name><val type=\"VirtualMachine\" \
         xsi:type=\"ManagedObjectReference\">{on}</val></propSet><propSet><name>info.state</name>\
         <val xsi:type=\"TaskInfoState\">{how}</val></propSet></objects>"
    )
}

/// All names of objects of a session.
pub fn refs(body: &str) -> Vec<String> {
    let parts = body.split(">session[").skip(1);
    parts.filter_map(|part| part.split('<').next()).map(|name| format!("session[{name}")).collect()
}

fn told(session: &Session) -> String {
    format!(
        "<returnval><key>{}</key><userName>{}</userName><fullName>{}</fullName><loginTime>2026-11-25T18:00:00Z</loginTime>\
         <lastActiveTime>2026-11-25T18:00:00Z</lastActiveTime><locale>en</locale><messageLocale>en</messageLocale>\
         <extensionSession>false</extensionSession><ipAddress>127.0.0.1</ipAddress><userAgent/><callCount>0</callCount></returnval>",
        session.key, session.user, session.user
    )
}

fn envelope(inner: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>\
         {inner}</soapenv:Body></soapenv:Envelope>"
    )
}

fn done(name: &str, inner: &str) -> String {
    envelope(&format!("<{name}Response xmlns=\"urn:vim25\">{inner}</{name}Response>"))
}

fn fault(name: &str, detail: &str) -> String {
    let detail = match name {
        "NotAuthenticated" => format!("<object type=\"Folder\">group-d1</object><privilegeId>{detail}</privilegeId>"),
        _ => detail.to_string(),
    };
    envelope(&format!(
        "<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>no</faultstring><detail><{name}Fault \
         xmlns=\"urn:vim25\" xsi:type=\"{name}\">{detail}</{name}Fault></detail></soapenv:Fault>"
    ))
}

/// A client that logs in and keeps its cookie.
pub struct Client {
    pub peer: Peer,
    pub cookie: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Client {
    pub async fn connect(gated: &Gated) -> Client {
        Client::at(gated.address).await
    }

    pub async fn at(address: SocketAddr) -> Client {
        Client { peer: Peer::connect(address).await, cookie: None }
    }

    /// Connects and logs in.
    pub async fn login(gated: &Gated, user: &str) -> Client {
        let mut client = Client::connect(gated).await;
        let answer = client.log_in(user, "secret").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        client
    }

    pub async fn log_in(&mut self, user: &str, password: &str) -> Answer {
        let inner = format!("<userName>{user}</userName><password>{password}</password>");
        let answer = self.call("Login", "SessionManager", "SessionManager", &inner).await;
        if let Some((_, rest)) = answer.head.split_once("Set-Cookie: vmware_soap_session=\"") {
            self.cookie = rest.split('"').next().map(str::to_string);
        }
        answer
    }

    pub async fn call(&mut self, operation: &str, kind: &str, this: &str, inner: &str) -> Answer {
        self.send(operation, kind, this, inner).await;
        self.answer().await
    }

    pub async fn send(&mut self, operation: &str, kind: &str, this: &str, inner: &str) {
        let body = request(operation, kind, this, inner);
        self.post("/sdk", &body).await;
    }

    pub async fn post(&mut self, path: &str, body: &str) {
        let cookie =
            self.cookie.as_ref().map(|c| format!("Cookie: vmware_soap_session=\"{c}\"\r\n")).unwrap_or_default();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: vc\r\nContent-Type: text/xml\r\nSOAPAction: \"urn:vim25/8.0.2.0\"\r\n{cookie}\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.peer.send(head + body).await;
    }

    /// As [`Client::post`], in chunks.
    pub async fn post_in_chunks(&mut self, path: &str, body: &str) {
        let cookie = self.cookie.as_ref().expect("a cookie");
        self.peer
            .send(format!(
                "POST {path} HTTP/1.1\r\nHost: vc\r\nContent-Type: text/xml\r\nCookie: vmware_soap_session=\"{cookie}\"\r\n\
                 Transfer-Encoding: chunked\r\n\r\n"
            ))
            .await;
        for chunk in body.as_bytes().chunks(5000) {
            self.peer.send([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()).await;
        }
        self.peer.send("0\r\n\r\n").await;
    }

    pub async fn answer(&mut self) -> Answer {
        let (head, body) = self.peer.answer().await;
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        Answer { status, head, body }
    }

    /// A read that any session can do.
    pub async fn read(&mut self) -> Answer {
        self.call("RetrievePropertiesEx", "PropertyCollector", "propertyCollector", SPEC).await
    }

    /// A read by REST or VI/JSON, with the token of a client.
    pub async fn get(&mut self, path: &str, token: &str) -> Answer {
        self.peer.send(format!("GET {path} HTTP/1.1\r\nHost: vc\r\nvmware-api-session-id: {token}\r\n\r\n")).await;
        self.answer().await
    }

    /// Makes a view; its name.
    pub async fn view(&mut self) -> String {
        let inner =
            "<container type=\"Folder\">group-d1</container><type>VirtualMachine</type><recursive>true</recursive>";
        let answer = self.call("CreateContainerView", "ViewManager", "ViewManager", inner).await;
        refs(&answer.body).first().cloned().unwrap_or_else(|| panic!("no view: {answer:?}"))
    }

    /// Reads through a view.
    pub async fn read_view(&mut self, view: &str) -> Answer {
        let inner =
            format!("<specSet><objectSet><obj type=\"ContainerView\">{view}</obj></objectSet></specSet><options/>");
        self.call("RetrievePropertiesEx", "PropertyCollector", "propertyCollector", &inner).await
    }
}

const SPEC: &str = "<specSet><propSet><type>Folder</type><pathSet>name</pathSet></propSet><objectSet><obj type=\"Folder\">group-d1\
    </obj></objectSet></specSet><options/>";

/// A request of vim25.
pub fn request(operation: &str, kind: &str, this: &str, inner: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n<soapenv:Body>\
         <{operation} xmlns=\"urn:vim25\"><_this type=\"{kind}\">{this}</_this>{inner}</{operation}></soapenv:Body>\
         </soapenv:Envelope>"
    )
}
