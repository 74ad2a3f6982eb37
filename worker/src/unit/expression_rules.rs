//! Expression filters of one subtask, parsed.
use std::sync::Arc;

use dm_proto::{config::ExpressionFilterConfig, error::Code};
use dm_schema::{BoundExpression, Expression, ExpressionError, SUPPORTED_EXPRESSIONS, TableModel, TableName};

use crate::failure::Failure;

/// About which row image an expression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    Insert,
    UpdateOld,
    UpdateNew,
    Delete,
}

impl Image {
    /// The key of the task file.
    fn key(self) -> &'static str {
        match self {
            Image::Insert => "insert-value-expr",
            Image::UpdateOld => "update-old-value-expr",
            Image::UpdateNew => "update-new-value-expr",
            Image::Delete => "delete-value-expr",
        }
    }
}

/// All filters of a subtask; they are read at its start, so that no task begins with one that can't be evaluated.
pub struct ExpressionRules {
    rules: Vec<Rule>,
    case_sensitive: bool,
}

struct Rule {
    name: String,
    table: TableName,
    parts: Vec<(Image, String, Expression)>,
}

/// A filter that is ready for the rows of one table: it skips a change for which all its parts are true.
#[derive(Debug)]
pub struct BoundRule {
    pub name: String,
    pub parts: Vec<(Image, BoundExpression)>,
}

impl ExpressionRules {
    pub fn new(filters: &[ExpressionFilterConfig], case_sensitive: bool) -> Result<Self, Failure> {
        let rules = filters.iter().map(Rule::new).collect::<Result<_, _>>()?;
        Ok(Self { rules, case_sensitive })
    }

    /// Names of the filters about a table.
    pub fn about(&self, source: &TableName) -> impl Iterator<Item = &str> {
        self.of(source).map(|rule| rule.name.as_str())
    }

    fn of(&self, source: &TableName) -> impl Iterator<Item = &Rule> {
        let same =
            |a: &str, b: &str| a == b || (!self.case_sensitive && a.to_lowercase() == b.to_lowercase());
        self.rules
            .iter()
            .filter(move |r| same(&r.table.schema, &source.schema) && same(&r.table.table, &source.table))
    }

    /// The filters of a table, about its columns.
    pub fn bind(&self, model: &TableModel) -> Result<Arc<[BoundRule]>, Failure> {
        self.of(&model.name).map(|rule| rule.bind(model)).collect()
    }
}

impl Rule {
    fn new(filter: &ExpressionFilterConfig) -> Result<Self, Failure> {
        let given = [
            (Image::Insert, &filter.insert),
            (Image::UpdateOld, &filter.update_old),
            (Image::UpdateNew, &filter.update_new),
            (Image::Delete, &filter.delete),
        ];
        let mut parts = Vec::new();
        for (image, text) in given {
            let Some(text) = text else { continue };
            let parsed = Expression::parse(text).map_err(|e| unusable(&filter.name, image, text, &e))?;
            parts.push((image, text.clone(), parsed));
        }
        Ok(Self { name: filter.name.clone(), table: TableName::new(&filter.schema, &filter.table), parts })
    }

    fn bind(&self, model: &TableModel) -> Result<BoundRule, Failure> {
        let parts = self.parts.iter().map(|(image, text, parsed)| {
            let bound = parsed.bind(model);
            bound.map(|b| (*image, b)).map_err(|e| unusable(&self.name, *image, text, &e))
        });
        Ok(BoundRule { name: self.name.clone(), parts: parts.collect::<Result<_, _>>()? })
    }
}

fn unusable(name: &str, image: Image, text: &str, error: &ExpressionError) -> Failure {
    let key = image.key();
    Failure::new(Code::ExpressionFilterGrammar, format!("expression-filter `{name}`: {key} `{text}`: {error}"))
        .workaround(format!(
            "Please correct the expression in the task file and start the task again; supported are {SUPPORTED_EXPRESSIONS}."
        ))
}
