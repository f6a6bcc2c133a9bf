//! What differs between two policies, for people.

use std::collections::BTreeSet;

use crate::{
    policy::{EffectivePolicy, Entry, Rule},
    text::readable,
};

/// So many differences are named, and the rest is counted.
const MAX_WORDS: usize = 100;

/// How a list of a rule is called.
type Named = (&'static str, fn(&Rule) -> &[Entry]);

/// The lists of a rule.
const LISTS: [Named; 4] = [
    ("path", |rule| &rule.paths),
    ("key", |rule| &rule.registry),
    ("value", |rule| &rule.values),
    ("exclude", |rule| &rule.exclude),
];

/// What was added, removed and changed, without what the image answered.
pub(super) fn words(old: &EffectivePolicy, new: &EffectivePolicy) -> Vec<String> {
    let names =
        |policy: &EffectivePolicy| -> BTreeSet<String> { policy.rules.iter().map(|rule| rule.name.clone()).collect() };
    let (before, now) = (names(old), names(new));
    let mut what: Vec<String> = now.difference(&before).map(|name| format!("rule {name} added")).collect();
    what.extend(before.difference(&now).map(|name| format!("rule {name} removed")));
    what.extend(now.intersection(&before).flat_map(|name| rule_words(name, old, new)));
    if old.profiles != new.profiles {
        what.push(instead("profiles", &old.profiles, &new.profiles));
    }
    let exclude = |entry: &str| format!("exclude {entry} of every rule");
    what.extend(list_words(&texts(&old.exclude), &texts(&new.exclude), &exclude));
    let accept = |entry: &str| format!("accepted gap {entry}");
    what.extend(list_words(&texts(&old.accept), &texts(&new.accept), &accept));
    if what.is_empty() {
        what.push("its rules or entries stand in another order".to_owned());
    }
    first(what)
}

/// The first of many differences, and how many more there are.
fn first(mut what: Vec<String>) -> Vec<String> {
    if let more @ 1.. = what.len().saturating_sub(MAX_WORDS) {
        what.truncate(MAX_WORDS);
        what.push(format!("and {more} more"));
    }
    what
}

/// What differs in the rules of one name: the parts of a profile are rules that share it.
fn rule_words(name: &str, old: &EffectivePolicy, new: &EffectivePolicy) -> Vec<String> {
    let [before, now] = [old, new].map(|policy| -> Vec<Rule> {
        let strip = |rule: &Rule| Rule { resolved: Vec::new(), ..rule.clone() };
        policy.rules.iter().filter(|rule| rule.name == name).map(strip).collect()
    });
    if before == now {
        return Vec::new();
    }
    let mut what = Vec::new();
    for (list, of) in LISTS {
        let [before, now] =
            [&before, &now].map(|rules| rules.iter().flat_map(|rule| texts(of(rule))).collect::<Vec<_>>());
        what.extend(list_words(&before, &now, &|entry| format!("rule {name}: {list} {entry}")));
    }
    let compared = |rules: &[Rule]| once(rules.iter().map(|rule| rule.compare.tokens().join(" ")));
    let severe = |rules: &[Rule]| once(rules.iter().map(|rule| rule.severity.as_str().to_owned()));
    for (setting, before, now) in
        [("compare", compared(&before), compared(&now)), ("severity", severe(&before), severe(&now))]
    {
        if before != now {
            what.push(format!("rule {name}: {}", instead(setting, &before, &now)));
        }
    }
    if what.is_empty() {
        what.push(format!("rule {name} changed"));
    }
    what
}

fn texts(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.text.as_str()).collect()
}

fn once(words: impl Iterator<Item = String>) -> Vec<String> {
    words.collect::<BTreeSet<_>>().into_iter().collect()
}

/// What one of two lists has and the other has not.
fn list_words(old: &[&str], new: &[&str], say: &dyn Fn(&str) -> String) -> Vec<String> {
    let [before, now] = [old, new].map(|list| list.iter().collect::<BTreeSet<_>>());
    let added = new.iter().filter(|entry| !before.contains(entry)).map(|entry| format!("{} added", say(entry)));
    let removed = old.iter().filter(|entry| !now.contains(entry)).map(|entry| format!("{} removed", say(entry)));
    added.chain(removed).collect()
}

fn instead(what: &str, old: &[String], new: &[String]) -> String {
    let shown = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!("{what} {} instead of {}", shown(new), shown(old))
}

/// Which of the rules' own paths lead elsewhere than before.
pub(super) fn link_words(old: &EffectivePolicy, new: &EffectivePolicy) -> Vec<String> {
    let links = |policy: &EffectivePolicy| -> BTreeSet<(Vec<u8>, Vec<u8>)> {
        let all = policy.rules.iter().flat_map(|rule| &rule.resolved);
        all.map(|link| (link.spelled.0.clone(), link.canonical.0.clone())).collect()
    };
    let (before, now) = (links(old), links(new));
    let say =
        |(spelled, to): &(Vec<u8>, Vec<u8>), leads: &str| format!("{} {leads} {}", readable(spelled), readable(to));
    let mut what: Vec<String> = now.difference(&before).map(|link| say(link, "now leads to")).collect();
    what.extend(before.difference(&now).map(|link| say(link, "led to")));
    if let (Some(before), Some(now)) = (&old.control_set, &new.control_set)
        && before != now
    {
        what.push(format!("CurrentControlSet is {now} instead of {before}"));
    }
    first(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{ExactPath, Link};

    #[test]
    fn paths_of_links_stand_in_an_event_as_they_are() {
        let policy = |to: &[u8]| {
            let exact = |path: &[u8]| ExactPath(path.to_vec());
            let resolved = vec![Link { spelled: exact("C:\\Users\\Ünal".as_bytes()), canonical: exact(to) }];
            EffectivePolicy { rules: vec![Rule { resolved, ..Rule::default() }], ..EffectivePolicy::default() }
        };
        assert_eq!(
            link_words(&policy(b"D:\\a"), &policy(b"D:\\\xff")),
            [r"C:\Users\Ünal now leads to D:\\xff", r"C:\Users\Ünal led to D:\a"]
        );
    }
}
