//! Read captures together and print their report as JSON: `flows [--shards N] [--each] PATH...`.
//!
//! `make bench-flow` measures it beside `packets`, which reads and does nothing, and `table`, which steps flows and finds nothing.

use std::path::PathBuf;

use tidegate_scan::flows::{How, Options, analyse};
use tidegate_scan::source::Input;

fn main() {
    let mut words = std::env::args_os().skip(1).peekable();
    let (mut shards, mut options) = (1, Options::default());
    while let Some(word) = words.next_if(|word| word.to_string_lossy().starts_with("--")) {
        match word.to_str() {
            Some("--each") => options.each = true,
            Some("--shards") => {
                shards =
                    words.next().and_then(|count| count.to_str().and_then(|count| count.parse().ok())).unwrap_or(1);
            }
            _ => eprintln!("{} is not known", word.to_string_lossy()),
        }
    }
    let inputs: Vec<Input> = words.map(|path| Input::Path(PathBuf::from(path))).collect();
    match analyse(&inputs, How::Together, &options, shards, &|_, _| true).map(|all| serde_json::to_string_pretty(&all))
    {
        Ok(Ok(json)) => println!("{json}"),
        Ok(Err(error)) => eprintln!("{error}"),
        Err(stopped) => eprintln!("{stopped}"),
    }
}
