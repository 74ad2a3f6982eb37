//! Names that tools for online schema changes give to their tables.

use regex::Regex;

use super::FilterError;

/// What a name says of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnlineRole<'n> {
    /// A table like any other.
    Real,
    /// It is to take the place of the table of this name.
    Shadow(&'n str),
    /// Nobody needs it once the change of the table of this name is done.
    Trash(&'n str),
}

/// The rules of a task: regular expressions of whole names, whose one group is the name of the changed table.
#[derive(Debug, Clone, Default)]
pub struct OnlineNames {
    shadow: Vec<Regex>,
    trash: Vec<Regex>,
}

impl OnlineNames {
    /// Compiles them.
    pub fn new(shadow: &[String], trash: &[String]) -> Result<Self, FilterError> {
        let compiled = |rules: &[String]| rules.iter().map(|r| compile(r)).collect::<Result<Vec<_>, _>>();
        Ok(Self { shadow: compiled(shadow)?, trash: compiled(trash)? })
    }

    /// Shadow rules come first where a name fits both.
    pub fn role<'n>(&self, table: &'n str) -> OnlineRole<'n> {
        let real = |rules: &[Regex]| {
            let found = rules.iter().find_map(|r| r.captures(table))?;
            found.get(1).map(|group| group.as_str()).filter(|name| !name.is_empty())
        };
        match (real(&self.shadow), real(&self.trash)) {
            (Some(name), _) => OnlineRole::Shadow(name),
            (None, Some(name)) => OnlineRole::Trash(name),
            (None, None) => OnlineRole::Real,
        }
    }
}

fn compile(rule: &str) -> Result<Regex, FilterError> {
    Regex::new(rule).map_err(|e| FilterError::Regex { pattern: rule.to_owned(), reason: e.to_string() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(shadow: &str, trash: &str) -> OnlineNames {
        OnlineNames::new(&[shadow.to_owned()], &[trash.to_owned()]).unwrap()
    }

    #[test]
    fn names_of_both_tools_are_known() {
        let names = names("^_(.+)_(?:new|gho)$", "^_(.+)_(?:ghc|del|old)$");
        for (name, role) in [
            ("_t_gho", OnlineRole::Shadow("t")),
            ("_t_new", OnlineRole::Shadow("t")),
            ("_a_b_new", OnlineRole::Shadow("a_b")),
            ("__t_new", OnlineRole::Shadow("_t")),
            ("_t_ghc", OnlineRole::Trash("t")),
            ("_t_del", OnlineRole::Trash("t")),
            ("_t_old", OnlineRole::Trash("t")),
            ("_t_20260102030405_del", OnlineRole::Trash("t_20260102030405")),
            ("t_new", OnlineRole::Real),
            ("_t_newer", OnlineRole::Real),
            ("__gho", OnlineRole::Real),
            ("t", OnlineRole::Real),
            ("", OnlineRole::Real),
        ] {
            assert_eq!(names.role(name), role, "{name}");
        }
        assert_eq!(OnlineNames::default().role("_t_gho"), OnlineRole::Real);
    }

    #[test]
    fn own_rules_take_the_place_of_the_tools_names() {
        let names = names("^(.+)__shadow$", "^(.+)__trash$");
        assert_eq!(names.role("t__shadow"), OnlineRole::Shadow("t"));
        assert_eq!(names.role("t__trash"), OnlineRole::Trash("t"));
        assert_eq!(names.role("_t_gho"), OnlineRole::Real);
        assert!(OnlineNames::new(&["(".to_owned()], &[]).is_err());
    }
}
