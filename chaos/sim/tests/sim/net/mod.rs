//! The simulated network: connections as TCP has them, over links that can be slow or cut, one way or both.
//!
//! Bytes arrive in order or not at all. A cut link holds what is sent (TCP sends it again later), so a late message of
//! somebody who lost his office meanwhile does arrive. A killed process resets its connections; a machine that lost its
//! power says nothing, and its peers learn it by their own deadlines or when they next send.
mod listener;
mod stream;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

pub use listener::Listener;
pub use stream::Stream;

use crate::machine::Dice;

/// Bytes under way on one connection in one direction.
const WINDOW: usize = 256 << 10;

enum Segment {
    Data(Vec<u8>),
    /// The sender closed in order, or was killed.
    End {
        reset: bool,
    },
}

#[derive(Default)]
struct End {
    host: String,
    /// A process holds it.
    open: bool,
    received: VecDeque<u8>,
    eof: bool,
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// On its way to this end, with the time of arrival in milliseconds.
    coming: VecDeque<(u64, Segment)>,
    coming_bytes: usize,
}

#[derive(Default)]
struct Port {
    waiting: VecDeque<u64>,
    waker: Option<Waker>,
}

struct Net {
    dice: Dice,
    now: u64,
    current: String,
    /// While this host's process is being torn down: whether it ends without a word.
    silent: bool,
    next: u64,
    conns: BTreeMap<u64, [End; 2]>,
    ports: BTreeMap<String, Port>,
    /// Ways that are cut, and how many faults have cut each.
    cut: BTreeMap<(String, String), u32>,
    /// Longest delay in milliseconds.
    slow: u64,
}

static NET: LazyLock<Mutex<Net>> = LazyLock::new(|| {
    Mutex::new(Net {
        dice: Dice::new(0),
        now: 0,
        current: String::new(),
        silent: false,
        next: 0,
        conns: BTreeMap::new(),
        ports: BTreeMap::new(),
        cut: BTreeMap::new(),
        slow: 3,
    })
});

fn net() -> MutexGuard<'static, Net> {
    NET.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Net {
    fn latency(&mut self) -> u64 {
        let slow = self.slow;
        self.dice.between(0, slow + 1)
    }

    fn is_cut(&self, from: &str, to: &str) -> bool {
        !self.cut.is_empty() && self.cut.contains_key(&(from.to_owned(), to.to_owned()))
    }

    fn send(&mut self, conn: u64, from: usize, segment: Segment) {
        let latency = self.latency();
        let now = self.now;
        let Some(ends) = self.conns.get_mut(&conn) else { return };
        let to = &mut ends[1 - from];
        let due = (now + latency).max(to.coming.back().map_or(0, |(due, _)| *due));
        if let Segment::Data(data) = &segment {
            to.coming_bytes += data.len();
        }
        to.coming.push_back((due, segment));
    }
}

pub fn seed(seed: u64) {
    net().dice = Dice::new(seed ^ 0x6e65_7477_6f72_6b00);
}

/// Whose turn it is.
pub fn enter(host: &str, silent: bool) {
    let mut net = net();
    if net.current != host {
        host.clone_into(&mut net.current);
    }
    net.silent = silent;
}

/// Cuts the way from one host to another.
pub fn cut(from: &str, to: &str) {
    *net().cut.entry((from.to_owned(), to.to_owned())).or_default() += 1;
}

/// Takes back one cut.
pub fn mend(from: &str, to: &str) {
    let mut net = net();
    let way = (from.to_owned(), to.to_owned());
    if let Some(count) = net.cut.get_mut(&way) {
        *count -= 1;
        if *count == 0 {
            net.cut.remove(&way);
        }
    }
}

/// Heals everything.
pub fn heal() {
    let mut net = net();
    net.cut.clear();
    net.slow = 3;
}

/// Longest delay of a segment, in milliseconds.
pub fn slow(most: u64) {
    net().slow = most;
}

/// Lets time pass: what is due arrives.
pub fn deliver(now: u64) {
    let mut wakers = Vec::new();
    {
        let mut guard = net();
        let net = &mut *guard;
        net.now = now;
        let (cut, dice) = (&net.cut, &mut net.dice);
        for ends in net.conns.values_mut() {
            for to in 0..2 {
                while let Some((due, _)) = ends[to].coming.front() {
                    if *due > now {
                        break;
                    }
                    let way = (ends[1 - to].host.clone(), ends[to].host.clone());
                    if !cut.is_empty() && cut.contains_key(&way) {
                        // The next attempt of TCP.
                        let again = now + dice.between(20, 250);
                        ends[to].coming.iter_mut().for_each(|(due, _)| *due = (*due).max(again));
                        break;
                    }
                    let Some((_, segment)) = ends[to].coming.pop_front() else { break };
                    match segment {
                        Segment::Data(data) => {
                            ends[to].coming_bytes -= data.len();
                            if ends[to].open {
                                ends[to].received.extend(data);
                            } else {
                                // Nobody is there any more.
                                ends[1 - to].reset = true;
                            }
                        }
                        Segment::End { reset } => {
                            ends[to].eof = true;
                            ends[to].reset |= reset;
                        }
                    }
                    for end in &mut *ends {
                        wakers.extend(end.reader.take());
                        wakers.extend(end.writer.take());
                    }
                }
            }
        }
        net.conns
            .retain(|_, ends| ends[0].open || ends[1].open || ends.iter().any(|end| !end.coming.is_empty()));
    }
    wakers.into_iter().for_each(Waker::wake);
}

/// Connects from the host whose turn it is.
pub async fn connect(address: String) -> io::Result<Stream> {
    let from = net().current.clone();
    let to = address.split(':').next().unwrap_or_default().to_owned();
    loop {
        let wait = {
            let mut net = net();
            let cut = net.is_cut(&from, &to) || net.is_cut(&to, &from);
            if cut { net.dice.between(100, 400) } else { net.latency() * 2 }
        };
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let mut net = net();
        if net.is_cut(&from, &to) || net.is_cut(&to, &from) {
            continue;
        }
        if !net.ports.contains_key(&address) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let conn = net.next;
        net.next += 1;
        let end = |host: &str| End { host: host.to_owned(), open: true, ..End::default() };
        net.conns.insert(conn, [end(&from), end(&to)]);
        let Some(port) = net.ports.get_mut(&address) else { continue };
        port.waiting.push_back(conn);
        if let Some(waker) = port.waker.take() {
            waker.wake();
        }
        return Ok(Stream { conn, side: 0 });
    }
}
