//! What belongs to the broker's numbers: cookies and passwords of the gate, sessions of clients, and who made what.

use super::secret::Digest;
use crate::clock;
use crate::pool::Server;
use crate::vcenter::Ref;
use crate::vcenter::write::UserSession;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_core::session::broker::{DownId, Kind, PrincipalKey, UpId};
use tidegate_core::time::Nanos;
use zeroize::Zeroizing;

/// Most views of one client that can be made again; more are made on a clone, and stay there.
const VIEWS_MAX: usize = 64;
/// Most bytes of the requests that made them.
const VIEW_BYTES_MAX: usize = 4 << 10;
/// Most other objects of one client that are told apart.
const HELD_MAX: usize = 256;
/// Most pages of one client that are known; of one more the oldest is forgotten.
const PAGES_MAX: usize = 64;
/// Free collectors that are kept for the next clients of a shared session.
const COLLECTORS_KEPT: usize = 64;

/// A session at the vCenter.
pub(crate) struct Up {
    pub(crate) kind: Kind,
    pub(crate) principal: PrincipalKey,
    /// Opens it. Goes to its vCenter and nowhere else.
    pub(crate) cookie: Zeroizing<String>,
    /// The same for REST, once it was needed.
    pub(crate) api: Option<Zeroizing<String>>,
    /// As the vCenter tells of it.
    pub(crate) session: UserSession,
    /// Where it lives.
    pub(crate) server: Arc<Server>,
    /// Collectors on it that nobody has now.
    pub(crate) collectors: Vec<String>,
    /// Whose turn it is to log in by REST: one does, for all.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
}

impl Up {
    pub(crate) fn new(
        kind: Kind,
        principal: PrincipalKey,
        cookie: Zeroizing<String>,
        session: UserSession,
        server: Arc<Server>,
    ) -> Up {
        Up { kind, principal, cookie, api: None, session, server, collectors: Vec::new(), turn: Arc::default() }
    }

    /// Its token for REST, if it was opened by REST or VI/JSON alone: of such a one SOAP need not know.
    pub(crate) fn by_header(&self) -> Option<&Zeroizing<String>> {
        self.api.as_ref().filter(|_| self.kind == Kind::Own && self.session.key.is_empty())
    }
}

/// A view of a client.
#[derive(Clone)]
pub(crate) struct View {
    /// The request that made it.
    pub(crate) body: Arc<[u8]>,
    /// Where it is now, and what it is called there.
    pub(crate) up: UpId,
    pub(crate) there: Ref,
}

/// A client's session.
pub(crate) struct Down {
    pub(crate) principal: PrincipalKey,
    /// As it is told to the client.
    pub(crate) session: UserSession,
    pub(crate) peer: IpAddr,
    digest: Digest,
    /// Its own collector on a shared session, in place of the one that all have.
    pub(crate) collector: Option<(UpId, String)>,
    /// By the name that the client knows.
    views: BTreeMap<String, View>,
    /// Everything else, and on what it was made.
    held: BTreeMap<String, String>,
    /// Pages that it may still read: their tokens, and where they are. The newest is the last.
    pages: Vec<(String, UpId)>,
    /// It has more than can be followed.
    more: bool,
}

/// A principal.
pub(crate) struct Principal {
    pub(crate) user: Arc<str>,
    pub(crate) locale: Option<String>,
    pub(crate) password: Option<Zeroizing<String>>,
    pub(crate) verified: Nanos,
}

/// What a client that left has on a shared session.
pub(crate) struct Remains {
    pub(crate) up: UpId,
    pub(crate) collectors: Vec<String>,
    pub(crate) views: Vec<Ref>,
}

/// Whose an object of a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This client's, and a view, which may be elsewhere.
    View,
    /// This client's.
    Mine,
    /// Another client's.
    Another,
    /// Nobody's who is known here.
    Nobody,
}

/// All of it.
#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) ups: HashMap<UpId, Up>,
    pub(crate) downs: BTreeMap<DownId, Down>,
    pub(crate) principals: HashMap<PrincipalKey, Principal>,
    tokens: HashMap<Digest, DownId>,
    owners: HashMap<String, DownId>,
}

impl Tables {
    /// The client session with this token.
    pub(crate) fn down_of(&self, token: &Digest) -> Option<DownId> {
        self.tokens.get(token).copied()
    }

    /// Whose session it is.
    pub(crate) fn user_of(&self, down: DownId) -> Option<Arc<str>> {
        let principal = self.downs.get(&down)?.principal;
        self.principals.get(&principal).map(|known| known.user.clone())
    }

    /// The client session with this key.
    pub(crate) fn down_with(&self, key: &str) -> Option<DownId> {
        self.downs.iter().find(|(_, down)| down.session.key == key).map(|(id, _)| *id)
    }

