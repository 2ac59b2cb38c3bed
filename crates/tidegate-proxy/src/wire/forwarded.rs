//! The client's address from `X-Forwarded-For`, where a trusted balancer stands in front of the gate.
//!
//! The list grows to the right: each hop appends the address that it got the request from. So it is walked from the
//! right, as long as the hop that wrote an entry is trusted; what stands left of the first stranger is that stranger's
//! word and is not believed.

use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// Most entries that are walked; a longer chain of trusted hops ends there.
const HOPS_MAX: usize = 32;

/// The address of the client behind `peer`.
///
/// `lines` are the values of the `X-Forwarded-For` lines in the order of the head. An entry that is not an address
/// (`unknown`, an obfuscated name, garbage) ends the walk: the answer is then the trusted hop that wrote it.
pub fn client<'a, L>(peer: IpAddr, lines: L, trusted: &[IpNet]) -> IpAddr
where
    L: IntoIterator<Item = &'a [u8]>,
    L::IntoIter: DoubleEndedIterator,
{
    let mut client = peer.to_canonical();
    let entries = lines.into_iter().rev().flat_map(|line| line.rsplit(|b| *b == b','));
    for entry in entries.take(HOPS_MAX) {
        if !trusted.iter().any(|net| net.contains(&client)) {
            break;
        }
        match address(entry) {
            Some(ip) => client = ip.to_canonical(),
            None => break,
        }
    }
    client
}

/// `ip`, `ip:port`, `[ipv6]` or `[ipv6]:port`: what balancers write.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    if let Ok(ip) = text.parse() {
        return Some(ip);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    fn walk(peer: &str, lines: &[&str]) -> String {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        client(peer.parse().unwrap(), lines.iter().map(|l| l.as_bytes()), &trusted).to_string()
    }

    #[test]
    fn walks_over_trusted_hops_only() {
        let cases: &[(&str, &[&str], &str)] = &[
            ("192.0.2.9", &["198.51.100.1"], "192.0.2.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.7, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.7, 198.51.100.1 ,10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.7", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("fd00::1", &["[2001:db8::1]:99"], "2001:db8::1"),
            ("fd00::1", &["[2001:db8::1]"], "2001:db8::1"),
            ("fd00::1", &["2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, garbage, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["198.51.100.1,"], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ];
        for (peer, lines, expected) in cases {
            assert_eq!(walk(peer, lines), *expected, "{peer} {lines:?}");
        }
    }

    proptest! {
        #[test]
        fn a_stranger_cannot_choose_its_address(peer: [u8; 4], line in "[ -~]{0,200}") {
            prop_assume!(peer[0] != 10);
            let peer = IpAddr::from(peer).to_string();
            prop_assert_eq!(walk(&peer, &[&line]), peer);
        }

        #[test]
        fn what_a_client_sends_itself_is_not_believed(own in "[ -~]{0,200}", real: [u8; 4]) {
            prop_assume!(real[0] != 10);
            let real = IpAddr::from(real).to_string();
            prop_assert_eq!(walk("10.0.0.1", &[&format!("{own}, {real}")]), real);
        }
    }
}
