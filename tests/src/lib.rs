//! Starts real databases and real clusters for tests, and compares databases.
