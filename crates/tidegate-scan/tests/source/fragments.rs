//! fragments
