//! The worker as a process against real databases; the test acts as the leader.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod crash;
mod data;
mod definitions;
mod endure;
mod events;
mod feeders;
mod fidelity;
mod follow;
mod large;
mod leader;
mod load;
mod matrix;
mod matrix_tables;
mod misses;
mod operators;
mod refuse;
mod scene;
mod source;
mod stream;
mod switch;
mod unfit;
mod xa;
