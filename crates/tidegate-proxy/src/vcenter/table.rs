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
pub use tidegate_core::limit::tasks::Work;

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

impl Manner {
    const fn new(session: Sess) -> Manner {
        let (makes, work) = (Makes::Nothing, None);
        Manner { session, replay: false, peek: false, makes, destroys: false, work, long_poll: false }
    }

    /// A read on any session.
    const READ: Manner = Manner { replay: true, peek: true, ..Manner::new(Sess::Shared) };
    const OWN: Manner = Manner::new(Sess::Own);
    /// Something of its session that only one client can use.
    const HOLDS: Manner = Manner { makes: Makes::Held, peek: true, ..Manner::OWN };
    const LETS_GO: Manner = Manner { destroys: true, peek: true, ..Manner::OWN };
    const LEASE: Manner = Manner { work: Some(Work::Lease), ..Manner::HOLDS };
    const UNSHARED: Manner = Manner { peek: true, ..Manner::new(Sess::Unshared) };
}

/// How the operation called `name` is treated, in the namespace of the API that it belongs to.
///
/// One that is not known runs on a shared session, is never sent twice, and is taken to leave nothing behind. By their
/// names only two kinds are known: `…_Task` starts a task, and what begins like a question ([`asks`]) is one.
pub fn manner(namespace: &str, name: &str) -> Manner {
    let known = vim(name);
    // The tasks of the storage monitoring service are its own: no host works for them, and vim25 cannot tell their state.
    if namespace == "urn:sms" { Manner { work: None, ..known } } else { known }
}

fn vim(name: &str) -> Manner {
    match name {
        "RetrieveServiceContent" | "RetrieveInternalContent" | "RetrieveProductComponents" => {
            Manner { session: Sess::Anonymous, ..Manner::READ }
        }
        "Login" => Manner::new(Sess::Local(Local::Login)),
        "Logout" => Manner::new(Sess::Local(Local::Logout)),
        "SessionIsActive" => Manner::new(Sess::Local(Local::SessionIsActive)),
        "TerminateSession" => Manner::new(Sess::Local(Local::Terminate)),
        "CloneSession" => Manner::UNSHARED,
        _ if name.starts_with("Login") => Manner::UNSHARED,
        "SetLocale" | "ImpersonateUser" => Manner { peek: true, ..Manner::new(Sess::Sticky) },

        "CurrentTime" => Manner::READ,
        "ContinueRetrievePropertiesEx" | "CancelRetrievePropertiesEx" => {
            Manner { peek: true, ..Manner::new(Sess::Paging) }
        }
        // Twice is no harm: NotAuthenticated says that the first made none, and a view shows only what is there.
        "CreateContainerView" | "CreateListView" | "CreateListViewFromView" => {
            Manner { makes: Makes::View, ..Manner::READ }
        }
        "DestroyView" => Manner { session: Sess::Shared, ..Manner::LETS_GO },
        // A view that is changed cannot be made again from the request that made it.
        "ModifyListView" | "ResetListView" | "ResetListViewFromView" => Manner::OWN,
        "OpenInventoryViewFolder" | "CloseInventoryViewFolder" => Manner::OWN,
        "CreateInventoryView" | "CreateFilter" | "CreatePropertyCollector" => Manner::HOLDS,
        "CreateCollectorForEvents" | "CreateCollectorForTasks" | "CreateCollectorWithInfoFilterForTasks" => {
            Manner::HOLDS
        }
        "DestroyPropertyFilter" | "DestroyPropertyCollector" | "DestroyCollector" => Manner::LETS_GO,
        "WaitForUpdates" | "WaitForUpdatesEx" => Manner { long_poll: true, ..Manner::OWN },
        "CheckForUpdates" | "CancelWaitForUpdates" => Manner::OWN,
        "ReadNextEvents" | "ReadPreviousEvents" | "ReadNextTasks" | "ReadPreviousTasks" | "ReadNextTasksByViewSpec" => {
            Manner::OWN
        }
        "RewindCollector" | "ResetCollector" | "SetCollectorPageSize" => Manner::OWN,
        "VsanWaitForVsanHealthGenerationIdChange" => Manner { long_poll: true, ..Manner::new(Sess::Shared) },

        "ExportVm" | "ExportVApp" | "ExportSnapshot" | "ImportVApp" => Manner::LEASE,
        "HttpNfcLeaseComplete" | "HttpNfcLeaseAbort" => Manner::LETS_GO,
        _ if name.starts_with("HttpNfcLease") => Manner::OWN,
        // Tickets of VDDK. The call itself waits for the host, behind tokens that age: a lease while it runs, and none after.
        "NfcFileManagement" | "NfcGetVmFiles" | "NfcPutVmFiles" => NFC,
        _ if name.starts_with("NfcRandomAccessOpen") => NFC,
        // A ticket ends with the session that issued it, and so may the address of a transfer.
        _ if name.starts_with("Acquire") && name.ends_with("Ticket") => Manner::OWN,
        "AcquireCimServicesTicket" | "InitiateFileTransferFromGuest" | "InitiateFileTransferToGuest" => Manner::OWN,

        "CreateSnapshot_Task" | "CreateSnapshotEx_Task" => work(Work::Snapshot),
        "RemoveSnapshot_Task" | "RemoveAllSnapshots_Task" | "ConsolidateVMDisks_Task" => work(Work::Unsnapshot),
        _ if name.ends_with("_Task") => work(Work::Task),
        _ if asks(name) => Manner::READ,
        _ => Manner::new(Sess::Shared),
    }
}

