//! Requests that have been carried out.
use std::collections::VecDeque;

/// More than a client can have outstanding until an election ends.
const KEPT: usize = 1000;

/// Names of the last requests that were carried out. Without them a call that is sent again after an unknown outcome would be carried
/// out twice, with somebody else's opposite call between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests(VecDeque<Vec<u8>>);

impl Requests {
    /// Whether it has been carried out already.
    pub fn contains(&self, request: &[u8]) -> bool {
        // From the youngest on: what is sent again was sent a moment ago.
        self.0.iter().rev().any(|kept| kept == request)
    }

    /// Keeps one more, and forgets the oldest.
    pub fn push(&mut self, request: Vec<u8>) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(request);
    }

    /// Oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.0.iter()
    }

    /// As [`Self::iter`] gave them.
    pub fn restore(requests: Vec<Vec<u8>>) -> Self {
        Self(requests.into())
    }
}
