//! A network of its own for one test: nothing but loopback, and rules that concern nobody else.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

use std::io::Write;
use std::process::{Command, Stdio};

const INSIDE: &str = "TIDEGATE_TEST_NAMESPACE";

/// Runs the test of this name again in a namespace; false when that has been done (or cannot be, for want of root), true inside.
pub fn inside(test: &str) -> bool {
    inside_with(test, "")
}

/// The same, after a shell command in a mount namespace, too.
pub fn inside_with(test: &str, prepare: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let prepare = if prepare.is_empty() { "true" } else { prepare };
    let script = format!("ip link set lo up && {prepare} && exec \"$@\"");
    let enter = |rest: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sh", "-c"]).args(rest).env(INSIDE, "1");
        command
    };
    let can = enter(&["ip link set lo up && nft list ruleset"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !can.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("REQUIRE_ALL").is_none(), "a network namespace takes root, iproute2 and nftables");
        eprintln!("skipped: a network namespace takes root, iproute2 and nftables");
        return false;
    }
    let me = std::env::current_exe().expect("this program");
    let me = me.to_str().expect("a path");
    let ended = enter(&[&script, "sh", me, "--exact", test, "--nocapture"]).status().expect("it runs");
    assert!(ended.success(), "in its namespace {test} fails");
    false
}

/// Rules for packets that come in, in the words of nft.
pub fn rules(lines: &str) {
    nft(&format!("table ip box {{ chain in {{ type filter hook input priority 0;\n{lines}\n}}\n}}\n"));
}

fn nft(text: &str) {
    let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nft is there");
    nft.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    assert!(nft.wait().expect("it ends").success(), "nft does not take: {text}");
}
