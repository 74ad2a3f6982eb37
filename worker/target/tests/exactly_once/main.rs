//! The promise of the target protocol, on real servers: every source transaction exactly once, late writers refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod applier;
mod beside;
mod controls;
mod crash;
mod fence;
mod history;
mod lanes;
mod load;
mod meta;
mod slow;
mod support;
mod target_loss;