const NFC: Manner = Manner { work: Some(Work::Lease), peek: true, ..Manner::OWN };

const fn work(work: Work) -> Manner {
    Manner { work: Some(work), peek: true, ..Manner::new(Sess::Shared) }
}

/// Whether an operation that nobody listed is a question, by the verb that it begins with.
///
/// In vim25 all that begin so only read. `Check…`, `Validate…`, `Refresh…` and `Read…` are not taken for questions: some
/// of them start work or move a cursor. Nor is anything in a guest: it runs a program there, through a host.
fn asks(name: &str) -> bool {
    const VERBS: [&str; 10] = ["Retrieve", "Query", "Find", "List", "Get", "Fetch", "Has", "Is", "Are", "Lookup"];
    let verb = VERBS.iter().any(|verb| {
        name.strip_prefix(verb)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_uppercase()))
    });
    verb && !name.ends_with("InGuest") && name != "QueryNext"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Manner {
        manner("urn:vim25", name)
    }

    #[test]
    fn the_unknown_is_safe() {
        for name in
            ["", "Frobnicate", "Getaway", "Island", "ReadNext", "CheckCompliance", "ListFilesInGuest", "QueryNext"]
        {
            assert_eq!(of(name), Manner::new(Sess::Shared), "{name}");
        }
        let task = of("Frobnicate_Task");
        assert_eq!((task.session, task.replay, task.work), (Sess::Shared, false, Some(Work::Task)));
        assert_eq!(manner("urn:sms", "RegisterProvider_Task").work, None);
    }

    #[test]
    fn questions_are_asked_again_and_nothing_else_is() {
        for name in
            ["Fetch", "RetrievePropertiesEx", "QueryPerf", "FindByUuid", "CurrentTime", "RetrieveServiceContent"]
        {
            assert!(of(name).replay && of(name).peek, "{name}");
        }
        for name in [
            "CreateSnapshot_Task",
            "PowerOnVM_Task",
            "NfcFileManagement",
            "WaitForUpdatesEx",
            "CreateFilter",
            "ExportVm",
            "HttpNfcLeaseProgress",
            "ContinueRetrievePropertiesEx",
            "UnregisterVM",
            "QueryFoo_Task",
            "CloneSession",
        ] {
            assert!(!of(name).replay, "{name}");
        }
    }

    #[test]
    fn what_would_be_heard_by_others_needs_a_session_of_its_own() {
        for name in [
            "CreateFilter",
            "CreatePropertyCollector",
            "WaitForUpdates",
            "WaitForUpdatesEx",
            "CheckForUpdates",
            "CancelWaitForUpdates",
            "ModifyListView",
            "CreateCollectorForEvents",
            "CreateCollectorForTasks",
            "ReadNextEvents",
            "ResetCollector",
            "ExportVm",
            "ExportSnapshot",
            "ImportVApp",
            "HttpNfcLeaseProgress",
            "AcquireTicket",
            "AcquireMksTicket",
            "AcquireCloneTicket",
            "AcquireGenericServiceTicket",
        ] {
            assert_eq!(of(name).session, Sess::Own, "{name}");
        }
        assert_eq!(of("SetLocale").session, Sess::Sticky);
        assert_eq!(of("LoginByToken").session, Sess::Unshared);
        assert_eq!(of("LoginExtensionByCertificate").session, Sess::Unshared);
        assert_eq!(of("Login").session, Sess::Local(Local::Login));
        assert_eq!(of("CancelRetrievePropertiesEx").session, Sess::Paging);
    }

    #[test]
    fn snapshots_and_leases_are_told_from_tasks() {
        for (name, work) in [
            ("CreateSnapshot_Task", Work::Snapshot),
            ("RemoveAllSnapshots_Task", Work::Unsnapshot),
            ("RevertToSnapshot_Task", Work::Task),
            ("ExportVm", Work::Lease),
            ("NfcRandomAccessOpenReadonly", Work::Lease),
        ] {
            assert_eq!(of(name).work, Some(work), "{name}");
        }
        assert!(of("HttpNfcLeaseComplete").destroys && of("DestroyView").destroys && !of("DestroyDatastore").destroys);
    }
}
