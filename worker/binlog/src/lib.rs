//! Pure binlog decoding: events, row images, GTID sets.
