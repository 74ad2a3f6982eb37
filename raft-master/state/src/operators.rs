//! Error operators (`dmctl binlog`): what a person wants done with single events of a source's binlog.
use dm_proto::{
    raft,
    worker::{ErrorOperator, OperatorKind, Stage},
};

use crate::{
    apply::{Incompatible, existing_subtasks},
    outcome::{code, done, refused},
    state::State,
};

/// More statements than this for one event are refused; a worker numbers them in one byte.
pub const MAX_STATEMENTS: usize = 255;
/// Bound on the operators that one subtask may have pending.
pub const MAX_OPERATORS: usize = 1000;

/// The pending operators of one subtask, by place in the binlog: numbers of files compare as numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operators(Vec<ErrorOperator>);

fn key(operator: &ErrorOperator) -> (u64, &str, u64) {
    let number = operator.file.rsplit('.').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    (number, &operator.file, operator.pos)
}

impl Operators {
    /// In order of place.
    pub fn iter(&self) -> impl Iterator<Item = &ErrorOperator> {
        self.0.iter()
    }

    /// The one at a place.
    pub fn at(&self, file: &str, pos: u64) -> Option<&ErrorOperator> {
        self.0.iter().find(|o| o.file == file && o.pos == pos)
    }

    /// The one with an id.
    pub fn has(&self, id: u64) -> bool {
        self.0.iter().any(|o| o.id == id)
    }

    fn put(&mut self, operator: ErrorOperator) {
        self.0.retain(|o| o.file != operator.file || o.pos != operator.pos);
        let at = self.0.partition_point(|o| key(o) < key(&operator));
        self.0.insert(at, operator);
    }

    /// Of a snapshot; the error is a kind that is not known.
    pub(crate) fn restore(operators: Vec<ErrorOperator>) -> Result<Self, i32> {
        let mut all = Self::default();
        for operator in operators {
            OperatorKind::try_from(operator.kind).map_err(|_| operator.kind)?;
            all.put(operator);
        }
        Ok(all)
    }
}

pub(crate) fn set(state: &mut State, c: &raft::SetOperator) -> Result<raft::Outcome, Incompatible> {
    let Some(wanted) = &c.operator else {
        return Ok(refused(code::OPERATION_INVALID, "no operator is given"));
    };
    let kind = OperatorKind::try_from(wanted.kind)
        .map_err(|_| Incompatible::UnknownValue { field: "operator kind", value: wanted.kind })?;
    let needs = match kind {
        OperatorKind::OperatorInvalid => return Ok(refused(code::OPERATION_INVALID, "no kind of operator")),
        OperatorKind::OperatorSkip => false,
        OperatorKind::OperatorReplace | OperatorKind::OperatorInject => true,
    };
    if needs == wanted.sqls.is_empty() || wanted.sqls.len() > MAX_STATEMENTS {
        let message =
            format!("replace and inject take 1 to {MAX_STATEMENTS} statements, and skip takes none");
        return Ok(refused(code::OPERATION_INVALID, message));
    }
    if wanted.file.is_empty() || wanted.pos == 0 {
        return Ok(refused(code::OPERATION_INVALID, "an operator needs a place in the binlog"));
    }
    let id = state.revision_counter + 1;
    let subtasks = match existing_subtasks(state, &c.task, std::slice::from_ref(&c.source_id)) {
        Ok(subtasks) => subtasks,
        Err(outcome) => return Ok(outcome),
    };
    let Some(subtask) = subtasks.get_mut(&c.source_id) else {
        return Ok(refused(code::TASK_NOT_EXIST, format!("task {} is not on {}", c.task, c.source_id)));
    };
    let there = subtask.operators.at(&wanted.file, wanted.pos);
    let same = there.is_some_and(|o| {
        o.kind == wanted.kind && o.sqls == wanted.sqls && (o.gtid == wanted.gtid || wanted.gtid.is_empty())
    });
    if !same && there.is_none() && subtask.operators.0.len() >= MAX_OPERATORS {
        let message = format!("{MAX_OPERATORS} operators are pending; revert those that are not needed");
        return Ok(refused(code::OPERATION_INVALID, message));
    }
    // Also where it is pending already: a person who sets it again wants to go on.
    subtask.desired = Stage::Running;
    subtask.resume_serial += 1;
    if !same {
        subtask.operators.put(ErrorOperator { id, ..wanted.clone() });
        // Ids come from the counter of task revisions: unlike each other, and only growing.
        state.revision_counter = id;
    }
    Ok(done(true, 0))
}

pub(crate) fn remove(state: &mut State, c: &raft::RemoveOperator) -> raft::Outcome {
    let subtask = state.tasks.get_mut(&c.task).and_then(|t| t.subtasks.get_mut(&c.source_id));
    let Some(subtask) = subtask else { return done(false, 0) };
    let before = subtask.operators.0.len();
    subtask.operators.0.retain(|o| match c.id {
        0 => o.file != c.file || o.pos != c.pos,
        id => o.id != id,
    });
    done(subtask.operators.0.len() != before, 0)
}
