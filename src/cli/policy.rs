//! `snapfim policy show|check|explain`.

use std::os::unix::ffi::OsStrExt;

use super::{args::PolicyVerb, groups::PolicyArgs, output::Output, settings::policy_file};
use crate::{
    error::{Error, Result},
    policy::{Effect, EffectivePolicy, EntityPath, Hive, Matcher, Reach, Reason, Root, Verdict},
    report::escape,
};

pub(super) fn run(verb: &PolicyVerb, output: &mut Output) -> Result<u8> {
    match verb {
        PolicyVerb::Show { policy, machine } => show(&effective(policy, machine.as_deref())?, output),
        PolicyVerb::Check { file } => check(file, output),
        PolicyVerb::Explain { path, policy, machine } => {
            explain(path.as_bytes(), &effective(policy, machine.as_deref())?, output)
        }
    }
}

fn effective(args: &PolicyArgs, machine: Option<&str>) -> Result<EffectivePolicy> {
    args.policy("recommended")?.policy.for_machine(machine.unwrap_or(""))
}

fn show(policy: &EffectivePolicy, output: &mut Output) -> Result<u8> {
    let text = toml::to_string_pretty(policy).map_err(|error| Error::Bug(format!("policy: {error}")))?;
    output.data(text.as_bytes());
    Ok(0)
}

fn check(file: &std::path::Path, output: &mut Output) -> Result<u8> {
    let (policy, shown) = policy_file(file)?;
    let policy = policy.for_machine("")?;
    output.line(&format!("{shown}: {} rules apply to every machine, no errors", policy.rules.len()));
    Ok(0)
}

fn explain(given: &[u8], policy: &EffectivePolicy, output: &mut Output) -> Result<u8> {
    let matcher = Matcher::new(policy)?;
    let (stem, is_container) = match given {
        [stem @ .., b'/' | b'\\'] if !stem.is_empty() => (stem, true),
        _ => (given, false),
    };
    for asked in asked(stem, is_container, &matcher)? {
        explain_one(&asked, &matcher, policy, output)?;
    }
    Ok(0)
}

/// A path that is asked about.
struct Asked {
    /// As it was typed, with its drive where that makes a difference.
    shown: Vec<u8>,
    path: EntityPath,
    is_container: bool,
}

impl Asked {
    fn new(shown: &[u8], is_container: bool) -> Result<Self> {
        // Names on a drive have neither a slash nor a colon: what stands behind a colon is a stream, which is its
        // file's.
        let is_drive = matches!(shown, [letter, b':', ..] if letter.is_ascii_alphabetic());
        let spelled = shown.iter().map(|byte| if is_drive && *byte == b'/' { b'\\' } else { *byte });
        let mut path = EntityPath::parse(&spelled.collect::<Vec<_>>())?;
        if is_drive && let Some(last) = path.segments.pop() {
            let file = last.iter().rposition(|byte| *byte == b':').map_or(&*last, |colon| &last[..colon]);
            path.segments.extend((!file.is_empty()).then(|| file.to_vec()));
        }
        let is_container = is_container || path.segments.is_empty() || matches!(path.root, Root::Hive(_));
        Ok(Self { shown: shown.to_vec(), path, is_container })
    }

    fn reasons(&self, matcher: &Matcher) -> Vec<Reason> {
        matcher.explain(&self.path, None, self.is_container)
    }
}

/// What is asked about; of a path without a drive, that on each drive of which a rule says something of its own.
fn asked(given: &[u8], is_container: bool, matcher: &Matcher) -> Result<Vec<Asked>> {
    if !given.starts_with(b"\\") {
        return Ok(vec![Asked::new(given, is_container)?]);
    }
    let mut told = Vec::<(Vec<Reason>, Asked)>::new();
    for drive in (b'C'..=b'Z').chain(*b"AB") {
        let one = Asked::new(&[&[drive, b':'], given].concat(), is_container)?;
        let reasons = one.reasons(matcher);
        if told.iter().all(|(other, _)| *other != reasons) {
            told.push((reasons, one));
        }
    }
    if let [(_, all)] = told.as_mut_slice() {
        all.shown = given.to_vec();
    } else {
        told.retain(|(reasons, _)| !reasons.is_empty());
    }
    Ok(told.into_iter().map(|(_, one)| one).collect())
}

fn explain_one(asked: &Asked, matcher: &Matcher, policy: &EffectivePolicy, output: &mut Output) -> Result<()> {
    let Asked { shown, path, is_container } = asked;
    let (given, container) = (escape::escaped_bytes(shown), *is_container);
    let reasons = asked.reasons(matcher);
    let verdict = matcher.verdict(path, None, container);
    // Which set is the current one is known of a target alone, and logs spell all of them by number.
    let set = control_set(path).filter(|_| policy.control_set.is_none());
    let there = set.map(|set| Matcher::new(&policy.clone().with_control_set(set))).transpose()?;
    let there = there.map(|there| (there.verdict(path, None, container), asked.reasons(&there)));
    let there = there.filter(|(other, _)| other.is_taken() != verdict.is_taken() || other.all() != verdict.all());
    let holds = |verdict: &Verdict, is_reached| match (verdict.is_taken(), is_reached) {
        (true, _) => format!("monitored by {}", policy.names(verdict.all()).join(", ")),
        (false, false) => "not monitored: no rule reaches it".to_owned(),
        (false, true) => "not monitored".to_owned(),
    };
    let unless = if there.is_some() { ", unless its control set is the current one" } else { "" };
    output.line(&format!("{given}: {}{unless}", holds(&verdict, !reasons.is_empty())));
    say_reasons(&reasons, output);
    if let (Some(set), Some((other, reasons))) = (set, &there) {
        output.line(&format!(
            "  {set} may be what CurrentControlSet means; the image tells, see snapfim inspect. Then: {}",
            holds(other, !reasons.is_empty())
        ));
        say_reasons(reasons, output);
    }
    if let Some(severity) = policy.severity(verdict.all()) {
        output.line(&format!("  severity {}", severity.as_str()));
    }
    if matches!(path.root, Root::Linux | Root::Drive(_)) && !verdict.is_taken() {
        output.line("  (links inside an image can bring a rule here too: a scan follows the rules' own paths)");
    }
    Ok(())
}

/// The control set that a path lies in, as `ControlSet001`.
fn control_set(path: &EntityPath) -> Option<&str> {
    let (Root::Hive(Hive::LocalMachine), [system, set, ..]) = (&path.root, path.segments.as_slice()) else {
        return None;
    };
    let set = std::str::from_utf8(set).ok()?;
    let (name, number) = set.split_at_checked("ControlSet".len())?;
    let is_numbered = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    (system.eq_ignore_ascii_case(b"SYSTEM") && name.eq_ignore_ascii_case("ControlSet") && is_numbered).then_some(set)
}

fn say_reasons(reasons: &[Reason], output: &mut Output) {
    for reason in reasons {
        let does = match reason.effect {
            Effect::Takes => "takes",
            Effect::TakesExistence => "takes (that the key exists, and the values named)",
            Effect::Drops => "drops",
        };
        let how = match reason.reach {
            Reach::Names => "names it",
            Reach::Beneath => "names a container above it",
        };
        let rule = reason.name.as_deref().unwrap_or("every rule");
        let source = &reason.source;
        output.line(&format!("  {does}  {}  ({how}; rule {rule}, {}:{})", reason.pattern, source.name, source.line));
    }
}
