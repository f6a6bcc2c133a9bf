//! The command line: what was typed becomes what it means, is done, and becomes an exit code. The only room that
//! prints, reads the environment or the clock. One file a verb; the definitions stand in `args.rs`.

mod args;
mod cat;
mod diff;
mod dry_run;
mod explain;
mod groups;
mod inspect;
mod log;
mod man;
mod manifest;
mod output;
mod policy;
mod progress;
mod scan;
mod settings;
mod status;
mod throttle;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, FromArgMatches};

use crate::error::Result;
use args::{Cli, Verb};
use output::Output;

/// Parses the command line, does what it says, and gives the exit code of `docs/cli.md`.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        // Help and version are no errors; clap knows which stream and which code they want.
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            return match error.print() {
                Err(unwritten) if unwritten.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::from(74),
                _ => ExitCode::from(code),
            };
        }
    };
    let mut output = Output::new(&cli);
    let result = run(&cli, &mut output);
    let code = match result {
        Ok(code) => code,
        Err(error) => {
            output.error(&error);
            error.exit_code()
        }
    };
    ExitCode::from(output.finish().unwrap_or(code))
}

/// Help and usage errors are printed before it is known what was typed, and go by `--color` too.
fn parse(typed: Vec<OsString>) -> Result<Cli, clap::Error> {
    let follows = |at: usize| typed.get(at.saturating_add(1)).and_then(|word| word.to_str());
    let words = typed.iter().enumerate().filter_map(|(at, word)| match word.to_str()? {
        "--color" => follows(at),
        word => word.strip_prefix("--color="),
    });
    let color = words.filter_map(|word| word.parse::<ColorChoice>().ok()).next_back().unwrap_or(ColorChoice::Auto);
    let mut command = Cli::command().color(color);
    let matches = command.clone().try_get_matches_from(&typed)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

fn run(cli: &Cli, output: &mut Output) -> Result<u8> {
    match &cli.verb {
        Verb::Scan(args) => scan::run(args, output),
        Verb::Diff(args) => diff::run(args, output),
        Verb::Log(args) => log::run(args, output),
        Verb::History(args) => log::history(args, output),
        Verb::Status(args) => status::run(args, output),
        Verb::Verify(args) => status::verify(args, output),
        Verb::Inspect(args) => inspect::run(args, output),
        Verb::Cat(args) => cat::run(args, output),
        Verb::Manifest(args) => manifest::run(args, output),
        Verb::Policy(verb) => policy::run(verb, output),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "snapfim", &mut script);
            output.data(&script);
            Ok(0)
        }
        Verb::Man(args) => man::run(args, output),
    }
}
