//! Secrets on the command line: in an argument, in a file, or on standard input, where no list of processes shows them.

use super::{Failure, print};
use crate::data::secret_in;
use clap::Args;
use secrecy::SecretString;
use std::{io, path::PathBuf};

/// How a panel lets us in.
#[derive(Debug, Args)]
pub(super) struct Secrets {
    /// API token of the panel (3x-ui 3.x).
    #[arg(long, value_name = "T", conflicts_with = "token_file")]
    token: Option<String>,
    /// A file that holds the token; - is standard input.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// User name on the panel.
    #[arg(long, value_name = "U")]
    username: Option<String>,
    /// Password on the panel. Better: --password-file, or nothing at all, and it is read from standard input.
    #[arg(long, value_name = "P", conflicts_with = "password_file")]
    password: Option<String>,
    /// A file that holds the password; - is standard input.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Secret of the panel's second factor, base32 as the panel showed it.
    #[arg(long, value_name = "S", conflicts_with = "totp_secret_file")]
    totp_secret: Option<String>,
    /// A file that holds that secret; - is standard input.
    #[arg(long, value_name = "FILE")]
    totp_secret_file: Option<PathBuf>,
}

/// Secrets as they were given.
pub(super) struct Given {
    pub(super) token: Option<SecretString>,
    pub(super) username: Option<String>,
    pub(super) password: Option<SecretString>,
    pub(super) totp: Option<SecretString>,
}

impl Secrets {
    /// Reads what is to be read. With `ask`, a user name without a password asks for it on standard input.
    pub(super) fn read(self, ask: bool) -> Result<Given, Failure> {
        let token = either(self.token, self.token_file, "the API token")?;
        let mut password = either(self.password, self.password_file, "the password")?;
        if ask && password.is_none() && token.is_none() && self.username.is_some() {
            password = Some(standard_input("the password")?);
        }
        let totp = either(self.totp_secret, self.totp_secret_file, "the second factor's secret")?;
        Ok(Given { token, username: self.username, password, totp })
    }
}

fn either(
    argument: Option<String>,
    file: Option<PathBuf>,
    what: &'static str,
) -> Result<Option<SecretString>, Failure> {
    match (argument, file) {
        (Some(argument), _) => Ok(Some(argument.into())),
        (None, Some(file)) if file.as_os_str() == "-" => Ok(Some(standard_input(what)?)),
        (None, Some(file)) => Ok(Some(secret_in(&file, what)?)),
        (None, None) => Ok(None),
    }
}

fn standard_input(what: &str) -> Result<SecretString, Failure> {
    print::ask(&format!("{what}: "));
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    read.map_err(|source| Failure::Io { what: format!("{what} cannot be read from standard input"), source })?;
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(Failure::Usage(format!("{what} was expected on standard input, and there was none")));
    }
    Ok(line.into())
}
