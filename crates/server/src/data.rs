//! The data folder, the key that seals panel secrets, and the way to the database.

use crate::{chance, config::Config};
use rand::RngCore;
use secrecy::{ExposeSecret, SecretString};
use std::{
    error::Error,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};
use store::{
    OpenError, Store, StoreError,
    seal::{KEY_BYTES, Sealer},
};

const KEY_FILE: &str = "secret.key";
const DATABASE_FILE: &str = "muster.db";

/// Why the program cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be made or used.
    #[error("the data folder {folder} cannot be used")]
    Folder {
        /// Which one.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that settings or the data folder name cannot be read.
    #[error("{what} cannot be read from {path}")]
    File {
        /// What it holds.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Migrations failed, or could not be looked at.
    #[error("the database could not be prepared")]
    Store(#[from] StoreError),
    /// A PostgreSQL database that Muster was never installed into, or an older version of it.
    #[error("the database at {0} is not prepared for this version of Muster: run `muster migrate up` first")]
    NotMigrated(String),
}

/// Where the database is: what settings say, else an SQLite file in the data folder.
pub fn database_url(config: &Config, folder: &Path) -> Result<String, StartError> {
    if let Some(url) = &config.database.url {
        return Ok(url.expose_secret().to_owned());
    }
    if let Some(path) = &config.database.url_file {
        return Ok(secret_in(path, "the database's URL")?.expose_secret().to_owned());
    }
    Ok(format!("sqlite://{}", folder.join(DATABASE_FILE).display()))
}

/// Opens the database without preparing it. Makes the data folder and the sealing key where they are missing.
pub async fn open_bare(config: &Config, folder: &Path, chance: &mut (dyn RngCore + Send)) -> Result<Store, StartError> {
    make_folder(folder).map_err(|source| StartError::Folder { folder: folder.to_owned(), source })?;
    let url = database_url(config, folder)?;
    if config.database.url.is_none() && config.database.url_file.is_none() {
        let private = make_database(folder);
        private.map_err(|source| StartError::Folder { folder: folder.to_owned(), source })?;
    }
    let key = sealing_key(config, folder, chance)?;
    let previous: Vec<[u8; KEY_BYTES]> =
        config.secrets.previous.iter().filter_map(|k| key_bytes(k.expose_secret())).collect();
    Ok(Store::open(&url, Sealer::new(&key, &previous)).await?)
}

/// Opens the database ready for use: our own SQLite file is migrated by itself; a PostgreSQL database, which
/// belongs to others as well, only by an operator's word. Fails when the sealing key is not the database's.
pub async fn open(config: &Config, folder: &Path, chance: &mut (dyn RngCore + Send)) -> Result<Store, StartError> {
    let store = open_bare(config, folder, chance).await?;
    if !store.is_postgres() {
        store.migrate_up().await?;
    } else if store.migrations().await?.iter().any(|m| !m.applied) {
        return Err(StartError::NotMigrated(store::without_password(&database_url(config, folder)?)));
    }
    store.check_key().await?;
    Ok(store)
}

/// The first line of a file that holds a secret.
pub fn secret_in(path: &Path, what: &'static str) -> Result<SecretString, StartError> {
    let unreadable = |source: Box<dyn Error + Send + Sync>| StartError::File { what, path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(|e| unreadable(e.into()))?;
    match text.lines().next() {
        // Spaces at the ends belong to it: a password may have them.
        Some(line) if !line.trim().is_empty() => Ok(line.into()),
        Some(_) | None => Err(unreadable("the file is empty".into())),
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if folder.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// An empty file is an empty database. It will hold users' links, so nobody else may read it, whatever the folder.
fn make_database(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().append(true).create(true).mode(0o600).open(folder.join(DATABASE_FILE)).map(drop)
}

fn sealing_key(
    config: &Config,
    folder: &Path,
    chance: &mut (dyn RngCore + Send),
) -> Result<[u8; KEY_BYTES], StartError> {
    const WHAT: &str = "the sealing key";
    if let Some(bytes) = config.secrets.key.as_ref().and_then(|k| key_bytes(k.expose_secret())) {
        return Ok(bytes);
    }
    let path = config.secrets.key_file.clone().unwrap_or_else(|| folder.join(KEY_FILE));
    let unreadable = |source: Box<dyn Error + Send + Sync>| StartError::File { what: WHAT, path: path.clone(), source };
    if config.secrets.key_file.is_none() && !path.exists() {
        make_key(&path, chance).map_err(|e| unreadable(e.into()))?;
    }
    let text = secret_in(&path, WHAT)?;
    key_bytes(text.expose_secret()).ok_or_else(|| unreadable("it does not hold 64 hexadecimal digits".into()))
}

/// Written under another name first and then linked: whoever starts at the same moment sees a whole key or none,
/// and never a second one.
fn make_key(path: &Path, chance: &mut (dyn RngCore + Send)) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(format!("{}\n", hex::encode(chance::sealing_key(chance))).as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn key_bytes(text: &str) -> Option<[u8; KEY_BYTES]> {
    let mut bytes = [0; KEY_BYTES];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng as _, rngs::StdRng};
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn the_first_start_makes_a_key_that_only_its_owner_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut chance = StdRng::seed_from_u64(1);
        open(&Config::default(), &data, &mut chance).await.unwrap().close().await;
        let key = data.join(KEY_FILE);
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        let before = fs::read_to_string(&key).unwrap();
        open(&Config::default(), &data, &mut chance).await.unwrap().close().await;
        assert_eq!(fs::read_to_string(&key).unwrap(), before);
    }

    #[tokio::test]
    async fn another_key_is_one_clear_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut chance = StdRng::seed_from_u64(2);
        open(&Config::default(), folder.path(), &mut chance).await.unwrap().close().await;
        fs::write(folder.path().join(KEY_FILE), "11".repeat(32)).unwrap();
        let error = open(&Config::default(), folder.path(), &mut chance).await.unwrap_err();
        assert!(error.to_string().contains("put the right secret.key back"), "{error}");
        fs::write(folder.path().join(KEY_FILE), "short").unwrap();
        let error = open(&Config::default(), folder.path(), &mut chance).await.unwrap_err();
        assert!(error.to_string().contains("the sealing key cannot be read from"), "{error}");
    }
}
