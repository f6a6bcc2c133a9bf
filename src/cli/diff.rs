//! `snapfim diff OLD NEW`: two targets or manifests, compared once.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    args::DiffArgs,
    output::Output,
    progress::Follow,
    scan::print,
    settings::{NamedPolicy, standard_input_once},
};
use crate::{
    error::Result,
    job::{self, Comparison},
    scan::Progress,
};

pub(super) fn run(args: &DiffArgs, output: &mut Output) -> Result<u8> {
    let sides = [args.old.as_os_str(), args.new.as_os_str()];
    standard_input_once(sides.into_iter().chain(args.open.files()).chain(args.policy.files()))?;
    let NamedPolicy { policy, name } = args.policy.policy("full")?;
    let comparison = Comparison {
        old: &args.old,
        new: &args.new,
        open: args.open.options(Some(&args.work))?,
        machine: args.machine.as_deref(),
        policy: &policy,
        policy_is_named: args.policy.is_named(),
        policy_name: &name,
        threads: args.work.threads(),
        budgets: args.work.budgets(),
        temp: &std::env::temp_dir(),
        now: &Timestamp::now,
    };
    let progress = Arc::new(Progress::default());
    let compared = {
        let _follow =
            Follow::start(&format!("{} and {}", args.old.display(), args.new.display()), &progress, output.progress);
        job::compare(&comparison, &progress)?
    };
    print(&compared.record, Some(&compared.events), args.format, output)?;
    Ok(if args.exit_zero { compared.record.exit & !1 } else { compared.record.exit })
}
