//! Breaks a real cluster on purpose and proves that nothing was lost.
