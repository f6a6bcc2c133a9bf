//! `snapfim man [VERB]`: manual pages, from the definitions that give the help.

use std::{fs, io, path::Path};

use clap::{Command, CommandFactory};

use super::{
    args::{Cli, ManArgs},
    output::Output,
};
use crate::error::{Error, Result};

pub(super) fn run(args: &ManArgs, output: &mut Output) -> Result<u8> {
    match &args.dir {
        Some(dir) => write_all(dir)?,
        None => output.data(&page(&of(&args.verb)?)?),
    }
    Ok(0)
}

/// The definitions with all that verbs inherit, without `help`, which is no verb of ours.
fn definitions() -> Command {
    let mut command = in_full(Cli::command().disable_help_subcommand(true));
    command.build();
    command
}

/// A page explains what the short help leaves out, too.
fn in_full(command: Command) -> Command {
    command.mut_args(|arg| arg.hide_short_help(false)).mut_subcommands(in_full)
}

/// The definition of a verb, by the words that are typed.
fn of(words: &[String]) -> Result<Command> {
    words.iter().try_fold(definitions(), |command, word| {
        command.find_subcommand(word).cloned().ok_or_else(|| {
            let verbs: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
            let there = if verbs.is_empty() { "no verbs".to_owned() } else { verbs.join(", ") };
            Error::Usage(format!("{word}: no such verb; {} has {there}", name(&command)))
        })
    })
}

/// `snapfim policy show`.
fn name(command: &Command) -> &str {
    command.get_bin_name().unwrap_or_else(|| command.get_name())
}

/// At the foot of every page stands what it belongs to, which is the program and not the verb.
fn page(command: &Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone()).source(concat!("snapfim ", env!("CARGO_PKG_VERSION")));
    man.render(&mut page).map_err(|error| Error::Bug(format!("manual page: {error}")))?;
    Ok(page)
}

/// Writes the pages of the program and of all its verbs, `snapfim-scan.1` and so on.
fn write_all(dir: &Path) -> Result<()> {
    let unwritten = |error: io::Error| Error::State(format!("manual pages in {}: {error}", dir.display()));
    fs::create_dir_all(dir).map_err(unwritten)?;
    write_below(&definitions(), &|file, page| fs::write(dir.join(file), page).map_err(unwritten))
}

/// Writes the page of a command, and those of the verbs beneath it.
fn write_below(command: &Command, write: &dyn Fn(String, Vec<u8>) -> Result<()>) -> Result<()> {
    write(format!("{}.1", name(command).replace(' ', "-")), page(command)?)?;
    command.get_subcommands().try_for_each(|verb| write_below(verb, write))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each verb beneath a command, and the words that are typed for it.
    fn verbs(command: &Command, words: &[String]) -> Vec<Vec<String>> {
        let below = command.get_subcommands().flat_map(|verb| {
            let words = [words, &[verb.get_name().to_owned()]].concat();
            std::iter::once(words.clone()).chain(verbs(verb, &words))
        });
        below.collect()
    }

    #[test]
    fn every_verb_has_a_page_with_all_its_options() {
        let dir = tempfile::tempdir().unwrap();
        write_all(dir.path()).unwrap();
        let verbs = verbs(&definitions(), &[]);
        for nested in [&["scan"][..], &["policy", "show"], &["policy", "check"], &["policy", "explain"]] {
            assert!(verbs.iter().any(|words| words == nested), "{nested:?}");
        }
        for words in verbs {
            let command = of(&words).unwrap();
            let page = String::from_utf8(page(&command).unwrap()).unwrap();
            let name = format!("snapfim-{}", words.join("-"));
            // At the foot of each stands the program, and not "show 0.1.0".
            let title = format!(".TH {name} 1  \"snapfim {}\" ", env!("CARGO_PKG_VERSION"));
            assert!(page.lines().any(|line| line == title), "{title}: {page}");
            let lines: Vec<_> = page.lines().collect();
            for option in command.get_arguments().filter_map(clap::Arg::get_long) {
                // A hyphen that is one is escaped: groff_char(7). The line below says what the option means.
                let head = format!("\\fB\\-\\-{}\\fR", option.replace('-', "\\-"));
                let at = lines.iter().rposition(|line| line.contains(&head)).unwrap_or_default();
                assert!(at > 0 && lines[at - 1] == ".TP" && !lines[at + 1].is_empty(), "{option} of {words:?}: {page}");
            }
            let file = std::fs::read_to_string(dir.path().join(format!("{name}.1"))).unwrap();
            assert_eq!(file, page, "{name}");
        }
        assert!(dir.path().join("snapfim.1").is_file());
    }

    #[test]
    fn a_verb_that_is_not_there_is_named() {
        for (words, says) in [
            (&["scna"][..], "scna: no such verb; snapfim has scan, diff"),
            (&["policy", "shwo"], "shwo: no such verb; snapfim policy has show, check, explain"),
            (&["scan", "x"], "x: no such verb; snapfim scan has no verbs"),
        ] {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            let error = of(&words).unwrap_err();
            assert!(error.to_string().starts_with(says) && error.exit_code() == 2, "{error}");
        }
    }
}
