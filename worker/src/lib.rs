//! Worker of the migration cluster: full load and binlog sync.
