//! Standard output for data, standard error for everything else.

use std::io::{self, BufWriter, IsTerminal, Write};

use super::args::{Cli, When};
use crate::{
    changelog::Problem,
    error::{Error, Result},
    report::{Style, escape, ndjson},
};

/// Where a verb prints to.
pub(super) struct Output {
    data: BufWriter<io::Stdout>,
    /// Whether nothing was printed yet.
    is_empty: bool,
    failed: Option<io::Error>,
    colour: bool,
    /// Whether standard error is a terminal: somebody waits.
    pub(super) is_watched: bool,
    /// Whether progress may be drawn on it.
    pub(super) progress: bool,
    /// 0, 1 with -v, 2 with -vv.
    pub(super) verbose: u8,
    /// Whether only what somebody must know is to be printed.
    pub(super) quiet: bool,
}

impl Output {
    pub(super) fn new(cli: &Cli) -> Self {
        // A dumb terminal shows escape sequences as they are.
        let is = |name, value: &str| std::env::var_os(name).is_some_and(|is| is == value);
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || is("CLICOLOR", "0")
            || is("TERM", "dumb");
        let colour = match cli.color {
            When::Always => true,
            When::Never => false,
            When::Auto => !plain && io::stdout().is_terminal(),
        };
        let is_watched = io::stderr().is_terminal();
        Self {
            data: BufWriter::with_capacity(1 << 16, io::stdout()),
            is_empty: true,
            failed: None,
            colour,
            is_watched,
            progress: !cli.quiet && !plain && cli.color != When::Never && is_watched,
            verbose: cli.verbose,
            quiet: cli.quiet,
        }
    }

    /// Prints data. A reader that has gone away ends the output without a word, as it does for other tools.
    pub(super) fn data(&mut self, bytes: &[u8]) {
        self.is_empty &= bytes.is_empty();
        if self.failed.is_none() {
            self.failed = self.data.write_all(bytes).err();
        }
    }

    /// How reports are to look on standard output.
    pub(super) fn style(&self) -> Style {
        Style { colour: self.colour }
    }

    /// Whether nobody takes more data.
    pub(super) fn is_closed(&self) -> bool {
        self.failed.is_some()
    }

    /// Prints an empty line between what was printed and what comes.
    pub(super) fn part(&mut self) {
        if !self.is_empty {
            self.line("");
        }
    }

    /// Prints a line of data.
    pub(super) fn line(&mut self, text: &str) {
        self.data(text.as_bytes());
        self.data(b"\n");
    }

    /// Prints a line of JSON.
    pub(super) fn json(&mut self, value: &serde_json::Value) -> Result<()> {
        ndjson::write(self, value).map_err(|error| Error::io("report", "write", error))
    }

    /// Says something on standard error, unless told to be quiet.
    pub(super) fn note(&mut self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Says on standard error what not even a quiet run may keep to itself.
    pub(super) fn warning(&mut self, text: &str) {
        self.say(text);
    }

    /// Says what of a log is damaged; the exit code when something is.
    pub(super) fn problems(&mut self, problems: &[Problem], unlisted: u64) -> Option<u8> {
        for problem in problems {
            self.say(&problem.to_string());
        }
        if unlisted > 0 {
            self.say(&format!("and {unlisted} more"));
        }
        (!problems.is_empty()).then_some(74)
    }

    /// Says an error on standard error.
    pub(super) fn error(&mut self, error: &Error) {
        self.say(&error.to_string());
    }

    /// Messages hold names from images: nothing in them may steer a terminal. Several lines stay several lines.
    fn say(&mut self, text: &str) {
        let _ = self.data.flush();
        let mut stderr = io::stderr().lock();
        for line in text.lines() {
            let _ = writeln!(stderr, "snapfim: {}", escape::escaped(line));
        }
    }

    /// Writes out what is buffered; the exit code when that fails for another reason than a reader gone away.
    pub(super) fn finish(&mut self) -> Option<u8> {
        let failed = self.failed.take().or_else(|| self.data.flush().err())?;
        if failed.kind() == io::ErrorKind::BrokenPipe {
            return None;
        }
        self.say(&format!("standard output: {failed}"));
        Some(74)
    }
}

/// For reports, which write to any writer. Never fails: what went wrong is said at the end.
impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.data(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
