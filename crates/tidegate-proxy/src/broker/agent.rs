//! What the broker wants done in the background: sessions ended and kept alive, objects of clients that left destroyed.
//! One thing at a time, and each through admission like any call.

use super::table::{Remains, Tables, Up};
use super::upstream;
use super::{Handle, Word};
use crate::call::connect;
use crate::clock;
use crate::explain::{ClientName, Label, Record};
use crate::home::Home;
use crate::pool::{Server, ServerConn};
use crate::service::{Decision, Ticket};
use crate::setup::Setup;
use crate::stats::Connects;
use crate::vcenter::{Ref, answer, write};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use tidegate_core::admission::{Arrival, ClientKey, KindKey, OperationKey, Role};
use tidegate_core::reason::{End, Step, Who};
use tidegate_core::session::broker::{Event, Holds, Kind, Make, Need, PrincipalKey, UpId};
use zeroize::Zeroizing;

/// Most things that wait to be done. What does not fit is left to the vCenter's own idle timeout.
const JOBS_MAX: usize = 4096;
/// Expected work of one, in thousandths of a session open.
const COST_MILLI: u32 = 100;

/// Something to do.
pub(super) enum Job {
    End(Box<Up>),
    KeepAlive(UpId),
    DestroyCollector(UpId, String),
    DestroyView(UpId, Ref),
}

/// What waits to be done.
#[derive(Default)]
pub(super) struct Jobs {
    queue: VecDeque<Job>,
    /// What did not fit.
    pub(super) dropped: u64,
}

impl Jobs {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn push(&mut self, job: Job) {
        if self.queue.len() < JOBS_MAX { self.queue.push_back(job) } else { self.dropped += 1 }
    }

    pub(super) fn end(&mut self, up: Option<Up>) {
        up.into_iter().for_each(|up| self.push(Job::End(Box::new(up))));
    }

    pub(super) fn keep_alive(&mut self, up: UpId) {
        self.push(Job::KeepAlive(up));
    }

    pub(super) fn clean(&mut self, remains: Vec<Remains>) {
        for Remains { up, collectors, views } in remains {
            collectors.into_iter().for_each(|collector| self.push(Job::DestroyCollector(up, collector)));
            views.into_iter().for_each(|view| self.push(Job::DestroyView(up, view)));
        }
    }
}

impl Handle {
    /// Cleans up what a client has left.
    pub(crate) fn clean(&self, remains: Vec<Remains>) {
        let mut inner = self.inner();
        inner.jobs.clean(remains);
        self.leave(inner);
    }

    /// What is to be done yet in the background.
    pub(crate) fn jobs(&self) -> u64 {
        self.inner().jobs.queue.len() as u64
    }

    fn next_job(&self) -> Option<Job> {
        self.inner().jobs.queue.pop_front()
    }
}

/// Starts the agent of `handle`, unless it runs.
pub(crate) fn ensure(home: &Rc<Home>, handle: &Arc<Handle>) {
    if !handle.running.swap(true, Ordering::Relaxed) {
        tokio::task::spawn_local(handle.clone().run_timer());
        tokio::task::spawn_local(run(home.clone(), handle.clone()));
    }
}

async fn run(home: Rc<Home>, handle: Arc<Handle>) {
    while !handle.is_over() {
        home.service.stats.open_requests.add(1);
        let job = handle.next_job();
        let did = job.is_some();
        if let Some(job) = job {
            work(&home, &handle, job).await;
        }
        home.service.stats.open_requests.sub(1);
        if !did {
            handle.agent.notified().await;
        }
    }
    handle.timer.notify_one();
}

async fn work(home: &Rc<Home>, handle: &Handle, job: Job) {
    let cookie = |up: &UpId| handle.tables(|tables| tables.ups.get(up).map(|up| up.cookie.clone()));
    let (ask, name, known) = match &job {
        Job::End(up) => {
            if let Some(api) = &up.api {
                let end = |host: &str| upstream::api_session("DELETE", host, api);
                let _ended_or_idle_soon = send(home, "DELETE /api/session", &end).await;
            }
            (write::logout(), "Logout", Some(up.cookie.clone()))
        }
        Job::KeepAlive(up) => {
            if let Some(api) = handle.tables(|tables| tables.ups.get(up).and_then(|up| up.by_header().cloned())) {
                // What it is worth shows where its client uses it.
                let ask = |host: &str| upstream::api_session("GET", host, &api);
                let _alive = send(home, "GET /api/session", &ask).await;
                return;
            }
            (write::current_time(), "CurrentTime", cookie(up))
        }
        Job::DestroyCollector(up, id) => {
            (write::destroy_property_collector(id), "DestroyPropertyCollector", cookie(up))
        }
        Job::DestroyView(up, view) => (write::destroy_view(view), "DestroyView", cookie(up)),
    };
    let Some(cookie) = known else { return };
    let request = |host: &str| upstream::request(host, Some(&cookie), &ask);
    let Some((said, _)) = send(home, name, &request).await else { return };
    if let Job::KeepAlive(up) = job
        && matches!(answer::judge(said.status, &said.body), answer::Judged::OwnSessionDead)
    {
        handle.dead(up);
    }
}

