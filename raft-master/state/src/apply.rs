//! The transition function.
use std::collections::BTreeMap;

use dm_proto::{
    raft::{self, Command, Outcome, command::Body},
    worker::{MetaStage, Stage},
};

use crate::{
    operators::{self, Operators},
    outcome::{code, done, refused},
    state::{Binding, CLUSTER_VERSION, Source, State, Subtask, Worker},
};

/// Cluster version from which on requests are remembered.
const REQUESTS_SINCE: u64 = 2;

/// A command that this program does not know: the replica must stop, never skip it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Incompatible {
    /// A kind of command made by a later version.
    #[error(
        "a command of a kind that this version does not know; run the version that the other masters run"
    )]
    UnknownKind,
    /// The bytes are no command.
    #[error("a command that cannot be decoded: {0}")]
    Undecodable(String),
    /// The cluster was founded by a later version.
    #[error(
        "a cluster of version {found}; this version knows up to {CLUSTER_VERSION}; run the version that the other masters run"
    )]
    LaterCluster {
        /// Version found.
        found: u64,
    },
    /// A known command with an enum value of a later version.
    #[error("a command with {field} = {value}, which this version does not know")]
    UnknownValue {
        /// Name of the field.
        field: &'static str,
        /// Number found.
        value: i32,
    },
}

/// Applies one committed command. A refusal changes nothing. A command whose effect already holds is answered as done,
/// so that a proposer may repeat it after an unknown outcome; one that carries a request changes something once, whatever
/// others did since.
pub fn apply(state: &mut State, command: &Command) -> Result<Outcome, Incompatible> {
    // A master of an earlier version would carry it out again.
    let remembered = !command.request.is_empty() && state.cluster_version >= REQUESTS_SINCE;
    if remembered && command.body.is_some() && state.requests.contains(&command.request) {
        return Ok(done(false, 0));
    }
    let outcome = carry_out(state, command)?;
    // Also where nothing was left to change: an earlier attempt that is still on its way must not do it later.
    if remembered && matches!(&outcome.result, Some(raft::outcome::Result::Done(_))) {
        state.requests.push(command.request.clone());
    }
    Ok(outcome)
}

fn carry_out(state: &mut State, command: &Command) -> Result<Outcome, Incompatible> {
    let at = command.proposed_at_ms;
    match command.body.as_ref().ok_or(Incompatible::UnknownKind)? {
        Body::InitCluster(c) => init_cluster(state, c),
        Body::RegisterWorker(c) => Ok(register_worker(state, c)),
        Body::WorkerGone(c) => Ok(worker_gone(state, c)),
        Body::RemoveWorker(c) => Ok(remove_worker(state, c)),
        Body::PutSource(c) => Ok(put_source(state, c, at)),
        Body::RemoveSource(c) => Ok(remove_source(state, c)),
        Body::Bind(c) => Ok(bind(state, c)),
        Body::Unbind(c) => Ok(unbind(state, c)),
        Body::StartTask(c) => Ok(start_task(state, c, at)),
        Body::SetStage(c) => set_stage(state, c),
        Body::RemoveSubtasks(c) => Ok(remove_subtasks(state, c)),
        Body::SetMeta(c) => set_meta(state, c),
        Body::SetOperator(c) => operators::set(state, c),
        Body::RemoveOperator(c) => Ok(operators::remove(state, c)),
    }
}

fn init_cluster(state: &mut State, c: &raft::InitCluster) -> Result<Outcome, Incompatible> {
    // From the command alone: replicas may run different versions and must hold the same state.
    let version = c.cluster_version.max(1);
    if version > CLUSTER_VERSION {
        return Err(Incompatible::LaterCluster { found: version });
    }
    if c.cluster_id.is_empty() {
        return Ok(refused(code::FOREIGN_CLUSTER, "an empty cluster id"));
    }
    if state.cluster_id.is_empty() {
        state.cluster_id.clone_from(&c.cluster_id);
        state.cluster_version = version;
        return Ok(done(true, 0));
    }
    if state.cluster_id == c.cluster_id {
        return Ok(done(false, 0));
    }
    Ok(refused(code::FOREIGN_CLUSTER, format!("the cluster id is {} already", state.cluster_id)))
}

fn register_worker(state: &mut State, c: &raft::RegisterWorker) -> Outcome {
    if c.name.is_empty() || c.address.is_empty() || c.incarnation == 0 {
        return refused(
            code::INVALID_TRANSITION,
            "a worker registers with a name, an address and an incarnation",
        );
    }
    let worker = Worker { address: c.address.clone(), incarnation: c.incarnation };
    if state.workers.get(&c.name) == Some(&worker) {
        return done(false, 0);
    }
    if let Some((other, _)) =
        state.workers.iter().find(|(n, w)| **n != c.name && w.incarnation == c.incarnation)
    {
        return refused(code::WORKER_EXISTS, format!("this process has registered as dm-worker {other}"));
    }
    state.workers.insert(c.name.clone(), worker);
    done(true, 0)
}

