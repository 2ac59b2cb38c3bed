//! tidegate-proxy MOVES BYTES.
pub mod vasa;
pub mod wire;
