//! The list of results.
use dm_proto::worker::CheckItem;

use crate::failure::Failure;

/// Results in the order of checking; names are those of `ignore-checking-items`.
#[derive(Debug, Default)]
pub struct Items {
    list: Vec<CheckItem>,
}

impl Items {
    pub fn pass(&mut self, name: &str) {
        self.list.push(CheckItem {
            name: name.to_owned(),
            state: "success".to_owned(),
            ..CheckItem::default()
        });
    }

    /// Passed, with something to read.
    pub fn tell(&mut self, name: &str, message: String) {
        self.list.push(CheckItem {
            name: name.to_owned(),
            state: "success".to_owned(),
            message,
            ..CheckItem::default()
        });
    }

    /// All so far.
    pub fn list_mut(&mut self) -> &mut Vec<CheckItem> {
        &mut self.list
    }

    pub fn warn(&mut self, name: &str, message: impl Into<String>, instruction: impl Into<String>) {
        self.list.push(CheckItem {
            name: name.to_owned(),
            state: "warning".to_owned(),
            message: message.into(),
            instruction: instruction.into(),
            error: None,
        });
    }

    pub fn fail(&mut self, name: &str, failure: &Failure) {
        self.list.push(CheckItem {
            name: name.to_owned(),
            state: "failure".to_owned(),
            message: failure.error.message.clone(),
            instruction: failure.error.workaround.to_string(),
            error: Some((&failure.error).into()),
        });
    }

    /// Passed, or failed with this error.
    pub fn expect(&mut self, name: &str, holds: bool, failure: impl FnOnce() -> Failure) {
        if holds { self.pass(name) } else { self.fail(name, &failure()) }
    }

    pub fn into_list(self) -> Vec<CheckItem> {
        self.list
    }
}
