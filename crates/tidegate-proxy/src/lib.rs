//! tidegate-proxy
