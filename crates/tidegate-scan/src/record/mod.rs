//! Records: the text that one message of a program takes, over one line or many, around a place in it.
//!
//! - [`head`]: the header of a line; [`line`]: what a line does to a record; [`body`]: the message as regexes see it.
//! - [`assemble`]: from a place to the record around it.
//!
//! All that is read lies within [`BACK`] bytes before the place and [`AHEAD`] after it, so that a record does not depend
//! on how its text was cut into blocks.

mod around;
mod body;
mod cursor;
mod frame;
mod head;
mod line;
mod odd;
mod stretch;
mod time;
mod words;

pub use around::{AHEAD, BACK, Record, assemble};
pub use body::shown;
pub use stretch::{time_at_or_after, time_before};
pub use time::{Stamp, Zone};
