//! Lab processes under test: started from their specs, told `go`, read to their last line.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    reason = "shared by the test binaries, each of which uses its part"
)]

use serde_json::Value;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// One lab process; ended when dropped.
pub struct Lab {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    /// Its ready line.
    pub ready: Value,
}

impl Lab {
    pub fn start(task: &str, spec: &Value) -> Lab {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate-lab"))
            .args([task, &spec.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(ready["kind"], "ready");
        Lab { child, stdin, lines, ready }
    }

    pub fn tell(&mut self, command: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{command}").unwrap();
    }

    pub fn address(&self) -> String {
        self.ready["address"].as_str().unwrap().to_owned()
    }

    /// Reads until a line that `wanted` accepts.
    pub fn wait_for(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.lines.next().unwrap().unwrap();
            let value: Value = serde_json::from_str(&line).unwrap();
            if wanted(&value) {
                return value;
            }
        }
    }

    /// Its last line, when it ends by itself.
    pub fn last_words(mut self) -> Value {
        let last = self.wait_for(|line| line["kind"] == "final");
        assert!(self.child.wait().unwrap().success());
        last
    }

    /// Its last line, after the end of its stdin.
    pub fn stop(mut self) -> Value {
        self.stdin = None;
        self.last_words()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Already ended when all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both last lines of a storm against a provider that is down until the start.
pub fn storm(provider: Value, mut storm: Value) -> (Value, Value) {
    let mut server = Lab::start("provider", &provider);
    storm["target"] = server.address().into();
    let mut hosts = Lab::start("storm", &storm);
    server.tell(r#"{"cmd": "go"}"#);
    // Its first sample comes once it is up: a host that is quicker than that would be refused.
    server.wait_for(|line| line["kind"] == "sample");
    hosts.tell(r#"{"cmd": "go"}"#);
    let hosts = hosts.last_words();
    (server.stop(), hosts)
}

/// Seconds of world time that a storm takes at least.
pub fn floor_s(law: &str, hosts: u32) -> f64 {
    let spec = serde_json::json!({"law": law, "hosts": hosts, "knee": 22, "unit_s": 0.5});
    let out = Command::new(env!("CARGO_BIN_EXE_tidegate-lab")).args(["floor", &spec.to_string()]).output().unwrap();
    let answer: Value = serde_json::from_slice(&out.stdout).unwrap();
    answer["floor_s"].as_f64().unwrap()
}
