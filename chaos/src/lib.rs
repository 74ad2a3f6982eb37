//! Breaks a real cluster on purpose and proves that nothing was lost; also the demo and the benchmarks, which share the
//! same real servers, processes and checkers.
pub mod bench;
pub mod demo;
pub mod probe;
pub mod rig;
pub mod run;
