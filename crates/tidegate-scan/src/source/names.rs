//! Names of entries: how they are shown, which lead elsewhere, and what they say about a bundle.

use super::Limits;
use super::descend::Place;
use super::run::Run;

/// The path of an entry, for people: `bundle.tgz!esx-a/var/run/log/hostd.log`.
pub(super) fn path(place: &Place, name: &str, folder: bool, limits: &Limits) -> String {
    let shown = if folder { name } else { name.strip_prefix("./").unwrap_or(name) };
    let cut = &shown[..shown.floor_char_boundary(limits.name_bytes)];
    let more = if cut.len() < shown.len() { "…" } else { "" };
    if folder { format!("{cut}{more}") } else { format!("{}!{cut}{more}", place.path) }
}

/// Whether a name in an archive leads outside of it, or is none.
pub(super) fn escapes(name: &str) -> bool {
    let mut parts = name.split(['/', '\\']);
    let drive = matches!(name.as_bytes(), [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic());
    name.is_empty() || name.starts_with(['/', '\\']) || drive || name.contains('\0') || parts.any(|part| part == "..")
}

/// Support bundles, which some of their files give away.
const BUNDLES: [(&str, &str); 2] = [
    ("etc/vmware/vm-support/", "It is a support bundle of an ESXi host (vm-support)."),
    ("usr/lib/vmware-sca/conf/vc-support.properties", "It is a support bundle of a vCenter Server (vc-support)."),
];

/// The bundles that an archive or a folder is, or holds.
#[derive(Default)]
pub(super) struct Bundles {
    last: Option<(usize, String)>,
}

impl Bundles {
    /// Tells of a bundle once.
    pub(super) fn look(&mut self, run: &Run<'_>, place: &Place, name: &str, folder: bool) {
        for (which, (sign, detail)) in BUNDLES.iter().enumerate() {
            let Some(at) = name.find(sign).filter(|&at| at == 0 || name.as_bytes()[at - 1] == b'/') else { continue };
            let root = &name[..at];
            if self.last.as_ref().is_none_or(|(last, before)| *last != which || before != root) {
                self.last = Some((which, root.to_owned()));
                let path = if folder { root.trim_end_matches('/') } else { &place.path };
                run.trouble(path, "bundle", *detail);
            }
        }
    }
}
