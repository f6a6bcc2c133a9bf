//! `snapfim policy explain`: which rules take or drop a path, and why.

use super::output::Output;
use crate::{
    error::Result,
    policy::{Effect, EffectivePolicy, EntityPath, Matcher, Reach, Reason, Root, Verdict},
    report::escape,
};

pub(super) fn explain(given: &[u8], policy: &EffectivePolicy, output: &mut Output) -> Result<()> {
    let matcher = Matcher::new(policy)?;
    let (stem, is_container) = match given {
        [stem @ .., b'/' | b'\\'] if !stem.is_empty() => (stem, true),
        _ => (given, false),
    };
    for (answers, asked) in asked(stem, is_container, &matcher)? {
        for answer in answers {
            explain_one(&asked, &answer, &matcher, policy, output)?;
        }
    }
    Ok(())
}

/// A path that is asked about.
struct Asked {
    /// As it was typed, with its drive where that makes a difference.
    shown: Vec<u8>,
    path: EntityPath,
    is_container: bool,
}

/// What holds for a path.
#[derive(PartialEq)]
struct Answer {
    /// For what at that path, where it is not the same for all.
    of: &'static str,
    verdict: Verdict,
    reasons: Vec<Reason>,
}

impl Answer {
    fn new(matcher: &Matcher, path: &EntityPath, is_container: bool) -> Self {
        let verdict = matcher.verdict(path, None, is_container);
        Self { of: "", verdict, reasons: matcher.explain(path, None, is_container) }
    }

    fn shown(&self, policy: &EffectivePolicy) -> String {
        match (self.verdict.is_taken(), self.reasons.is_empty()) {
            (true, _) => format!("monitored by {}", policy.names(self.verdict.all()).join(", ")),
            (false, true) => "not monitored: no rule reaches it".to_owned(),
            (false, false) => "not monitored".to_owned(),
        }
    }

    fn say_reasons(&self, output: &mut Output) {
        for reason in &self.reasons {
            let does = match reason.effect {
                Effect::Takes => "takes",
                Effect::TakesExistence => "takes (that the key exists, and the values named)",
                Effect::Drops => "drops",
            };
            let how = match reason.reach {
                Reach::Names => "names it",
                Reach::Beneath => "names a container above it",
            };
            let rule = reason.name.as_ref().map_or_else(|| "every rule".to_owned(), |name| format!("rule {name}"));
            let source = &reason.source;
            output.line(&format!("  {does}  {}  ({how}; {rule}, {}:{})", reason.pattern, source.name, source.line));
        }
    }
}

impl Asked {
    fn new(shown: &[u8], is_container: bool) -> Result<Self> {
        // Names on a drive have neither a slash nor a colon: what stands behind a colon is a stream, which is its
        // file's.
        let is_drive = matches!(shown, [letter, b':', ..] if letter.is_ascii_alphabetic());
        let spelled = shown.iter().map(|byte| if is_drive && *byte == b'/' { b'\\' } else { *byte });
        let mut path = EntityPath::parse(&spelled.collect::<Vec<_>>())?;
        let mut shown = shown.to_vec();
        if is_drive && path.segments.is_empty() {
            shown.push(b'\\');
        }
        if is_drive && let Some(last) = path.segments.pop() {
            let file = last.iter().rposition(|byte| *byte == b':').map_or(&*last, |colon| &last[..colon]);
            path.segments.extend((!file.is_empty()).then(|| file.to_vec()));
        }
        let is_container = is_container || path.segments.is_empty() || matches!(path.root, Root::Hive(_));
        Ok(Self { shown, path, is_container })
    }

    /// What holds for it; where nobody says what it is and it matters, for each that it may be. A link may stand for a
    /// directory.
    fn answers(&self, matcher: &Matcher) -> Vec<Answer> {
        let container = Answer::new(matcher, &self.path, true);
        let other = Answer::new(matcher, &self.path, false);
        if self.is_container || container == other {
            return vec![container];
        }
        vec![Answer { of: ", a directory or link", ..container }, Answer { of: ", anything else", ..other }]
    }
}

/// What is asked about; of a path without a drive, that on each drive of which a rule says something of its own.
fn asked(given: &[u8], is_container: bool, matcher: &Matcher) -> Result<Vec<(Vec<Answer>, Asked)>> {
    if !given.starts_with(b"\\") {
        let one = Asked::new(given, is_container)?;
        return Ok(vec![(one.answers(matcher), one)]);
    }
    let mut told = Vec::<(Vec<Answer>, Asked)>::new();
    for drive in (b'C'..=b'Z').chain(*b"AB") {
        let one = Asked::new(&[&[drive, b':'], given].concat(), is_container)?;
        let answers = one.answers(matcher);
        if told.iter().all(|(other, _)| *other != answers) {
            told.push((answers, one));
        }
    }
    if let [(_, all)] = told.as_mut_slice() {
        all.shown = given.to_vec();
    } else {
        told.retain(|(answers, _)| answers.iter().any(|answer| !answer.reasons.is_empty()));
    }
    Ok(told)
}

fn explain_one(
    asked: &Asked,
    answer: &Answer,
    matcher: &Matcher,
    policy: &EffectivePolicy,
    output: &mut Output,
) -> Result<()> {
    let Asked { shown, path, is_container } = asked;
    let verdict = &answer.verdict;
    // Which set is the current one is known of a target alone, and logs spell all of them by number.
    let set = path.control_set().filter(|_| policy.control_set.is_none());
    let there = set.map(|set| Matcher::new(&policy.clone().with_control_set(set))).transpose()?;
    let there = there.map(|there| Answer::new(&there, path, *is_container));
    let there = there
        .filter(|Answer { verdict: other, .. }| other.is_taken() != verdict.is_taken() || other.all() != verdict.all());
    let unless = if there.is_some() { ", unless its control set is the current one" } else { "" };
    let given = escape::escaped_bytes(shown);
    output.line(&format!("{given}{}: {}{unless}", answer.of, answer.shown(policy)));
    answer.say_reasons(output);
    if let (Some(set), Some(there)) = (set, &there) {
        output.line(&format!(
            "  {set} may be what CurrentControlSet means; the image tells, see snapfim inspect. Then: {}",
            there.shown(policy)
        ));
        there.say_reasons(output);
    }
    if let Some(severity) = policy.severity(verdict.all()) {
        output.line(&format!("  severity {}", severity.as_str()));
    }
    if may_be_led_here(matcher, path, answer) {
        output.line("  (links inside an image can bring more rules here: a scan follows the rules' own paths)");
    }
    Ok(())
}

/// Whether there are rules that do not reach a path by name, and would take it if a link on their own paths led there.
fn may_be_led_here(matcher: &Matcher, path: &EntityPath, answer: &Answer) -> bool {
    let drops = |reason: &Reason, rule| reason.effect == Effect::Drops && reason.rule.is_none_or(|own| own == rule);
    let is_free =
        |rule| !answer.verdict.all().contains(rule) && !answer.reasons.iter().any(|reason| drops(reason, rule));
    let roots = matcher.literal_roots();
    let mut followed = roots.iter().filter(|root| !root.segments.is_empty() && root.admits(&path.root));
    matches!(path.root, Root::Linux | Root::Drive(_)) && followed.any(|root| is_free(root.rule))
}
