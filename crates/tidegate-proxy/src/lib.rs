//! tidegate-proxy MOVES BYTES.
pub mod wire;
