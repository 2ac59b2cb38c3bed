//! How long others keep a silent flow: what a firewall or balancer in the path would have forgotten, and when.

use super::state::State;
use crate::time::Span;

/// Idle times by what is known of a flow, and how much is believed that was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The name in reports.
    pub name: &'static str,
    /// After the first SYN.
    pub first: Span,
    /// After the SYN-ACK.
    pub opening: Span,
    /// Established, or joined in the middle.
    pub established: Span,
    /// After one FIN was acknowledged: the other end may go on for long.
    pub half_closed: Span,
    /// After a FIN.
    pub fin_wait: Span,
    /// After both FINs.
    pub time_wait: Span,
    /// After a reset.
    pub closed: Span,
    /// In the path, where no packet goes by unseen: what acknowledges unseen data is invalid. Else the capture has a gap.
    pub strict: bool,
}

/// VMware NSX distributed firewall, default session timer profile ("TCP" columns first packet, open, established, closing, fin
/// wait, closed).
pub const NSX_DFW: Profile = profile("nsx-dfw", [120, 30, 43_200, 120, 45, 20, 20]);
/// VMware NSX gateway firewall, default session timer profile.
pub const NSX_GATEWAY: Profile = profile("nsx-gateway", [120, 30, 7_200, 900, 4, 2, 2]);
/// Avi FlowtableProfile, defaults of its API: setup 10, idle 300, half closed 30, closed 5, after a RST 1.
pub const AVI: Profile = profile("avi", [10, 10, 300, 30, 30, 5, 1]);
/// Linux nf_conntrack (net/netfilter/nf_conntrack_proto_tcp.c, `tcp_timeouts`). Its time for LAST-ACK (30 s) is not told apart.
pub const LINUX: Profile = profile("linux", [120, 60, 432_000, 60, 120, 120, 10]);

/// All of them.
pub const PROFILES: [Profile; 4] = [NSX_DFW, NSX_GATEWAY, AVI, LINUX];

const fn profile(name: &'static str, seconds: [u64; 7]) -> Profile {
    let [first, opening, established, half_closed, fin_wait, time_wait, closed] = seconds;
    Profile {
        name,
        first: Span::secs(first),
        opening: Span::secs(opening),
        established: Span::secs(established),
        half_closed: Span::secs(half_closed),
        fin_wait: Span::secs(fin_wait),
        time_wait: Span::secs(time_wait),
        closed: Span::secs(closed),
        strict: false,
    }
}

impl Profile {
    /// The same, in the path.
    pub const fn in_path(self) -> Profile {
        Profile { strict: true, ..self }
    }

    /// How long a flow in this state is kept after its last segment.
    pub fn idle(&self, state: State) -> Span {
        match state {
            State::None => Span::ZERO,
            State::SynSent | State::Simultaneous => self.first,
            State::SynReceived | State::OrphanSynAck => self.opening,
            State::Established | State::MidStream => self.established,
            State::FinWait | State::LastAck => self.fin_wait,
            State::CloseWait => self.half_closed,
            State::TimeWait => self.time_wait,
            State::Closed => self.closed,
        }
    }
}
