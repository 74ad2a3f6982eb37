//! MySQL and MariaDB replication client.
