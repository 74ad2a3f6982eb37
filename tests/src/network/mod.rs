//! A network of namespaces, whose links can fail.

mod link;
mod namespace;
mod switch;

use std::ffi::OsString;
use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};

pub use link::Link;

use self::{
    link::mac,
    namespace::{Namespace, ip},
    switch::Switch,
};

/// The host's name: our own namespace, where databases, workers and `dmctl` are.
pub const HOST: &str = "host";

/// Networks of one machine that can be there at once, of 256 addresses each. 198.18.0.0/15 is set aside for tests of
/// networks (RFC 2544) and routed nowhere.
const SUBNETS: u32 = 512;
const FIRST: u32 = 0xc612_0000;

/// A namespace for each master, with an address of its own, and one address for ourselves; in between a switch in user
/// space, which loses and delays frames as it is told. It needs root and `/dev/net/tun`. Everything is gone when this is
/// dropped, and when the process dies, however it does.
#[derive(Debug)]
pub struct Network {
    // First: it reads from interfaces that go with the namespaces.
    switch: Switch,
    namespaces: Vec<Namespace>,
    /// Our own, and then the members.
    names: Vec<String>,
    subnet: u32,
}

impl Network {
    /// A network of so many masters, named as a cluster names them; an error, with the reason, where the machine does not
    /// allow it. The seed decides which frames of a lossy link are lost.
    pub async fn start(masters: usize, seed: u64) -> Result<Self> {
        let names: Vec<String> =
            std::iter::once(HOST.to_owned()).chain((1..=masters).map(|n| format!("m{n}"))).collect();
        ensure!(names.len() < 200, "too many masters");
        let mut failed = None;
        // Another process of ours may have the first choice.
        for n in 0..8 {
            let subnet = (std::process::id() + n * 61) % SUBNETS;
            let interfaces = (0..names.len()).map(|port| interface(subnet, port)).collect();
            match Switch::start(interfaces, seed).await {
                Ok(switch) => {
                    let mut network = Self { switch, namespaces: Vec::new(), names, subnet };
                    network.connect().await?;
                    return Ok(network);
                }
                Err(e) => failed = Some(e),
            }
        }
        Err(failed.context("no subnet")?)
    }

    async fn connect(&mut self) -> Result<()> {
        for _ in 1..self.names.len() {
            self.namespaces.push(Namespace::new().await?);
        }
        for (port, namespace) in (1..).zip(&self.namespaces) {
            ip(&[], &format!("link set {} netns {}", interface(self.subnet, port), namespace.pid())).await?;
            namespace.ip(&["link set lo up".to_owned()]).await?;
            namespace.ip(&self.settings(port)).await?;
        }
        for line in self.settings(0) {
            ip(&[], &line).await?;
        }
        Ok(())
    }

    /// What makes a port's interface ready. Neighbours are entered by hand: an address that is not found is an error to
    /// whoever sends, and a network that loses everything tells nobody.
    fn settings(&self, port: usize) -> Vec<String> {
        let name = interface(self.subnet, port);
        let mut lines = vec![
            format!("link set {name} address {}", hardware(port)),
            format!("addr add {}/24 dev {name}", self.ip(port)),
            format!("link set {name} up"),
        ];
        for other in (0..self.names.len()).filter(|other| *other != port) {
            let (address, mac) = (self.ip(other), hardware(other));
            lines.push(format!("neigh replace {address} lladdr {mac} dev {name} nud permanent"));
        }
        lines
    }

    /// Our own address in it.
    pub fn host(&self) -> Ipv4Addr {
        self.ip(0)
    }

    /// A member's address.
    pub fn address(&self, member: &str) -> Result<Ipv4Addr> {
        Ok(self.ip(self.port(member)?))
    }

    /// The command that runs another command where a member is.
    pub fn enter(&self, member: &str) -> Result<Vec<OsString>> {
        let port = self.port(member)?;
        let namespace = port.checked_sub(1).and_then(|n| self.namespaces.get(n));
        Ok(namespace.map(Namespace::enter).unwrap_or_default())
    }

    /// Changes one direction between two of them ([`HOST`] is ourselves).
    pub fn set(&self, from: &str, to: &str, link: Link) -> Result<()> {
        let (from, to) = (self.port(from)?, self.port(to)?);
        self.switch.links(|links| links.set(from, to, link));
        Ok(())
    }

    /// Changes both directions.
    pub fn set_both(&self, one: &str, other: &str, link: Link) -> Result<()> {
        self.set(one, other, link)?;
        self.set(other, one, link)
    }

    /// All links are as new.
    pub fn heal(&self) {
        self.switch.links(link::Links::heal);
    }

    /// Everybody but this one, ourselves included.
    pub fn others<'a>(&'a self, member: &'a str) -> impl Iterator<Item = &'a str> {
        self.names.iter().map(String::as_str).filter(move |name| *name != member)
    }

    fn port(&self, member: &str) -> Result<usize> {
        self.names.iter().position(|name| name == member).with_context(|| format!("{member} has no port"))
    }

    fn ip(&self, port: usize) -> Ipv4Addr {
        let port = u32::try_from(port).unwrap_or_default();
        Ipv4Addr::from_bits(FIRST + self.subnet * 256 + 1 + port)
    }
}

/// An interface is named after the subnet that it claims: the kernel lets nobody else have it.
fn interface(subnet: u32, port: usize) -> String {
    format!("raftdm{subnet}-{port}")
}

fn hardware(port: usize) -> String {
    mac(u8::try_from(port).unwrap_or(u8::MAX))
}
