//! Decompress a .gz with the library that tidegate-scan uses, and print how many bytes came out: the most that a scan of
//! such a file can reach. `make bench-scan` measures it beside the scan.

use std::fs::File;
use std::io::{self, BufReader, Read};

const BLOCK: usize = 256 << 10;

fn main() -> io::Result<()> {
    let path = std::env::args_os().nth(1).ok_or_else(|| io::Error::other("usage: inflate FILE"))?;
    let mut unpacked = flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(BLOCK, File::open(path)?));
    let mut block = vec![0; BLOCK];
    let mut total: u64 = 0;
    loop {
        match unpacked.read(&mut block)? {
            0 => break,
            count => total += count as u64,
        }
    }
    println!("{total}");
    Ok(())
}
