//! The demo's data folder: below the machine's temporary folder, readable by its owner only, gone with the demo.

use crate::chance;
use rand::RngCore;
use std::{
    fs::{self, DirBuilder},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// What the names of all demos' folders begin with.
const PREFIX: &str = "muster-demo-";

/// A folder of one demo. Dropping it removes it, with everything in it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    is_there: bool,
}

impl Folder {
    /// Makes one that was not there before.
    pub fn make(chance: &mut (dyn RngCore + Send)) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let name = format!("{PREFIX}{}", hex::encode(&chance::sealing_key(chance)[..8]));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path, is_there: true })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it. Fails when something in it could not be removed.
    pub fn remove(mut self) -> io::Result<()> {
        self.is_there = false;
        fs::remove_dir_all(&self.path)
    }

    /// The folders of all demos that we may look into, those begun last first. One of a demo that was killed may be
    /// among them.
    pub fn all() -> Vec<PathBuf> {
        let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
        let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
        let begun = |path: &Path| fs::metadata(path).and_then(|m| m.created().or_else(|_| m.modified())).ok();
        let mut dated: Vec<(SystemTime, PathBuf)> =
            ours.filter_map(|entry| Some((begun(&entry.path())?, entry.path()))).collect();
        dated.sort();
        dated.into_iter().rev().map(|(_, path)| path).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_there {
            // An error is on its way to the user already; a second one would hide it.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
