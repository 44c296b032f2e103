//! Whether what rules describe can ever end.

use std::collections::{HashMap, HashSet};

/// What a rule describes, as far as its end matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Ends by itself.
    Text,
    Rule(String),
    All(Vec<Shape>),
    Any(Vec<Shape>),
}

impl Shape {
    fn ends(&self, ending: &HashSet<&str>) -> bool {
        match self {
            Self::Text => true,
            Self::Rule(name) => ending.contains(name.as_str()),
            Self::All(parts) => parts.iter().all(|part| part.ends(ending)),
            Self::Any(ways) => ways.iter().any(|way| way.ends(ending)),
        }
    }
}

/// Whether some text of finite length is what the rule `first` describes: the least fixed point of "ends where all it needs ends".
pub fn can_end(rules: &HashMap<String, Shape>, first: &str) -> bool {
    let mut ending: HashSet<&str> = HashSet::new();
    loop {
        let more: Vec<&str> = rules
            .iter()
            .filter(|(name, shape)| !ending.contains(name.as_str()) && shape.ends(&ending))
            .map(|(name, _)| name.as_str())
            .collect();
        if more.is_empty() {
            return ending.contains(first);
        }
        ending.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_needs_itself_never_ends() {
        let rule = |name: &str| Shape::Rule(name.into());
        let mut rules = HashMap::from([("a".to_owned(), Shape::All(vec![Shape::Text, rule("a")]))]);
        assert!(!can_end(&rules, "a"));
        rules.insert("b".into(), Shape::Any(vec![rule("a"), Shape::All(vec![Shape::Text, rule("b")]), Shape::Text]));
        assert!(can_end(&rules, "b"));
        rules.insert("a".into(), Shape::Any(vec![Shape::All(vec![rule("b"), rule("b")])]));
        assert!(can_end(&rules, "a"));
        assert!(!can_end(&rules, "missing"));
    }
}