    /// Whether these clients are one user: of the same principal, and by the vCenter's own word. Logins without a password
    /// are of one principal until it is known whose they are.
    pub(crate) fn mates(&self, one: DownId, other: DownId) -> bool {
        let (Some(a), Some(b)) = (self.downs.get(&one), self.downs.get(&other)) else { return false };
        let (a_user, b_user) = (&a.session.user_name, &b.session.user_name);
        one == other || a.principal == b.principal && a_user == b_user && !a_user.is_empty()
    }

    /// A session at the vCenter stands, and `login` is who it is. `password`: what opened it.
    pub(crate) fn stands(&mut self, id: UpId, up: Up, user: &str, login: Option<(Zeroizing<String>, Option<String>)>) {
        let now = clock::now();
        let entry = self.principals.entry(up.principal).or_insert_with(|| Principal {
            user: user.into(),
            locale: None,
            password: None,
            verified: now,
        });
        if let Some((password, locale)) = login {
            (entry.password, entry.locale, entry.verified) = (Some(password), locale, now);
        }
        self.ups.insert(id, up);
    }

    /// A client's session begins.
    pub(crate) fn open(
        &mut self,
        id: DownId,
        digest: Digest,
        principal: PrincipalKey,
        session: UserSession,
        peer: IpAddr,
    ) {
        self.tokens.insert(digest, id);
        let (collector, views, held) = (None, BTreeMap::new(), BTreeMap::new());
        self.downs.insert(
            id,
            Down { principal, session, peer, digest, collector, views, held, pages: Vec::new(), more: false },
        );
    }

    /// It is over.
    pub(crate) fn forget_down(&mut self, id: DownId) -> Vec<Remains> {
        let Some(down) = self.downs.remove(&id) else { return Vec::new() };
        self.tokens.remove(&down.digest);
        down.views.keys().chain(down.held.keys()).for_each(|name| {
            self.owners.remove(name);
        });
        let mut remains: Vec<Remains> = Vec::new();
        for view in down.views.into_values() {
            Self::remain(&mut remains, view.up).views.push(view.there);
        }
        if let Some((up, collector)) = down.collector {
            Self::remain(&mut remains, up).collectors.push(collector);
        }
        remains.retain_mut(|remains| match self.ups.get_mut(&remains.up) {
            Some(up) if up.kind == Kind::Shared => {
                let room = COLLECTORS_KEPT.saturating_sub(up.collectors.len());
                up.collectors.extend(remains.collectors.drain(..room.min(remains.collectors.len())));
                !(remains.collectors.is_empty() && remains.views.is_empty())
            }
            _ => false, // a clone is given back clean or ended
        });
        self.forget_principal(down.principal);
        remains
    }

    fn remain(all: &mut Vec<Remains>, up: UpId) -> &mut Remains {
        let at = all.iter().position(|remains| remains.up == up).unwrap_or(all.len());
        if at == all.len() {
            all.push(Remains { up, collectors: Vec::new(), views: Vec::new() });
        }
        &mut all[at]
    }

    /// A session at the vCenter is over, or will be ended: its cookie goes to whoever ends it.
    pub(crate) fn forget_up(&mut self, id: UpId) -> Option<Up> {
        let up = self.ups.remove(&id)?;
        self.forget_principal(up.principal);
        Some(up)
    }

    /// The password of a principal is overwritten with zeros.
    pub(crate) fn forget_password(&mut self, principal: PrincipalKey) {
        self.principals.get_mut(&principal).into_iter().for_each(|known| known.password = None);
        self.forget_principal(principal);
    }

    /// A principal without sessions is forgotten.
    fn forget_principal(&mut self, principal: PrincipalKey) {
        let lives = self.ups.values().any(|up| up.principal == principal)
            || self.downs.values().any(|down| down.principal == principal);
        if !lives {
            self.principals.remove(&principal);
        }
    }

    /// Whose the object called `name` is.
    pub(crate) fn owner(&self, down: DownId, name: &str) -> Owner {
        match self.owners.get(name) {
            None => Owner::Nobody,
            Some(owner) if *owner != down => Owner::Another,
            Some(_) => {
                let view = self.downs.get(&down).is_some_and(|down| down.views.contains_key(name));
                if view { Owner::View } else { Owner::Mine }
            }
        }
    }

    /// A view of a client.
    pub(crate) fn view(&self, down: DownId, name: &str) -> Option<&View> {
        self.downs.get(&down)?.views.get(name)
    }

