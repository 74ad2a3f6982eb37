//! Replicated master of the migration cluster.
