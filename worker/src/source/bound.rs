//! One bound source and the actors of its subtasks.
use std::{collections::BTreeMap, sync::Arc};

use dm_proto::worker::BoundSource;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    runtime::Process,
    subtask::{Desired, SubtaskActor, SubtaskStatus},
};

/// Orders that wait for their subtask's actor; more are refused.
const ORDERS: usize = 4;

struct Handle {
    wish: watch::Sender<Option<Desired>>,
    join: JoinHandle<()>,
}

/// Hands each subtask of the source its part of the assignment.
pub struct Bound {
    process: Arc<Process>,
    source_id: String,
    subtasks: BTreeMap<String, Handle>,
}

impl Bound {
    pub fn new(process: Arc<Process>, source_id: &str) -> Self {
        Self { process, source_id: source_id.to_owned(), subtasks: BTreeMap::new() }
    }

    /// Takes over what is wanted now; actors that are gone are forgotten.
    pub fn update(&mut self, wanted: &BoundSource) {
        self.process.board.set_source(&self.source_id, wanted.epoch, None);
        for subtask in &wanted.subtasks {
            let desired = Desired::of(wanted, subtask);
            match self.subtasks.get(&subtask.task) {
                Some(handle) if !handle.join.is_finished() => {
                    handle.wish.send_if_modified(|wish| {
                        let differs = wish.as_ref() != Some(&desired);
                        *wish = Some(desired);
                        differs
                    });
                }
                _ => self.start(&subtask.task, desired),
            }
        }
        for (task, handle) in &self.subtasks {
            if !wanted.subtasks.iter().any(|s| s.task == *task) {
                handle.wish.send_if_modified(|wish| wish.take().is_some());
            }
        }
        let board = &self.process.board;
        self.subtasks.retain(|task, handle| {
            let gone = handle.join.is_finished() && !wanted.subtasks.iter().any(|s| s.task == *task);
            if gone {
                board.remove_subtask(&self.source_id, task);
            }
            !gone
        });
    }

    /// The source is no longer ours.
    pub fn withdraw(&self) {
        for handle in self.subtasks.values() {
            handle.wish.send_if_modified(|wish| wish.take().is_some());
        }
    }

    /// True when every actor has ended and released its connections.
    pub fn released(&self) -> bool {
        self.subtasks.values().all(|h| h.join.is_finished())
    }

    /// Waits for the end of every actor; they bound their own stops.
    pub async fn join(self) {
        for handle in self.subtasks.into_values() {
            // A panic of an actor has been logged by the runtime; there is nothing left to release.
            let _ = handle.join.await;
        }
    }

    fn start(&mut self, task: &str, desired: Desired) {
        let (orders, inbox) = mpsc::channel(ORDERS);
        let status = Arc::new(SubtaskStatus::new(task, self.process.board.bell(), orders));
        self.process.board.add_subtask(&self.source_id, task, Arc::clone(&status));
        let (wish, seen) = watch::channel(Some(desired));
        let actor = SubtaskActor::new(Arc::clone(&self.process), &self.source_id, task, seen, inbox, status);
        self.subtasks.insert(task.to_owned(), Handle { wish, join: tokio::spawn(actor.run()) });
    }
}
