//! What one direction between two ports of the switch does to frames.

use std::collections::HashSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// One direction between two of a network's members; healthy by default.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Link {
    /// Share of frames that never arrive, 0 to 1. Nobody is told, as on a wire that is cut.
    pub loss: f64,
    /// How much later each frame arrives.
    pub delay: Duration,
    /// Nothing of the connections that exist already arrives, as when a firewall has forgotten them; those that are
    /// made later work.
    pub forgets: bool,
}

impl Link {
    /// Nothing arrives.
    pub const CUT: Self = Self { loss: 1.0, delay: Duration::ZERO, forgets: false };
}

/// What the switch does with one frame.
#[derive(Debug, PartialEq)]
pub(super) enum Fate {
    Lost,
    Arrives { port: usize, after: Duration },
}

/// Both ends of a TCP connection, the smaller one first.
type Connection = ([u8; 6], [u8; 6]);

/// Every link between the ports.
#[derive(Debug)]
pub(super) struct Links {
    /// Per port of the sender and of the receiver.
    links: Vec<Vec<Link>>,
    /// Connections made since a link has forgotten the others.
    fresh: HashSet<Connection>,
    random: StdRng,
}

impl Links {
    pub fn new(ports: usize, seed: u64) -> Self {
        Self {
            links: vec![vec![Link::default(); ports]; ports],
            fresh: HashSet::new(),
            random: StdRng::seed_from_u64(seed),
        }
    }

    pub fn set(&mut self, from: usize, to: usize, link: Link) {
        if let Some(old) = self.links.get_mut(from).and_then(|l| l.get_mut(to)) {
            *old = link;
        }
    }

    pub fn heal(&mut self) {
        self.links.iter_mut().flatten().for_each(|link| *link = Link::default());
        self.fresh.clear();
    }

    /// What becomes of a frame that this port has sent.
    pub fn fate(&mut self, from: usize, frame: &[u8]) -> Fate {
        // Every neighbour is known by configuration: nothing but unicast is needed.
        let Some(port) = frame.get(..6).and_then(port_of) else { return Fate::Lost };
        let Some(link) = self.links.get(from).and_then(|l| l.get(port)).copied() else { return Fate::Lost };
        if link.forgets
            && let Some((connection, opens)) = connection(frame)
        {
            if opens {
                self.fresh.insert(connection);
            }
            if !self.fresh.contains(&connection) {
                return Fate::Lost;
            }
        }
        match link.loss > 0.0 && self.random.random_bool(link.loss.min(1.0)) {
            true => Fate::Lost,
            false => Fate::Arrives { port, after: link.delay },
        }
    }
}

/// First bytes of every interface's hardware address (locally administered); the last one is the port.
const MAC: [u8; 5] = [0x02, 0x64, 0x6d, 0, 0];

/// The hardware address of a port's interface.
pub(super) fn mac(port: u8) -> String {
    MAC.iter().chain([&port]).map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":")
}

fn port_of(mac: &[u8]) -> Option<usize> {
    mac.strip_prefix(&MAC[..]).and_then(|rest| rest.first()).map(|port| usize::from(*port))
}

/// The TCP connection that a frame belongs to, and whether it is the packet that opens it.
fn connection(frame: &[u8]) -> Option<(Connection, bool)> {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let ip = frame.get(14..).filter(|_| frame.get(12..14) == Some(&[8, 0]))?;
    let header = usize::from(ip.first()? & 15) * 4;
    let tcp = ip.get(header..).filter(|_| ip.get(9) == Some(&6))?;
    let end = |address: usize, port: usize| -> Option<[u8; 6]> {
        let mut end = [0; 6];
        end[..4].copy_from_slice(ip.get(address..address + 4)?);
        end[4..].copy_from_slice(tcp.get(port..port + 2)?);
        Some(end)
    };
    let (source, destination) = (end(12, 0)?, end(16, 2)?);
    let flags = tcp.get(13)? & (SYN | ACK);
    Some(((source.min(destination), source.max(destination)), flags == SYN))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TCP packet between two ports of the switch, in a frame.
    fn frame(from: u8, to: u8, tcp_ports: (u16, u16), flags: u8) -> Vec<u8> {
        let mut frame = [&MAC[..], &[to], &MAC[..], &[from], &[8, 0]].concat();
        let mut ip = [0; 20];
        (ip[0], ip[9]) = (0x45, 6);
        ip[12..16].copy_from_slice(&[198, 18, 0, from]);
        ip[16..20].copy_from_slice(&[198, 18, 0, to]);
        let mut tcp = [0; 20];
        tcp[..2].copy_from_slice(&tcp_ports.0.to_be_bytes());
        tcp[2..4].copy_from_slice(&tcp_ports.1.to_be_bytes());
        tcp[13] = flags;
        frame.extend(ip.iter().chain(&tcp));
        frame
    }

    fn arrives(port: usize) -> Fate {
        Fate::Arrives { port, after: Duration::ZERO }
    }

    #[test]
    fn one_direction_is_cut_and_the_other_is_not() {
        let mut links = Links::new(3, 0);
        links.set(1, 2, Link::CUT);
        assert_eq!(links.fate(1, &frame(1, 2, (1, 2), 16)), Fate::Lost);
        assert_eq!(links.fate(2, &frame(2, 1, (2, 1), 16)), arrives(1));
        assert_eq!(links.fate(1, &frame(1, 0, (1, 2), 16)), arrives(0));
        links.heal();
        assert_eq!(links.fate(1, &frame(1, 2, (1, 2), 16)), arrives(2));
    }

    #[test]
    fn a_share_is_lost_and_the_rest_is_late() {
        let mut links = Links::new(2, 7);
        let delay = Duration::from_millis(30);
        links.set(0, 1, Link { loss: 0.25, delay, ..Link::default() });
        let fates: Vec<Fate> = (0..1000).map(|_| links.fate(0, &frame(0, 1, (1, 2), 16))).collect();
        let lost = fates.iter().filter(|f| **f == Fate::Lost).count();
        assert!((200..300).contains(&lost), "{lost} of 1000");
        assert!(fates.iter().all(|f| *f == Fate::Lost || *f == Fate::Arrives { port: 1, after: delay }));
    }

    #[test]
    fn forgotten_connections_are_silent_and_new_ones_work() {
        let mut links = Links::new(2, 0);
        let forgets = Link { forgets: true, ..Link::default() };
        links.set(0, 1, forgets);
        links.set(1, 0, forgets);
        assert_eq!(links.fate(0, &frame(0, 1, (5, 80), 16)), Fate::Lost);
        assert_eq!(links.fate(1, &frame(1, 0, (80, 6), 2 | 16)), Fate::Lost, "an answer opens nothing");
        assert_eq!(links.fate(0, &frame(0, 1, (6, 80), 2)), arrives(1));
        assert_eq!(links.fate(1, &frame(1, 0, (80, 6), 2 | 16)), arrives(0));
        assert_eq!(links.fate(0, &frame(0, 1, (5, 80), 16)), Fate::Lost);
    }

    #[test]
    fn what_is_for_nobody_here_is_lost() {
        let mut links = Links::new(2, 0);
        assert_eq!(links.fate(0, &[0xff; 60]), Fate::Lost);
        assert_eq!(links.fate(0, &frame(0, 9, (1, 2), 16)), Fate::Lost);
        assert_eq!(links.fate(0, &[]), Fate::Lost);
        assert_eq!(mac(3), "02:64:6d:00:00:03");
    }
}
