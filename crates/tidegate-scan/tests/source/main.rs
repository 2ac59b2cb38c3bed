//! What comes out of files, folders and archives: every byte of every member, in order, and what was wrong.

mod bounds;
mod desk;
mod fragments;
mod kinds;
mod make;
mod threads;
mod zips;
