//! Target protocol: fence, whole transactions, exactly once.
