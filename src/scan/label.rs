//! What a record says of the policy: the rules that cover it, and how they spell its path.

use std::sync::Arc;

use crate::{
    manifest::{Attribute, Record, Value},
    policy::{EffectivePolicy, EntityPath, Matcher, RuleSet, Verdict},
};

/// Says which rules cover records, and how they spell them. Neighbours are nearly always covered by the same rules,
/// whose names they share.
pub(super) struct Labels<'m> {
    policy: &'m EffectivePolicy,
    matcher: &'m Matcher,
    last: Option<(RuleSet, Arc<[String]>)>,
}

impl<'m> Labels<'m> {
    pub(super) fn new(policy: &'m EffectivePolicy, matcher: &'m Matcher) -> Self {
        Self { policy, matcher, last: None }
    }

    pub(super) fn label(&mut self, record: &mut Record, verdict: &Verdict) {
        record.set(Attribute::Rules, Value::List(self.names(verdict.all())));
        let spelled = verdict.route.and_then(|_| {
            let path = EntityPath::parse(&record.path).ok()?;
            self.matcher.spelled(verdict, &path)
        });
        if let Some(spelled) = spelled {
            record.set(Attribute::As, Value::Bytes(spelled));
        }
    }

    fn names(&mut self, rules: RuleSet) -> Arc<[String]> {
        if let Some((_, names)) = self.last.as_ref().filter(|(last, _)| *last == rules) {
            return Arc::clone(names);
        }
        let names: Arc<[String]> = self.policy.names(rules).into_iter().map(str::to_owned).collect();
        self.last = Some((rules, Arc::clone(&names)));
        names
    }
}
