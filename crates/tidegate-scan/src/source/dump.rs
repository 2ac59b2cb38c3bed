//! VMkernel dumps (`vmkernel-zdump.N`): the log in them is read when it is there as text, else it has to be extracted.

use memchr::memmem;

/// Bytes that a sign may have.
const SIGN: usize = 24;

/// Looks for lines of the VMkernel's log in a dump: `cpu36:1001599386)`.
pub(super) struct Dump {
    found: bool,
    /// The end of the block before, for a sign in two of them.
    tail: Vec<u8>,
}

impl Dump {
    /// For a member with the name of a dump.
    pub(super) fn of(path: &str) -> Option<Self> {
        file(path).starts_with("vmkernel-zdump").then(|| Self { found: false, tail: Vec::new() })
    }

    pub(super) fn look(&mut self, block: &[u8]) {
        if self.found {
            return;
        }
        self.tail.extend_from_slice(&block[..block.len().min(SIGN)]);
        self.found = sign(&self.tail) || sign(block);
        if block.len() >= SIGN {
            self.tail.clear();
        }
        self.tail.extend_from_slice(&block[block.len().saturating_sub(SIGN).max(self.tail.len().min(block.len()))..]);
    }

    /// What there is to do when no line was found.
    pub(super) fn end(self, path: &str) -> Option<String> {
        let name = file(path);
        let name = name.strip_suffix(".gz").unwrap_or(name);
        (!self.found).then(|| {
            format!(
                "It is a dump of the VMkernel without readable log lines; they are packed. On an ESXi host, \
                 `vmkdump_extract -l {name}` or `esxcfg-dumppart -L {name}` writes them to a file vmkernel-log: read that."
            )
        })
    }
}

fn file(path: &str) -> &str {
    path.rsplit(['/', '!', '\\']).next().unwrap_or(path)
}

fn sign(bytes: &[u8]) -> bool {
    memmem::find_iter(bytes, b"cpu").any(|at| {
        let after = &bytes[at + 3..];
        let cpu = digits(after);
        let world = after.get(cpu..).and_then(|rest| rest.strip_prefix(b":"));
        cpu > 0 && world.is_some_and(|world| digits(world) > 0 && world.get(digits(world)) == Some(&b')'))
    })
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count()
}
