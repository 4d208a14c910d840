//! Owns: the command line (config.md §1.2) and what it makes of the setup.

use std::io::{IsTerminal, Write, stderr, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use understudy_std::{Flags, LogFormat, Start, fail};

/// What the command line asks for.
pub(crate) enum Request {
    /// Serve the host on the standard streams.
    Serve(Start),
    /// Show what the server does.
    Demo {
        /// Report as JSON.
        json: bool,
    },
    /// Say what keeps the server from working.
    Doctor {
        /// As a server would be started.
        flags: Flags,
        /// Report as JSON.
        json: bool,
    },
    /// Write descriptions of the wire's types.
    Generate(Generate),
    /// Play a recording again.
    Replay(Replay),
    /// Nothing: it was said what the matter is.
    Done(ExitCode),
}

/// An app server for coding agents: JSON-RPC, one message a line, on standard input and output.
#[derive(Debug, Parser)]
#[command(name = "understudy", version = VERSION)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (serves protocol 0.94.0)");

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve one host on standard input and output; also without any command, if standard input is
    /// no terminal.
    AppServer {
        #[command(flatten)]
        start: Start,
        #[command(subcommand)]
        generate: Option<Generate>,
    },
    /// Say which settings hold, who is signed in, whether the provider can be reached, and what is
    /// wrong; status 1 if anything is.
    Doctor {
        #[command(flatten)]
        flags: Flags,
        /// Report as one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Play a recorded session again, without network and files, and say where it goes another way;
    /// status 1 if it does.
    Replay(Replay),
    /// Write completions for a shell to standard output.
    #[command(hide = true)]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the manual page to standard output.
    #[command(hide = true)]
    Man,
    /// Show a session of the server with a made-up host and backend.
    Demo {
        /// Report as one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// What a replay is to show.
#[derive(Clone, Debug, Args)]
pub(crate) struct Replay {
    /// The recording, packed or not.
    pub(crate) file: PathBuf,
    /// Stop behind this step and say what is open.
    #[arg(long, value_name = "STEP")]
    pub(crate) until: Option<usize>,
    /// Show each message and effect.
    #[arg(long)]
    pub(crate) print: bool,
    /// Write the lines of the recording to standard output, and play nothing.
    #[arg(long, conflicts_with_all = ["until", "print", "html"])]
    pub(crate) lines: bool,
    /// Write a page with a chart of the session.
    #[arg(long, value_name = "OUT")]
    pub(crate) html: Option<PathBuf>,
}

/// Descriptions of the wire's types, for programs that make clients (config.md §1.5).
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Generate {
    /// Write the protocol's types in TypeScript.
    GenerateTs {
        /// The folder to write to; it is made if needed.
        #[arg(short, long, value_name = "DIR")]
        out: PathBuf,
        /// A Prettier to format the files with.
        #[arg(short, long, value_name = "PROGRAM")]
        prettier: Option<PathBuf>,
    },
    /// Write the protocol's types as JSON schemas.
    GenerateJsonSchema {
        /// The folder to write to; it is made if needed.
        #[arg(short, long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// Reads the command line. Wrong use ends with status 2, help and version with 0.
pub(crate) fn request() -> Request {
    match Cli::try_parse() {
        Ok(cli) => cli.request(stdin().is_terminal()),
        Err(error) => {
            // Nothing can be said to a closed stream.
            let _closed = error.print();
            Request::Done(ExitCode::from(if error.use_stderr() { 2 } else { 0 }))
        }
    }
}

/// Says something on standard output; nothing can be said to a closed one.
pub(crate) fn say(text: &str) {
    let _closed = stdout().write_all(text.as_bytes());
}

impl Request {
    /// How the log is to be written.
    pub(crate) fn log_format(&self) -> LogFormat {
        match self {
            Request::Serve(Start { flags, .. }) | Request::Doctor { flags, .. } => {
                flags.log_format.unwrap_or_default()
            }
            Request::Demo { .. } | Request::Generate(_) | Request::Replay(_) | Request::Done(_) => {
                LogFormat::default()
            }
        }
    }
}

impl Cli {
    fn request(self, by_hand: bool) -> Request {
        match self.command {
            Some(Command::Demo { json }) => Request::Demo { json },
            Some(Command::Doctor { flags, json }) => {
                Request::Doctor { flags: self.flags.and(flags), json }
            }
            Some(Command::Completions { shell }) => {
                let mut text = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "understudy", &mut text);
                say(&String::from_utf8_lossy(&text));
                Request::Done(ExitCode::SUCCESS)
            }
            Some(Command::Man) => {
                let mut text = Vec::new();
                match clap_mangen::Man::new(Self::command()).render(&mut text) {
                    Ok(()) => {
                        say(&String::from_utf8_lossy(&text));
                        Request::Done(ExitCode::SUCCESS)
                    }
                    Err(error) => Request::Done(fail(&error.to_string())),
                }
            }
            Some(Command::AppServer { generate: Some(generate), .. }) => {
                Request::Generate(generate)
            }
            Some(Command::AppServer { start, .. }) => Request::Serve(start.behind(self.flags)),
            Some(Command::Replay(replay)) => Request::Replay(replay),
            None if by_hand => {
                let _closed = write!(stderr(), "{}", Self::command().render_help());
                Request::Done(ExitCode::from(2))
            }
            None => Request::Serve(Start { flags: self.flags, ..Start::default() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(line: &str) -> Flags {
        let cli = Cli::try_parse_from(line.split(' ')).expect("a good command line");
        match cli.request(false) {
            Request::Serve(start) => start.flags,
            Request::Demo { .. }
            | Request::Doctor { .. }
            | Request::Generate(_)
            | Request::Replay(_)
            | Request::Done(_) => panic!("{line} does not serve"),
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_before_and_behind_the_command_are_merged() {
        let all = flags("understudy -c a=1 --disable x app-server -c b=2 --enable y -c c=3");
        assert_eq!(all.config, ["a=1", "b=2", "c=3"]);
        assert_eq!((all.enable, all.disable), (vec!["y".to_owned()], vec!["x".to_owned()]));
        assert_eq!(flags("understudy --config a=1").config, ["a=1"]);
        let plain = flags("understudy app-server --analytics-default-enabled");
        assert!(plain.config.is_empty());
    }

    #[test]
    fn a_session_is_recorded_where_that_is_asked_for() {
        let record = |line: &str| {
            let cli = Cli::try_parse_from(line.split(' ')).expect("a good command line");
            let Request::Serve(start) = cli.request(false) else { panic!("{line} does not serve") };
            start.record
        };
        assert_eq!(record("understudy app-server"), None);
        assert_eq!(record("understudy app-server --record x/y -c a=1"), Some("x/y".into()));
        let cli = Cli::try_parse_from("understudy replay x --until 5 --print".split(' '));
        let Request::Replay(wanted) = cli.expect("a good command line").request(false) else {
            panic!("it does not replay")
        };
        assert_eq!((wanted.until, wanted.print, wanted.html), (Some(5), true, None));
    }

    #[test]
    fn wrong_use_is_refused() {
        for line in ["understudy --analytics-default-enabled app-server", "understudy nonsense"] {
            let error = Cli::try_parse_from(line.split(' ')).expect_err(line);
            assert!(error.use_stderr(), "{line}");
        }
        let version = Cli::try_parse_from(["understudy", "--version"]).expect_err("said");
        assert_eq!(version.to_string(), "understudy 0.1.0 (serves protocol 0.94.0)\n");
    }

    #[test]
    fn the_log_is_text_unless_json_is_asked_for() {
        let format = |line: &str| {
            let cli = Cli::try_parse_from(line.split(' ')).expect("a good command line");
            cli.request(false).log_format()
        };
        assert_eq!(format("understudy app-server"), LogFormat::Text);
        assert_eq!(format("understudy --log-format json app-server"), LogFormat::Json);
        assert_eq!(format("understudy app-server --log-format json"), LogFormat::Json);
        assert_eq!(
            format("understudy --log-format json doctor --log-format text"),
            LogFormat::Text
        );
    }

    #[test]
    fn generators_want_a_folder() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        let cli = parse("understudy app-server generate-ts -o x -p y").expect("a command line");
        let Request::Generate(wanted) = cli.request(false) else { panic!("it does not generate") };
        let (out, prettier) = ("x".into(), Some("y".into()));
        assert_eq!(wanted, Generate::GenerateTs { out, prettier });
        assert!(parse("understudy app-server generate-json-schema").is_err());
        assert!(parse("understudy app-server generate-json-schema --out x").is_ok());
    }

    #[test]
    fn by_hand_without_a_command_there_is_help() {
        let cli = Cli::try_parse_from(["understudy"]).expect("a good command line");
        assert!(matches!(cli.request(true), Request::Done(_)));
    }
}
