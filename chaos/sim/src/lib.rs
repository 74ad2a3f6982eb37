//! The simulation lives in `tests/`: see `tests/sim/main.rs`.
