//! Which part of a literal is rare in logs.
//!
//! The weights are rough shares of the bytes of ESXi and vCenter logs, in thousandths, by class of byte and by the pairs
//! that stand in nearly every line (`[Originator@6876 sub=`, `opID=`, times, `info`, path and bracket pairs). Only
//! their order matters: a window is as rare as its rarest blocks let it be.

/// Pairs of bytes that are in nearly every line.
const COMMON: &[u8] = b"[Originator@6876 sub=Default opID=sid= user=info error vpxd[hostd -- vim.VirtualMachine: vmkernel: cpu 0x00 2025-202 In(166)(14) --> : , = ], task session host- failed";

fn weight(byte: u8) -> u32 {
    match byte {
        b' ' | b'e' => 70,
        b'a' | b'i' | b'n' | b'o' | b'r' | b's' | b't' => 40,
        b'0'..=b'9' => 35,
        b'c' | b'd' | b'l' | b'm' | b'p' | b'u' => 25,
        b'-' | b'.' | b':' | b'=' | b'[' | b']' | b'b' | b'f' | b'g' | b'h' | b'v' => 15,
        b'A'..=b'Z' | b'k' | b'w' | b'x' | b'y' | b'(' | b')' | b',' | b'\'' | b'/' => 6,
        _ => 2,
    }
}

fn pair(two: &[u8]) -> u32 {
    let product: u32 = two.iter().map(|byte| weight(*byte)).product();
    if COMMON.windows(2).any(|common| common == two) { product + 2_000 } else { product }
}

/// Where the rarest window of `length` bytes begins; the first of equals.
pub fn rarest(literal: &[u8], length: usize) -> usize {
    let cost = |window: &[u8]| window.windows(2).map(pair).sum::<u32>();
    let costs = literal.windows(length.max(2)).map(cost).enumerate();
    costs.min_by_key(|(at, cost)| (*cost, *at)).map_or(0, |(at, _)| at)
}