    /// Whether one more view of a client, made by a request of so many bytes, can be made again elsewhere.
    pub(crate) fn follows_view(&self, id: DownId, length: usize) -> bool {
        length <= VIEW_BYTES_MAX && self.downs.get(&id).is_some_and(|down| down.views.len() < VIEWS_MAX)
    }

    /// A client has made a view with this request; false when it has too many already to follow.
    pub(crate) fn made_view(&mut self, id: DownId, up: UpId, made: &Ref, body: &[u8]) -> bool {
        if !self.follows_view(id, body.len()) {
            return false;
        }
        let Some(down) = self.downs.get_mut(&id) else { return false };
        self.owners.insert(made.id.clone(), id);
        down.views.insert(made.id.clone(), View { body: body.into(), up, there: made.clone() });
        true
    }

    /// A view was made again elsewhere; what is left of it where it was.
    pub(crate) fn moved_view(&mut self, id: DownId, name: &str, up: UpId, there: Ref) -> Option<Remains> {
        let view = self.downs.get_mut(&id)?.views.get_mut(name)?;
        let before = std::mem::replace(&mut view.up, up);
        let was = std::mem::replace(&mut view.there, there);
        let shared = self.ups.get(&before).is_some_and(|up| up.kind == Kind::Shared);
        shared.then(|| Remains { up: before, collectors: Vec::new(), views: vec![was] })
    }

    /// A client has made something else, on the object called `on`.
    pub(crate) fn made(&mut self, id: DownId, name: &str, on: &str) {
        let Some(down) = self.downs.get_mut(&id) else { return };
        if down.held.len() >= HELD_MAX {
            down.more = true;
            return;
        }
        down.held.insert(name.to_string(), on.to_string());
        self.owners.insert(name.to_string(), id);
    }

    /// A client has destroyed it, and what was made on it.
    pub(crate) fn destroyed(&mut self, id: DownId, name: &str) {
        let Some(down) = self.downs.get_mut(&id) else { return };
        let mut gone = vec![name.to_string()];
        gone.extend(down.held.iter().filter(|(_, on)| *on == name).map(|(child, _)| child.clone()));
        for name in gone {
            if down.views.remove(&name).is_some() || down.held.remove(&name).is_some() {
                self.owners.remove(&name);
            }
        }
    }

    /// A client has read a page, or given it up; the answer may have told of the next one.
    pub(crate) fn paged(&mut self, id: DownId, up: UpId, page: Option<&str>, next: Option<&str>) {
        let Some(down) = self.downs.get_mut(&id) else { return };
        down.pages.retain(|(token, at)| !(*at == up && Some(token.as_str()) == page));
        if let Some(next) = next {
            if down.pages.len() >= PAGES_MAX {
                down.pages.remove(0);
            }
            down.pages.push((next.to_string(), up));
        }
    }

    /// Where the page with this token is.
    pub(crate) fn page_at(&self, id: DownId, token: &str) -> Option<UpId> {
        let pages = &self.downs.get(&id)?.pages;
        pages.iter().rev().find(|(page, _)| page == token).map(|(_, up)| *up)
    }

    /// How many objects a client holds on this session.
    pub(crate) fn holds(&self, id: DownId, up: UpId) -> u32 {
        let Some(down) = self.downs.get(&id) else { return 0 };
        if down.more {
            return u32::MAX;
        }
        let views = down.views.values().filter(|view| view.up == up).count();
        let pages = down.pages.iter().filter(|(_, at)| *at == up).count();
        u32::try_from(views + pages + down.held.len()).unwrap_or(u32::MAX)
    }

    /// A client's own collector on this session, or one that nobody has now.
    pub(crate) fn collector(&mut self, id: DownId, up: UpId) -> Option<String> {
        let down = self.downs.get_mut(&id)?;
        match &down.collector {
            Some((at, collector)) if *at == up => Some(collector.clone()),
            _ => {
                let free = self.ups.get_mut(&up)?.collectors.pop()?;
                down.collector = Some((up, free.clone()));
                Some(free)
            }
        }
    }

    /// It has this one from now on; one that it has already, by a call that ran beside this one, stays, and `made` is free.
    pub(crate) fn give_collector(&mut self, id: DownId, up: UpId, made: String) -> String {
        let Some(down) = self.downs.get_mut(&id) else { return made };
        if let Some((at, collector)) = &down.collector
            && *at == up
        {
            let collector = collector.clone();
            self.ups.get_mut(&up).into_iter().for_each(|up| up.collectors.push(made.clone()));
            return collector;
        }
        down.collector = Some((up, made.clone()));
        made
    }

    /// Whether `key` is that of a session of the gate at the vCenter.
    pub(crate) fn is_ours(&self, key: &str) -> bool {
        self.ups.values().any(|up| up.session.key == key)
    }
}
