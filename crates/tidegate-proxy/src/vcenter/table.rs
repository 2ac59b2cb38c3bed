//! What each operation needs of a session, what it makes there, and whether it may be sent twice.

/// What an operation needs of the session that it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sess {
    /// None: it works without a login.
    Anonymous,
    /// Any session of the principal.
    Shared,
    /// A session that no other client uses.
    Own,
    /// A session that no other client uses, and none will after it: it is changed for good.
    Sticky,
    /// The gate answers it, maybe after a call of its own.
    Local(Local),
    /// It makes an upstream session that belongs to this client alone: logins without a password.
    Unshared,
    /// It goes where the page before it came from.
    Paging,
}

/// What the gate answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// With user and password.
    Login,
    /// Of the client's session; the upstream session lives on.
    Logout,
    /// Whether a client session lives.
    SessionIsActive,
    /// Ends client sessions by key.
    Terminate,
    /// `CancelWaitForUpdates` would end the waits of others; that of this client alone is ended.
    CancelWait,
}

/// What an operation leaves behind in its session when it worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makes {
    /// Nothing.
    Nothing,
    /// A view, which can be made again from the same request.
    View,
    /// A collector, filter, lease or the like.
    Held,
}

/// Work for which the operation's call asks the task slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A task.
    Task,
    /// A snapshot is opened.
    Snapshot,
    /// A snapshot is removed.
    Unsnapshot,
    /// An NFC lease.
    Lease,
}

/// How an operation is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// What it needs of a session.
    pub session: Sess,
    /// It only reads: when its session was dead it is sent again, once.
    pub replay: bool,
    /// The first bytes of its answer are looked at before they are passed on.
    pub peek: bool,
    /// What it leaves behind.
    pub makes: Makes,
    /// It destroys the object that it is called on (`_this`).
    pub destroys: bool,
    /// The work that it starts.
    pub work: Option<Work>,
    /// It answers when something happens.
    pub long_poll: bool,
}

/// How the operation called `name` is treated.
pub fn manner(name: &str) -> Manner {
    Manner {
        session: Sess::Shared,
        replay: false,
        peek: true,
        makes: Makes::Nothing,
        destroys: false,
        work: name.ends_with("_Task").then_some(Work::Task),
        long_poll: false,
    }
}
