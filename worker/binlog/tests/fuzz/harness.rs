//! Runs a case over seeds, for a time.
//!
//! `RAFT_DM_FUZZ_SECONDS` sets the time for each target (8 by default, a minute for all). A seed that fails prints the line that repeats
//! it; where the whole process ends instead, the last line printed names a range, and `RAFT_DM_FUZZ_SEED` takes ranges
//! too (`2000..3000`) and then prints every seed before it runs.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// What is allocated is counted for the whole process: one target at a time.
static ALONE: Mutex<()> = Mutex::new(());

const STEP: u64 = 1000;

/// Runs `case` with one seed after the other; `target` is the name of the test, `package` where it is. No case may have
/// more than `bound` bytes at once.
pub fn fuzz(package: &str, target: &str, bound: usize, mut case: impl FnMut(&mut StdRng)) {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let seconds = std::env::var("RAFT_DM_FUZZ_SECONDS").ok().map_or(8, |s| s.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let (seeds, told) = match std::env::var("RAFT_DM_FUZZ_SEED") {
        Ok(text) => (range(&text), true),
        Err(_) => (0..u64::MAX, false),
    };
    let mut highest = 0;
    let mut ran = 0u64;
    for seed in seeds {
        if told {
            eprintln!("seed {seed}");
        } else if seed % STEP == 0 {
            if Instant::now() >= end {
                break;
            }
            eprintln!("seeds {seed}..{}", seed + STEP);
        }
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        let outcome = catch_unwind(AssertUnwindSafe(|| case(&mut StdRng::seed_from_u64(seed))));
        let used = ALLOCATED.peak_usage().saturating_sub(before);
        highest = highest.max(used);
        ran += 1;
        if outcome.is_err() || used > bound {
            eprintln!(
                "repeat it with: RAFT_DM_FUZZ_SEED={seed} cargo test -p {package} --test fuzz {target}"
            );
        }
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
        assert!(used <= bound, "seed {seed} allocated {used} bytes, {bound} are the most");
    }
    eprintln!("{target}: {ran} cases, at most {highest} bytes at once");
}

fn range(text: &str) -> Range<u64> {
    match text.split_once("..") {
        Some((start, end)) => start.parse().unwrap()..end.parse().unwrap(),
        None => {
            let seed = text.parse().unwrap();
            seed..seed + 1
        }
    }
}

/// Bytes that sit at the edges of lengths, counts and signs.
const EDGES: [u8; 14] = [0, 1, 2, 0x7F, 0x80, 0x81, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF, 0x27, 0x5C];

/// Changes `bytes` from `from` on in a few places; `others` is where foreign pieces come from.
pub fn mutate(rng: &mut StdRng, bytes: &mut Vec<u8>, from: usize, others: &[u8]) {
    for _ in 0..rng.random_range(1..5) {
        if bytes.len() <= from {
            return;
        }
        let at = rng.random_range(from..bytes.len());
        let end = (at + rng.random_range(1..9)).min(bytes.len());
        match rng.random_range(0..9) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = rng.random(),
            2 => bytes[at] = EDGES[rng.random_range(0..EDGES.len())],
            3 => bytes[at..end].fill(EDGES[rng.random_range(0..EDGES.len())]),
            4 => drop(bytes.drain(at..end)),
            5 => {
                let piece = bytes[at..end].to_vec();
                let to = rng.random_range(from..=bytes.len());
                bytes.splice(to..to, piece);
            }
            6 => {
                let len = rng.random_range(1..32).min(others.len());
                let start = rng.random_range(0..=others.len() - len);
                bytes.splice(at..end, others[start..start + len].iter().copied());
            }
            7 => bytes[at] = bytes[at].wrapping_add(if rng.random() { 1 } else { 255 }),
            _ => {
                if rng.random_bool(0.2) {
                    bytes.truncate(at);
                }
            }
        }
    }
}
