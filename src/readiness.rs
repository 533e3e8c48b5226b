//! The server's readiness: a list of named components, each of which says what is wrong with it. Does not know what the
//! components do, nor how readiness is reported.

/// What is wrong with a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Requests cannot be served, and why.
    NotReady(String),
    /// Requests are served although something is not as it should be, and what.
    Degraded(String),
}

impl Finding {
    /// Why requests cannot be served, if they cannot.
    pub fn unready_reason(self) -> Option<String> {
        match self {
            Finding::NotReady(why) => Some(why),
            Finding::Degraded(_) => None,
        }
    }
}

/// The server's condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All is well.
    Ready,
    /// It serves, but something is not as it should be.
    Degraded,
    /// It cannot serve.
    NotReady,
}

/// The server's condition, and its causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadinessReport {
    /// The worst of what was found.
    pub condition: Condition,
    /// Component and cause: first what keeps the server from serving, then the rest, each in the order of the components.
    pub causes: Vec<(&'static str, String)>,
}

/// The components that readiness asks.
#[derive(Default)]
pub struct Readiness(Vec<Component>);

struct Component {
    name: &'static str,
    look: Box<dyn Fn() -> Vec<Finding> + Send + Sync>,
}

impl Readiness {
    /// Adds a component, which `look` asks at each report; it must not block.
    pub fn add<F: IntoIterator<Item = Finding>>(
        &mut self,
        name: &'static str,
        look: impl Fn() -> F + Send + Sync + 'static,
    ) {
        self.0.push(Component { name, look: Box::new(move || look().into_iter().collect()) });
    }

    /// The server's condition now.
    pub fn report(&self) -> ReadinessReport {
        let (mut missing, mut degraded) = (Vec::new(), Vec::new());
        for Component { name, look } in &self.0 {
            for finding in look() {
                match finding {
                    Finding::NotReady(why) => missing.push((*name, why)),
                    Finding::Degraded(why) => degraded.push((*name, why)),
                }
            }
        }
        let condition = match (missing.is_empty(), degraded.is_empty()) {
            (false, _) => Condition::NotReady,
            (true, false) => Condition::Degraded,
            (true, true) => Condition::Ready,
        };
        missing.append(&mut degraded);
        ReadinessReport { condition, causes: missing }
    }
}

#[cfg(test)]
mod tests {
    use super::{Condition, Finding, Readiness, ReadinessReport};

    #[test]
    fn all_causes_are_named_and_the_worst_one_decides() {
        let mut readiness = Readiness::default();
        assert_eq!(readiness.report(), ReadinessReport { condition: Condition::Ready, causes: Vec::new() });
        readiness.add("store", || None);
        assert_eq!(readiness.report().condition, Condition::Ready);
        readiness.add("audit", || [Finding::Degraded("away".to_owned()), Finding::Degraded("full".to_owned())]);
        let degraded = readiness.report();
        assert_eq!(degraded.condition, Condition::Degraded);
        let (away, full) = (("audit", "away".to_owned()), ("audit", "full".to_owned()));
        assert_eq!(degraded.causes, [away.clone(), full.clone()]);
        readiness.add("tasks", || Some(Finding::NotReady("gone".to_owned())));
        let report = readiness.report();
        assert_eq!(report.condition, Condition::NotReady);
        assert_eq!(report.causes, [("tasks", "gone".to_owned()), away, full]);
    }
}
