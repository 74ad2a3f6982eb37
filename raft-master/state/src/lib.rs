//! Pure replicated state machine and scheduler.
