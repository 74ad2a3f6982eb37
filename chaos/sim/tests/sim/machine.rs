//! The machine under the simulation: its clocks and its randomness.
//!
//! The test binary's own `clock_gettime` and `getrandom` stand in front of the C library's. While a simulation runs on a
//! thread they give the time of the host whose turn it is and bytes drawn from the seed; elsewhere they ask the kernel.
//! So the product's `Instant`, `SystemTime`, hash maps and random numbers need no seam of their own.
use std::cell::Cell;

#[derive(Clone, Copy)]
struct Clock {
    /// Nanoseconds of the monotonic clock.
    monotonic: u64,
    /// Nanoseconds since 1970.
    wall: u64,
}

thread_local! {
    static CLOCK: Cell<Option<Clock>> = const { Cell::new(None) };
    static RANDOM: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From now on the thread's randomness comes from the seed.
pub fn seed(seed: u64) {
    RANDOM.with(|random| random.set(Some(seed ^ 0x9e37_79b9_7f4a_7c15)));
}

/// Whose turn it is: the clocks of a host, in nanoseconds.
pub fn set_clock(monotonic: u64, wall: u64) {
    CLOCK.with(|clock| clock.set(Some(Clock { monotonic, wall })));
}

fn next(state: u64) -> (u64, u64) {
    // splitmix64
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, z ^ (z >> 31))
}

/// The simulation's own dice, independent of what the product draws.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        let (state, value) = next(self.0);
        self.0 = state;
        value
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.roll() % n.max(1)
    }

    /// From `low` up to `high`, not included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low))
    }

    /// True once in `n`.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

// SAFETY of the two: they have the signatures and meanings of the C library's functions of the same names, write only
// to the memory that the caller hands over for it, and allocate nothing.
#[allow(unsafe_code)]
mod libc_front {
    use super::{CLOCK, RANDOM, next};

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn clock_gettime(id: libc::clockid_t, out: *mut libc::timespec) -> libc::c_int {
        let Some(clock) = CLOCK.try_with(std::cell::Cell::get).ok().flatten() else {
            return unsafe { libc::syscall(libc::SYS_clock_gettime, id, out) as libc::c_int };
        };
        let nanos = if id == libc::CLOCK_REALTIME { clock.wall } else { clock.monotonic };
        unsafe {
            (*out).tv_sec = (nanos / 1_000_000_000) as libc::time_t;
            (*out).tv_nsec = (nanos % 1_000_000_000) as libc::c_long;
        }
        0
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn getrandom(
        out: *mut libc::c_void,
        len: libc::size_t,
        flags: libc::c_uint,
    ) -> libc::ssize_t {
        let Some(mut state) = RANDOM.try_with(std::cell::Cell::get).ok().flatten() else {
            return unsafe { libc::syscall(libc::SYS_getrandom, out, len, flags) as libc::ssize_t };
        };
        for at in 0..len {
            let (then, value) = next(state);
            state = then;
            unsafe { *out.cast::<u8>().add(at) = value as u8 };
        }
        RANDOM.with(|random| random.set(Some(state)));
        len as libc::ssize_t
    }
}
