//! Errors of the kernel, told apart by who is to blame.

use crate::ports::begin::NotBegun;
use std::io;
use tidegate_core::health::Fault;
use tidegate_core::ledger::NoPort;

/// Linux's numbers (errno(3)); the standard library has no kinds for all of them.
mod errno {
    pub(super) const EPERM: i32 = 1;
    pub(super) const EAGAIN: i32 = 11;
    pub(super) const ENOMEM: i32 = 12;
    pub(super) const EACCES: i32 = 13;
    pub(super) const ENFILE: i32 = 23;
    pub(super) const EMFILE: i32 = 24;
    pub(super) const EADDRINUSE: i32 = 98;
    pub(super) const EADDRNOTAVAIL: i32 = 99;
    pub(super) const ENETDOWN: i32 = 100;
    pub(super) const ENETUNREACH: i32 = 101;
    pub(super) const ECONNRESET: i32 = 104;
    pub(super) const ENOBUFS: i32 = 105;
    pub(super) const ETIMEDOUT: i32 = 110;
    pub(super) const ECONNREFUSED: i32 = 111;
    pub(super) const EHOSTUNREACH: i32 = 113;
}

/// What kept a connection from being begun.
pub(super) fn of_begin(error: &NotBegun) -> Fault {
    match error {
        NotBegun::NoPort(NoPort::NoSource { .. }) => Fault::Unreachable { local: true },
        NotBegun::NoPort(_) => Fault::AddrNotAvail,
        NotBegun::Foreign { .. } => Fault::AddrInUse,
        // Nothing was sent, so whatever it is, the server has no part in it.
        NotBegun::Io { error, .. } => match of_error(error, true) {
            Fault::Garbage => Fault::Unreachable { local: true },
            fault => fault,
        },
    }
}

/// What an error says; `local`: it came before anything was sent, so nobody on the way can have caused it.
pub(crate) fn of_error(error: &io::Error, local: bool) -> Fault {
    match error.raw_os_error() {
        Some(errno::EMFILE | errno::ENFILE) => Fault::TooManyFiles,
        Some(errno::ENOMEM | errno::ENOBUFS | errno::EAGAIN) => Fault::NoMemory,
        Some(errno::EPERM | errno::EACCES) => Fault::Permission,
        Some(errno::EADDRINUSE) => Fault::AddrInUse,
        Some(errno::EADDRNOTAVAIL) => Fault::AddrNotAvail,
        Some(errno::ENETDOWN) => Fault::Unreachable { local: true },
        Some(errno::ENETUNREACH | errno::EHOSTUNREACH) => Fault::Unreachable { local },
        Some(errno::ECONNREFUSED) => Fault::Refused,
        Some(errno::ECONNRESET) => Fault::ResetAfterAccept,
        Some(errno::ETIMEDOUT) => Fault::TimedOut,
        _ if error.kind() == io::ErrorKind::TimedOut => Fault::TimedOut,
        _ => Fault::Garbage,
    }
}

/// What it says that TLS could not be agreed on.
pub(crate) fn of_handshake(error: &io::Error) -> Fault {
    match of_error(error, false) {
        // A server that takes the connection and drops it at once has not spoken TLS at all.
        fault @ (Fault::ResetAfterAccept | Fault::TimedOut) => fault,
        _ => Fault::Tls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_route_it_is_no_matter_of_ports() {
        let destination = ([192, 0, 2, 1], 443).into();
        assert_eq!(of_begin(&NoPort::NoSource { destination }.into()), Fault::Unreachable { local: true });
        assert_eq!(of_begin(&NoPort::TooManyBuckets { most: 1 }.into()), Fault::AddrNotAvail);
    }

    #[test]
    fn our_own_faults_are_told_from_those_of_others() {
        let of = |number, local| of_error(&io::Error::from_raw_os_error(number), local);
        for number in [24, 23] {
            assert_eq!(of(number, false), Fault::TooManyFiles);
        }
        for number in [12, 105, 11] {
            assert_eq!(of(number, false), Fault::NoMemory);
        }
        assert_eq!(of(111, true), Fault::Refused);
        assert_eq!(of(104, false), Fault::ResetAfterAccept);
        assert_eq!(of(113, false), Fault::Unreachable { local: false });
        assert_eq!(of(113, true), Fault::Unreachable { local: true });
        assert_eq!(of(99, false), Fault::AddrNotAvail);
        assert_eq!(of(1, false), Fault::Permission);
        let gone =
            NotBegun::Io { destination: ([127, 0, 0, 1], 1).into(), error: io::Error::other("no address of ours") };
        assert_eq!(of_begin(&gone), Fault::Unreachable { local: true });
    }
}
