#!/bin/bash
# Formatting, lints and all tests, from a clean clone: needs only Rust, git and apt.
#
#   tests/run.sh                 everything
#   tests/run.sh --no-lint       tests only
#   tests/run.sh --lint          formatting and lints only
#   tests/run.sh -p PACKAGE ...  lints and tests of these packages only (repeatable)
#   tests/run.sh -j N            so many tests at a time (default 2)
#   tests/run.sh FILTER ...      only tests whose name contains FILTER
#   tests/run.sh --no-install    nothing is installed; what is missing fails
#
# RAFT_DM_CACHE (default ~/.cache/raft-dm) holds what is kept between runs: build output, the MySQL root, database
# templates. RAFT_DM_KEEP=1 keeps the scratch folders of tests that pass, too.
set -euo pipefail
cd "$(dirname "$0")/.."

lint=1 test=1 install=1 jobs=2 packages=() filters=()
while [ $# -gt 0 ]; do
    case $1 in
        --no-lint) lint= ;;
        --lint) test= ;;
        --no-install) install= ;;
        -p) packages+=(-p "$2"); shift ;;
        -j) jobs=$2; shift ;;
        -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
        -*) echo "unknown option $1; see --help" >&2; exit 2 ;;
        *) filters+=("$1") ;;
    esac
    shift
done
# Tests run programs with test switches (worker/src/test_switches.rs, raft-master/src/test_switches.rs); a plain or
# release build never has them.
switches=() features=() switched=()
for program in dm-worker dm-master; do
    switches+=(--features "$program/test-switches")
    case " ${packages[*]-} " in
        '  ' | *" $program "*)
            features+=(--features "$program/test-switches")
            switched+=(-p "$program" --features "$program/test-switches")
            ;;
    esac
done
[ ${#packages[@]} -gt 0 ] || packages=(--workspace)

export RAFT_DM_CACHE=${RAFT_DM_CACHE:-$HOME/.cache/raft-dm}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$RAFT_DM_CACHE/target}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
mkdir -p "$RAFT_DM_CACHE"

started=$SECONDS step='' report=() green=''
begin() { step=$1 step_started=$SECONDS; echo "== $step"; }
end() { report+=("$step $((SECONDS - step_started)) s"); step=''; }
closing() {
    local code=$?
    local steps
    steps=$(printf '%s; ' "${report[@]+"${report[@]}"}")
    if [ "$code" -eq 0 ] && [ -n "$green" ]; then
        echo "== ALL GREEN in $((SECONDS - started)) s: ${steps%; }"
    else
        echo "== FAILED (exit $code) in step '${step:-options}' after $((SECONDS - started)) s; done before: ${steps%; }"
    fi
}
trap closing EXIT
# Without these a signal would end the script with the code of the last command that had ended well.
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if [ -n "$test" ] && [ -n "$install" ]; then
    begin 'install'
    ./deploy/install-deps.sh
    ./deploy/mysql-root.sh
    end
fi
if [ -n "$lint" ]; then
    begin 'formatting'
    cargo fmt --check
    end
    begin 'clippy'
    cargo clippy --locked "${packages[@]}" --all-targets -- -D warnings
    if [ ${#switched[@]} -gt 0 ]; then
        cargo clippy --locked "${switched[@]}" -- -D warnings
    fi
    end
fi
if [ -n "$test" ]; then
    begin 'build'
    # End-to-end tests start the programs of every room, whichever packages are tested.
    cargo build --locked --bins --workspace "${switches[@]}"
    # Links: building the tests of some packages may put a plain worker in the place of this one.
    export DM_BIN_DIR=$CARGO_TARGET_DIR/test-bins
    rm -rf "$DM_BIN_DIR"
    mkdir "$DM_BIN_DIR"
    ln "$CARGO_TARGET_DIR"/debug/{dm-master,dm-worker,dmctl,dm-chaos} "$DM_BIN_DIR"
    end
    # The simulation is built with seams that nothing else is tested with: by itself.
    run_tests() {
        if cargo nextest --version >/dev/null 2>&1; then
            cargo nextest run --locked "$@" --no-fail-fast --no-tests=warn --test-threads "$jobs" \
                "${filters[@]+"${filters[@]}"}"
        else
            # A filter of `cargo test` is one word: several are several runs.
            for filter in "${filters[@]+"${filters[@]}"}" ''; do
                [ -n "$filter" ] || [ ${#filters[@]} -eq 0 ] || continue
                cargo test --locked "$@" --all-targets --no-fail-fast -- --test-threads "$jobs" ${filter:+"$filter"}
            done
        fi
    }
    case "${packages[*]}" in
        --workspace)
            begin 'tests'
            run_tests --workspace --exclude dm-sim "${features[@]+"${features[@]}"}"
            end
            begin 'simulation'
            run_tests -p dm-sim
            end
            ;;
        *)
            begin 'tests'
            run_tests "${packages[@]}" "${features[@]+"${features[@]}"}"
            end
            ;;
    esac
fi
green=1
