//! Owns: what the user agent tells of the machine (auth.md §10.3) and which shell the user has.

use std::path::Path;

use understudy_core::{Environment, HostFacts};

/// Names as the reference writes them, by `ID` of os-release; others are `Linux`.
#[cfg(any(target_os = "linux", test))]
const SYSTEMS: &[(&str, &str)] = &[
    ("almalinux", "AlmaLinux"),
    ("alpine", "Alpine Linux"),
    ("amzn", "Amazon Linux AMI"),
    ("arch", "Arch Linux"),
    ("centos", "CentOS"),
    ("debian", "Debian"),
    ("fedora", "Fedora"),
    ("gentoo", "Gentoo Linux"),
    ("kali", "Kali Linux"),
    ("linuxmint", "Linux Mint"),
    ("manjaro", "Manjaro"),
    ("nixos", "NixOS"),
    ("opensuse-leap", "openSUSE"),
    ("opensuse-tumbleweed", "openSUSE"),
    ("ol", "Oracle Linux"),
    ("pop", "Pop!_OS"),
    ("raspbian", "Raspberry Pi OS"),
    ("rhel", "Red Hat Enterprise Linux"),
    ("rocky", "Rocky Linux"),
    ("ubuntu", "Ubuntu"),
    ("void", "Void Linux"),
];

/// Terminals that say who they are by a variable of their own, in order of preference
/// (config.md §1.6); those with `true` give their version as the value.
const TERMINALS: &[(&str, &str, bool)] = &[
    ("WEZTERM_VERSION", "WezTerm", true),
    ("ITERM_SESSION_ID", "iTerm.app", false),
    ("ITERM_PROFILE", "iTerm.app", false),
    ("ITERM_PROFILE_NAME", "iTerm.app", false),
    ("TERM_SESSION_ID", "Apple_Terminal", false),
    ("KITTY_WINDOW_ID", "kitty", false),
    ("ALACRITTY_SOCKET", "Alacritty", false),
    ("KONSOLE_VERSION", "Konsole", true),
    ("GNOME_TERMINAL_SCREEN", "gnome-terminal", false),
    ("VTE_VERSION", "VTE", true),
    ("WT_SESSION", "WindowsTerminal", false),
];

/// Shells whose command line is known.
const SHELLS: &[&str] = &["bash", "zsh", "sh"];

/// Where a shell is if the user's own is of no use, in order of preference (engine.md §5.6).
const COMMON_SHELLS: &[&str] =
    &["/bin/bash", "/usr/bin/bash", "/bin/zsh", "/usr/bin/zsh", "/bin/sh"];

/// The facts of this machine, for a process with these variables.
pub fn host_facts(env: &Environment) -> HostFacts {
    let (os, os_version) = system();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let login = login_shell(&users, rustix::process::getuid().as_raw());
    let shell_path = shell_path(login.or(env.filled("SHELL")), |path| Path::new(path).is_file());
    HostFacts {
        os,
        os_version,
        arch: rustix::system::uname().machine().to_string_lossy().into_owned(),
        terminal: terminal(env),
        shell: file_name(&shell_path).to_owned(),
        shell_path,
    }
}

#[cfg(target_os = "linux")]
fn system() -> (String, String) {
    let read = std::fs::read_to_string;
    let release = read("/etc/os-release").or_else(|_| read("/usr/lib/os-release"));
    linux_system(&release.unwrap_or_default())
}

#[cfg(not(target_os = "linux"))]
fn system() -> (String, String) {
    let names = rustix::system::uname();
    let name = if cfg!(target_os = "macos") {
        "Mac OS".to_owned()
    } else {
        names.sysname().to_string_lossy().into_owned()
    };
    (name, three_numbers(&names.release().to_string_lossy()))
}

#[cfg(any(target_os = "linux", test))]
fn linux_system(release: &str) -> (String, String) {
    let field = |name: &str| {
        release.lines().find_map(|line| {
            let value = line.trim().strip_prefix(name)?.strip_prefix('=')?;
            Some(value.trim_matches(['"', '\'']))
        })
    };
    let id = field("ID").unwrap_or_default();
    let name = SYSTEMS.iter().find(|(known, _)| *known == id).map_or("Linux", |(_, name)| *name);
    (name.to_owned(), three_numbers(field("VERSION_ID").unwrap_or_default()))
}

/// `12` as `12.0.0` and `24.04` as `24.4.0`, the way the reference writes versions; what is no
/// such number stays as it is.
fn three_numbers(version: &str) -> String {
    if version.is_empty() {
        return "Unknown".to_owned();
    }
    let numbers: Result<Vec<u64>, _> = version.split('.').map(str::parse).collect();
    match numbers.as_deref() {
        Ok([major]) => format!("{major}.0.0"),
        Ok([major, minor]) => format!("{major}.{minor}.0"),
        Ok([major, minor, patch]) => format!("{major}.{minor}.{patch}"),
        _ => version.to_owned(),
    }
}

