//! Sessions at a vCenter, kept by the gate.

pub(crate) mod lines;
pub(crate) mod upstream;