/// Asks a property collector with a session of this principal, and says with which; `None`: there is none, or no answer.
/// `ask`: the request, for the collector with this id.
pub(crate) async fn ask_for(
    home: &Rc<Home>,
    handle: &Handle,
    principal: PrincipalKey,
    ask: impl Fn(&str) -> write::Ask,
) -> Option<(UpId, upstream::Said)> {
    let stands = || {
        handle.tables(|tables| {
            let own = tables.ups.iter().filter(|(_, up)| up.principal == principal && up.kind != Kind::Own);
            // The shared one first, and of its kind the newest: an older one may be about to end.
            let (id, up) = own.max_by_key(|(id, up)| (up.kind == Kind::Shared, **id))?;
            // Clients have collectors of their own on a shared session; on a clone the common one is its client's.
            let shared = up.kind == Kind::Shared;
            let collector = if shared { Some("propertyCollector") } else { up.collectors.first().map(String::as_str) };
            Some((*id, up.cookie.clone(), collector.map(str::to_string)))
        })
    };
    if stands().is_none() {
        again(home, handle, principal).await;
    }
    let (up, cookie, collector) = stands()?;
    let collector = match collector {
        Some(collector) => collector,
        None => {
            let make = write::create_property_collector();
            let request = |host: &str| upstream::request(host, Some(&cookie), &make);
            let (said, _) = send(home, "CreatePropertyCollector", &request).await?;
            let made = answer::returned_ref(&said.body)?.id;
            handle.tables(|t| t.ups.get_mut(&up).into_iter().for_each(|up| up.collectors.push(made.clone())));
            made
        }
    };
    let ask = ask(&collector);
    let request = |host: &str| upstream::request(host, Some(&cookie), &ask);
    send(home, "RetrievePropertiesEx", &request).await.map(|(said, _)| (up, said))
}

/// Makes the shared session of this principal again, in the name of one of its clients: those may all wait for what is
/// asked with it.
async fn again(home: &Rc<Home>, handle: &Handle, principal: PrincipalKey) {
    let of = |tables: &mut Tables| {
        let mut downs = tables.downs.iter().filter(|(_, down)| down.principal == principal);
        downs.next().map(|(id, _)| *id)
    };
    let Some(down) = handle.tables(of) else { return };
    let mut ask = handle.ask(|ask| Event::Use { ask, down, need: Need::Shared });
    if let Word::Lend { make: Some(Make::Login), .. } = poll_fn(|cx| ask.poll(cx)).await
        && let Some(login) = handle.login_again(principal)
        && let Some((said, server)) = send(home, "Login", &|host: &str| upstream::request(host, None, &login)).await
    {
        let _or_whoever_needs_it_next = handle.established(&mut ask, principal, &said, server);
    }
    ask.done(Holds::Unchanged);
}

/// A request, for a server by its name.
type Request<'r> = &'r dyn Fn(&str) -> Zeroizing<Vec<u8>>;

/// An answer, and whose it is.
type Heard = (upstream::Said, Arc<Server>);

/// Sends one request of the gate's own; `None`: it could not, or there was no answer.
async fn send(home: &Rc<Home>, name: &str, request: Request<'_>) -> Option<Heard> {
    match home.service.stopping() {
        true => send_at_last(home, request).await,
        false => send_admitted(home, name, request).await,
    }
}

/// When the machine admits nothing any more: sessions are ended all the same.
async fn send_at_last(home: &Rc<Home>, request: Request<'_>) -> Option<Heard> {
    let setup = home.service.setup();
    let limit = clock::duration(setup.io.connect_timeout);
    for server in &setup.servers {
        let sending = async {
            let mut conn = reach(home, &setup, server, None).await.ok()?;
            upstream::ask(None, &mut conn, &request(server.host())).await.0.ok()
        };
        if let Ok(Some(said)) = tokio::time::timeout(limit, sending).await {
            return Some((said, server.clone()));
        }
    }
    None
}

/// When the machine lets it.
async fn send_admitted(home: &Rc<Home>, name: &str, request: Request<'_>) -> Option<Heard> {
    let setup = home.service.setup();
    let label = Label::new(&[b"(gate) ", name.as_bytes()]);
    let arrival = Arrival {
        client: ClientKey(setup.hash(b'g', b"broker")),
        kind: KindKey::default(),
        role: Role::Call,
        operation: OperationKey::listed(&[name.as_bytes()]),
        session: None,
        server: None,
        cost_milli: COST_MILLI,
        deadline: None,
        token_expiry: None,
        honours_retry_after: true,
        reserved: false,
    };
    let record = |call, at| Record::new(Some(call), at, ClientName::Text("tidegate".into()), label, arrival.role);
    let (ticket, mut decision) = poll_fn(|cx| Poll::Ready(home.service.arrive(arrival, record, cx))).await;
    let end = |who, step| End { who, step };
    loop {
        decision = match decision {
            Decision::Admit(server) => match reach(home, &setup, &server, Some(&ticket)).await {
                Ok(mut conn) => {
                    let request = request(server.host());
                    let (said, again) = upstream::ask(Some(&ticket), &mut conn, &request).await;
                    if again {
                        conn.give_back(home.timers.now())
                    } else {
                        drop(conn)
                    }
                    upstream::finish(ticket, said.as_ref().map_err(|failed| *failed));
                    return said.ok().map(|said| (said, server));
                }
                Err(why) => ticket.not_dialled(why),
            },
            Decision::Hold => poll_fn(|_| ticket.poll_mail()).await,
            Decision::TurnAway { .. } | Decision::Expire => {
                ticket.close(end(Who::Gate, Step::Queue), 0);
                return None;
            }
        };
    }
}

async fn reach(
    home: &Rc<Home>,
    setup: &Setup,
    server: &Arc<Server>,
    ticket: Option<&Ticket>,
) -> Result<ServerConn, crate::dial::NotDialled> {
    let nobody = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    if setup.plan.pool_scope == crate::plan::PoolScope::Service
        && let Ok(idle) = server.check_out(&server.key(nobody), home.timers.now(), false)
    {
        return Ok(idle);
    }
    let made = connect::make(home.clone(), server.clone(), nobody, Some(nobody), Connects::NoneIdle).await?;
    ticket.into_iter().for_each(|ticket| ticket.connected(Some(Connects::NoneIdle)));
    Ok(made)
}