fn worker_gone(state: &mut State, c: &raft::WorkerGone) -> Outcome {
    let Some(worker) = state.workers.get_mut(&c.name) else { return done(false, 0) };
    if worker.incarnation != c.incarnation || c.incarnation == 0 {
        return done(false, 0);
    }
    worker.incarnation = 0;
    for source in state.sources.values_mut() {
        if source.binding.as_ref().is_some_and(|b| b.worker == c.name && b.incarnation == c.incarnation) {
            source.binding = None;
        }
    }
    done(true, 0)
}

fn remove_worker(state: &mut State, c: &raft::RemoveWorker) -> Outcome {
    let Some(worker) = state.workers.get(&c.name) else { return done(false, 0) };
    // It left by itself meanwhile, or another process has come: the first is still offline, the second is not.
    if c.incarnation != 0 && ![0, c.incarnation].contains(&worker.incarnation) {
        let message = format!("dm-worker with name {} is online again", c.name);
        return refused(code::WORKER_ONLINE, message);
    }
    for source in state.sources.values_mut() {
        if source.binding.as_ref().is_some_and(|b| b.worker == c.name) {
            source.binding = None;
        }
    }
    state.workers.remove(&c.name);
    done(true, 0)
}

fn put_source(state: &mut State, c: &raft::PutSource, at: u64) -> Outcome {
    match state.sources.get(&c.source_id) {
        Some(source) if source.config == c.config => done(false, 0),
        Some(_) => {
            refused(code::SOURCE_EXISTS, format!("source config with ID {} already exists", c.source_id))
        }
        None => {
            let source = Source { config: c.config.clone(), binding: None, created_at_ms: at };
            state.sources.insert(c.source_id.clone(), source);
            done(true, 0)
        }
    }
}

fn remove_source(state: &mut State, c: &raft::RemoveSource) -> Outcome {
    if !state.sources.contains_key(&c.source_id) {
        return done(false, 0);
    }
    let tasks: Vec<&str> = state.tasks_of(&c.source_id).map(|(name, _)| name.as_str()).collect();
    if !tasks.is_empty() {
        let message =
            format!("source with name {} need to operate has existing tasks {tasks:?}", c.source_id);
        return refused(code::SOURCE_HAS_TASKS, message);
    }
    state.sources.remove(&c.source_id);
    done(true, 0)
}

fn bind(state: &mut State, c: &raft::Bind) -> Outcome {
    let Some(worker) = state.workers.get(&c.worker) else {
        return refused(code::WORKER_NOT_EXIST, format!("dm-worker with name {} not exists", c.worker));
    };
    if worker.incarnation != c.incarnation || c.incarnation == 0 {
        return refused(code::INVALID_TRANSITION, format!("dm-worker {} is another process now", c.worker));
    }
    let Some(source) = state.sources.get_mut(&c.source_id) else {
        return refused(code::SOURCE_NOT_EXIST, format!("source config with ID {} not exists", c.source_id));
    };
    let now = source.binding.as_ref().map_or(0, |b| b.epoch);
    if now != c.expected_epoch {
        // A repeated Bind finds the binding that it made itself.
        if let Some(b) = &source.binding
            && (b.worker == c.worker && b.incarnation == c.incarnation && b.epoch > c.epoch_floor)
        {
            return done(false, b.epoch);
        }
        let message = format!("source {} has epoch {now}, not {}", c.source_id, c.expected_epoch);
        return refused(code::INVALID_TRANSITION, message);
    }
    let Some(epoch) = state.epoch_counter.max(c.epoch_floor).checked_add(1) else {
        return refused(code::INVALID_TRANSITION, "no epoch is left above the one found in a target");
    };
    state.epoch_counter = epoch;
    source.binding = Some(Binding { worker: c.worker.clone(), incarnation: c.incarnation, epoch });
    done(true, epoch)
}

fn unbind(state: &mut State, c: &raft::Unbind) -> Outcome {
    let Some(source) = state.sources.get_mut(&c.source_id) else { return done(false, 0) };
    match &source.binding {
        Some(b) if b.epoch == c.expected_epoch => {
            source.binding = None;
            done(true, 0)
        }
        _ => done(false, 0),
    }
}