fn terminal(env: &Environment) -> String {
    let versioned = |name: &str, version: Option<&str>| match version {
        Some(version) => format!("{name}/{version}"),
        None => name.to_owned(),
    };
    if let Some(program) = env.filled("TERM_PROGRAM") {
        return versioned(program, env.filled("TERM_PROGRAM_VERSION"));
    }
    let by_variable = TERMINALS.iter().find_map(|(variable, name, has_version)| {
        let value = env.filled(variable)?;
        Some(versioned(name, has_version.then_some(value)))
    });
    by_variable.unwrap_or_else(|| env.filled("TERM").unwrap_or("unknown").to_owned())
}

/// What the password database has for the user, if it is this file. Users whom the system knows from
/// elsewhere (a directory service) are not in it; for those `SHELL` says what the login found.
fn login_shell(users: &str, user: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        let is_user = fields.next()?.parse() == Ok(user);
        fields.nth(3).filter(|shell| is_user && !shell.is_empty())
    })
}

/// The shell that the user chose, if its command line is known and it is there; else a common one.
fn shell_path(chosen: Option<&str>, is_there: impl Fn(&str) -> bool) -> String {
    let is_known = |path: &&str| SHELLS.contains(&file_name(path)) && path.starts_with('/');
    let chosen = chosen.filter(is_known);
    let mut wanted = chosen.into_iter().chain(COMMON_SHELLS.iter().copied());
    wanted.find(|path| is_there(path)).unwrap_or("/bin/sh").to_owned()
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> Environment {
        vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn systems_are_named_as_the_reference_names_them() {
        let check = |release: &str, name: &str, version: &str| {
            assert_eq!(linux_system(release), (name.to_owned(), version.to_owned()));
        };
        check("NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n", "Debian", "12.0.0");
        check("ID=ubuntu\nVERSION_ID=\"22.04\"\nID_LIKE=debian", "Ubuntu", "22.4.0");
        check("ID=alpine\nVERSION_ID=3.20.1", "Alpine Linux", "3.20.1");
        check("ID=mine\nVERSION_ID=2025.1-rc", "Linux", "2025.1-rc");
        check("ID=arch", "Arch Linux", "Unknown");
        check("", "Linux", "Unknown");
    }

    #[test]
    fn the_terminal_is_the_first_that_says_its_name() {
        let check = |vars: &[(&str, &str)], token: &str| assert_eq!(terminal(&env(vars)), token);
        check(&[("TERM_PROGRAM", "vscode"), ("TERM_PROGRAM_VERSION", "1.9")], "vscode/1.9");
        check(&[("TERM_PROGRAM", "tmux"), ("WEZTERM_VERSION", "2")], "tmux");
        check(&[("WEZTERM_VERSION", "2024"), ("TERM", "xterm")], "WezTerm/2024");
        check(&[("ITERM_PROFILE", "x"), ("VTE_VERSION", "1")], "iTerm.app");
        check(&[("VTE_VERSION", "7600"), ("WT_SESSION", "a")], "VTE/7600");
        check(&[("TERM", "xterm")], "xterm");
        check(&[("TERM", " ")], "unknown");
    }

    #[test]
    fn only_shells_with_a_known_command_line_count_and_only_where_they_are() {
        let there = |path: &str| path != "/opt/gone/zsh" && path != "/bin/bash";
        let check = |chosen, path: &str| assert_eq!(shell_path(chosen, there), path);
        check(Some("/usr/local/bin/zsh"), "/usr/local/bin/zsh");
        check(Some("/bin/sh"), "/bin/sh");
        check(Some("/usr/bin/fish"), "/usr/bin/bash");
        check(Some("/opt/gone/zsh"), "/usr/bin/bash");
        check(Some("zsh"), "/usr/bin/bash");
        check(None, "/usr/bin/bash");
        assert_eq!(shell_path(None, |_| false), "/bin/sh");
    }

    #[test]
    fn the_login_shell_is_that_of_the_user() {
        let users = "root:x:0:0:root:/root:/bin/sh\nx:y\nann:x:1000:1000:A,,,:/home/ann:/bin/zsh\n\
            bob:x:10:10::/home/bob:\n";
        assert_eq!(login_shell(users, 1000), Some("/bin/zsh"));
        assert_eq!(login_shell(users, 0), Some("/bin/sh"));
        assert_eq!(login_shell(users, 10), None);
        assert_eq!(login_shell(users, 7), None);
    }

    #[test]
    fn this_machine_has_a_processor() {
        let facts = host_facts(&Environment::default());
        assert!(["x86_64", "aarch64", "arm64"].contains(&facts.arch.as_str()), "{facts:?}");
        assert_eq!(facts.terminal, "unknown");
        assert!(Path::new(&facts.shell_path).ends_with(&facts.shell), "{facts:?}");
        assert!(Path::new(&facts.shell_path).is_file(), "{facts:?}");
    }
}
