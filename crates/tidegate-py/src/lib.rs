//! tidegate-py
