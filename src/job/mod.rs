//! The program's two jobs, put together from the other rooms: a night's [`scan`] of one target into a state
//! directory, and a [`compare`] of two targets or manifests without one. Nothing is printed here.

mod compare;
mod coverage;
mod difference;
pub mod input;
mod night;
mod policy_words;
mod rescan;
mod scope;
mod write;

pub use compare::{Compared, Comparison, Side, compare, manifest};
pub use night::{Night, Outcome, Time, foresee, machine_name, name_of, refuse_state_inside, scan};
pub use rescan::{FULL_SCAN, Rescan};
