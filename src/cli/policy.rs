//! `snapfim policy show|check|explain`.

use std::os::unix::ffi::OsStrExt;

use super::{args::PolicyVerb, explain::explain, groups::PolicyArgs, output::Output, settings::policy_file};
use crate::{
    error::{Error, Result},
    policy::EffectivePolicy,
    report::escape,
};

pub(super) fn run(verb: &PolicyVerb, output: &mut Output) -> Result<u8> {
    match verb {
        PolicyVerb::Show { policy, machine } => {
            let (policy, left_out) = effective(policy, machine.as_deref())?;
            show(&policy, left_out.as_deref(), output)
        }
        PolicyVerb::Check { file } => check(file, output),
        PolicyVerb::Explain { path, policy, machine } => {
            let (policy, left_out) = effective(policy, machine.as_deref())?;
            explain(path.as_bytes(), &policy, output)?;
            left_out.iter().for_each(|left_out| output.line(&format!("  ({left_out})")));
            Ok(0)
        }
    }
}

/// What holds for a machine; where none is named, for every machine, with what is left out by that.
fn effective(args: &PolicyArgs, machine: Option<&str>) -> Result<(EffectivePolicy, Option<String>)> {
    let policy = args.policy("recommended")?.policy;
    let names: Vec<_> = policy.names_not_for("").filter(|_| machine.is_none()).collect();
    let left_out = (!names.is_empty()).then(|| {
        let names = escape::escaped(&names.join(", ")).into_owned();
        format!("left out, since they are for some machines only: {names}; --machine NAME says which machine it is")
    });
    Ok((policy.for_machine(machine.unwrap_or(""))?, left_out))
}

/// The effective policy holds more than a file can say: the parts of profiles are rules that share a name.
fn show(policy: &EffectivePolicy, left_out: Option<&str>, output: &mut Output) -> Result<u8> {
    let text = toml::to_string_pretty(policy).map_err(|error| Error::Bug(format!("policy: {error}")))?;
    output.line("# The effective policy, with the rules of its profiles; this is not a policy file.");
    left_out.iter().for_each(|left_out| output.line(&format!("# {left_out}")));
    output.data(text.as_bytes());
    Ok(0)
}

fn check(file: &std::path::Path, output: &mut Output) -> Result<u8> {
    let (policy, shown) = policy_file(file)?;
    let policy = policy.for_machine("")?;
    let rules = match policy.rules.len() {
        1 => "1 rule applies".to_owned(),
        number => format!("{number} rules apply"),
    };
    output.line(&format!("{shown}: {rules} to every machine, no errors"));
    Ok(0)
}
