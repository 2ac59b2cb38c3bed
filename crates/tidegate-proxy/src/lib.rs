//! tidegate-proxy MOVES BYTES.
pub mod tls;
pub mod vasa;
pub mod wire;
