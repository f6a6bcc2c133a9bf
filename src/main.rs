//! Parse, run, exit code.

fn main() -> std::process::ExitCode {
    snapfim::cli::main()
}
