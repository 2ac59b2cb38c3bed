//! The broker beside a shell that believes nothing: [`world`] checks every action, [`storms`] plays whatever may happen,
//! [`rules`], [`clones`] and [`ages`] tell one rule after the other.

mod ages;
mod clones;
mod rules;
mod storms;
mod world;
