#!/usr/bin/env bash
# Copies and follows a sample database between two MariaDB servers with a cluster of real processes, kills the leader and
# then the worker, and compares every row. Ends with OK, or with a failure and exit code 1.
#   --keep   leave everything running, also after a failure, until Ctrl-C; says how to connect
set -euo pipefail
cd "$(dirname "$0")/.."

# MariaDB only: MySQL is not needed here.
./deploy/install-deps.sh --demo

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${RAFT_DM_CACHE:-$HOME/.cache/raft-dm}/target}"
cargo build --release --locked -p dm-master -p dm-worker -p dmctl -p dm-chaos
export DM_BIN_DIR="$CARGO_TARGET_DIR/release"
exec "$DM_BIN_DIR/dm-chaos" demo "$@"
