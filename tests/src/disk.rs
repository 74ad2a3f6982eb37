//! A file system of one folder's own, to be filled up or frozen.
use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::Scratch;

/// An ext4 file system in a file, mounted by a loop device; unmounted when dropped.
#[derive(Debug)]
pub struct Disk {
    mounted: PathBuf,
    image: PathBuf,
}

impl Disk {
    fn sweep() -> Result<()> {
        for line in std::fs::read_to_string("/proc/mounts")?.lines() {
            let Some(folder) = line.split(' ').nth(1).filter(|f| f.contains("/raft-dm-")) else { continue };
            let owner = folder.split_once("/raft-dm-").and_then(|(_, rest)| rest.split('-').next());
            let Some(owner) = owner.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
            if !Path::new(&format!("/proc/{owner}")).exists() {
                drop(Command::new("fsfreeze").arg("-u").arg(folder).output());
                run(Command::new("umount").arg("-l").arg(folder))?;
            }
        }
        Ok(())
    }

    /// Whether mounting is permitted here; unmounts first what processes left that did not live to do it.
    pub fn check() -> Result<()> {
        Self::sweep()?;
        let scratch = Scratch::new("disk")?;
        Self::mount(&scratch.path().join("disk"), 8).map(drop)
    }

    /// Mounts a new one of this size over the folder, which is made when absent; an error where that is not permitted.
    pub fn mount(folder: &Path, mib: u64) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let image = folder.with_extension("image");
        std::fs::File::create(&image)?.set_len(mib << 20)?;
        run(Command::new("mkfs.ext4").arg("-q").arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(folder))
            .context("a loop device can't be mounted here (run as root)")?;
        let disk = Self { mounted: folder.to_owned(), image };
        // Whoever gets the folder expects it to be empty.
        std::fs::remove_dir(folder.join("lost+found"))?;
        Ok(disk)
    }

    /// From now on every write hangs.
    pub fn freeze(&self) -> Result<()> {
        run(Command::new("fsfreeze").arg("-f").arg(&self.mounted))
    }

    /// Writes go on.
    pub fn thaw(&self) -> Result<()> {
        run(Command::new("fsfreeze").arg("-u").arg(&self.mounted))
    }

    /// Takes all the room that is left.
    pub fn fill(&self) -> Result<()> {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.filler())?;
        // In ever smaller pieces, until not even one byte fits.
        let mut piece = vec![1; 1 << 20];
        while !piece.is_empty() {
            match file.write(&piece) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                    piece.truncate(piece.len() / 2)
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Gives it back.
    pub fn free(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.mounted.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Harmless when it is not frozen; a frozen one could not be unmounted.
        drop(Command::new("fsfreeze").arg("-u").arg(&self.mounted).output());
        if let Err(error) = run(Command::new("umount").arg("-l").arg(&self.mounted)) {
            eprintln!("{error:#}");
        }
        drop(std::fs::remove_file(&self.image));
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let says = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", says.trim());
    Ok(())
}
