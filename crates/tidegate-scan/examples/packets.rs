//! Read captures and count their packets: the most that anything that looks at each of them can reach. `packets PATH...` prints
//! how many packets there were, and how many bytes of data. `make bench-flow` measures it beside the rest.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tidegate_scan::capture::{Body, File, Packet, Sink, read};
use tidegate_scan::source::{Input, Trouble};

#[derive(Default)]
struct Count {
    packets: u64,
    data: u64,
}

impl Sink for Count {
    fn packets(&mut self, batch: &[Packet<'_>]) {
        self.packets += batch.len() as u64;
        for packet in batch {
            if let Body::Tcp(tcp) = packet.body {
                self.data += u64::from(tcp.length);
            }
        }
    }

    fn end(&mut self, file: File) {
        let skipped: Vec<_> = file.skipped.each().map(|(skip, count)| format!("{} {count}", skip.word())).collect();
        eprintln!("{}: {} records, skipped: [{}]", file.path, file.records, skipped.join(", "));
    }

    fn trouble(&mut self, trouble: Trouble) {
        eprintln!("{}: {}", trouble.path, trouble.detail);
    }
}

fn main() {
    let inputs: Vec<Input> = std::env::args_os().skip(1).map(|path| Input::Path(PathBuf::from(path))).collect();
    let sink = Arc::new(Mutex::new(Count::default()));
    let read = read(&inputs, &sink, &|_, _| true);
    if let (Ok(()), Ok(count)) = (read, sink.lock()) {
        println!("{} {}", count.packets, count.data);
    }
}