fn start_task(state: &mut State, c: &raft::StartTask, at: u64) -> Outcome {
    if c.task.is_empty() || c.sources.is_empty() {
        return refused(code::TASK_NOT_EXIST, "a task needs a name and at least one source");
    }
    if let Some(unknown) = c.sources.iter().find(|s| !state.sources.contains_key(*s)) {
        return refused(code::SOURCE_NOT_EXIST, format!("source config with ID {unknown} not exists"));
    }
    let empty = BTreeMap::new();
    let existing = state.tasks.get(&c.task).map_or(&empty, |t| &t.subtasks);
    let same = |s: &String| {
        existing.get(s).is_some_and(|x| {
            x.config == c.config
                && x.remove_meta == c.remove_meta
                && x.adopt_meta == c.adopt_meta
                && x.start_time == c.start_time
        })
    };
    if c.sources.iter().all(same) {
        return done(false, 0);
    }
    let taken: Vec<&String> = c.sources.iter().filter(|s| existing.contains_key(*s)).collect();
    if !taken.is_empty() {
        let message = format!("subtasks with name {} for sources {taken:?} already exist", c.task);
        return refused(code::SUBTASK_EXISTS, message);
    }
    state.revision_counter += 1;
    let revision = state.revision_counter;
    let task = state.tasks.entry(c.task.clone()).or_default();
    for source in &c.sources {
        let subtask = Subtask {
            config: c.config.clone(),
            revision,
            desired: Stage::Running,
            meta: MetaStage::MetaNone,
            adopt_meta: c.adopt_meta,
            remove_meta: c.remove_meta,
            start_time: c.start_time.clone(),
            resume_serial: 0,
            created_at_ms: at,
            operators: Operators::default(),
        };
        task.subtasks.insert(source.clone(), subtask);
    }
    done(true, 0)
}

fn set_stage(state: &mut State, c: &raft::SetStage) -> Result<Outcome, Incompatible> {
    let unknown = Incompatible::UnknownValue { field: "stage", value: c.stage };
    let stage = Stage::try_from(c.stage).map_err(|_| unknown)?;
    if !matches!(stage, Stage::Running | Stage::Paused) {
        return Ok(refused(
            code::STAGE_INVALID,
            format!("a subtask can't be asked to be {}", stage.as_str_name()),
        ));
    }
    let task = match existing_subtasks(state, &c.task, &c.sources) {
        Ok(task) => task,
        Err(outcome) => return Ok(outcome),
    };
    let mut changed = false;
    for (source, subtask) in task {
        if !c.sources.is_empty() && !c.sources.contains(source) {
            continue;
        }
        // Resuming a running subtask is a wish of its own: it may have stopped with an error.
        changed |= subtask.desired != stage || stage == Stage::Running;
        subtask.desired = stage;
        if stage == Stage::Running {
            subtask.resume_serial += 1;
        }
    }
    Ok(done(changed, 0))
}

fn remove_subtasks(state: &mut State, c: &raft::RemoveSubtasks) -> Outcome {
    let Some(task) = state.tasks.get_mut(&c.task) else { return done(false, 0) };
    let before = task.subtasks.len();
    task.subtasks.retain(|source, _| !c.sources.is_empty() && !c.sources.contains(source));
    let changed = task.subtasks.len() != before;
    if task.subtasks.is_empty() {
        state.tasks.remove(&c.task);
    }
    done(changed, 0)
}

fn set_meta(state: &mut State, c: &raft::SetMeta) -> Result<Outcome, Incompatible> {
    let unknown = Incompatible::UnknownValue { field: "meta", value: c.meta };
    let meta = MetaStage::try_from(c.meta).map_err(|_| unknown)?;
    let epoch = state.sources.get(&c.source_id).and_then(|s| s.binding.as_ref()).map_or(0, |b| b.epoch);
    if epoch != c.epoch || epoch == 0 {
        let message = format!("source {} has epoch {epoch}, not {}", c.source_id, c.epoch);
        return Ok(refused(code::INVALID_TRANSITION, message));
    }
    let subtask = state.tasks.get_mut(&c.task).and_then(|t| t.subtasks.get_mut(&c.source_id));
    let Some(subtask) = subtask.filter(|s| s.revision == c.task_revision) else {
        let message =
            format!("task {} with revision {} is not on source {}", c.task, c.task_revision, c.source_id);
        return Ok(refused(code::TASK_NOT_EXIST, message));
    };
    if subtask.meta as i32 >= meta as i32 {
        return Ok(done(false, 0));
    }
    if meta as i32 != subtask.meta as i32 + 1 {
        return Ok(refused(code::INVALID_TRANSITION, "meta rows are created before they exist"));
    }
    subtask.meta = meta;
    Ok(done(true, 0))
}

pub(crate) fn existing_subtasks<'a>(
    state: &'a mut State,
    task: &str,
    sources: &[String],
) -> Result<&'a mut BTreeMap<String, Subtask>, Outcome> {
    let absent = || {
        let message =
            format!("task {task} has no source or not exist, please check the task name and status");
        refused(code::TASK_NOT_EXIST, message)
    };
    let subtasks = &mut state.tasks.get_mut(task).ok_or_else(absent)?.subtasks;
    if let Some(unknown) = sources.iter().find(|s| !subtasks.contains_key(*s)) {
        return Err(refused(code::TASK_NOT_EXIST, format!("task {task} has no subtask on source {unknown}")));
    }
    Ok(subtasks)
}
