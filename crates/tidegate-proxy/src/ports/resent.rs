//! What a connection had to send again, as the kernel counts it.

use std::os::fd::{AsFd, AsRawFd};

/// Segments that were sent again on this connection, its SYN among them; 0 when the kernel does not tell.
#[allow(unsafe_code, reason = "no safe wrapper of TCP_INFO exists among what the gate depends on")]
pub(super) fn segments(tcp: &impl AsFd) -> u32 {
    // SAFETY: `tcp_info` is numbers alone, for which zero is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::tcp_info>();
    let mut len = size as libc::socklen_t;
    let number = tcp.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open as long as `tcp` is borrowed; the kernel writes at most `len` bytes, all within `info`,
    // and a kernel that knows less writes less.
    let said = unsafe {
        libc::getsockopt(number, libc::IPPROTO_TCP, libc::TCP_INFO, std::ptr::from_mut(&mut info).cast(), &raw mut len)
    };
    if said == 0 { info.tcpi_total_retrans } else { 0 }
}
