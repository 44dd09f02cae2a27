//! What the harness makes of the machine, written down before it is made: namespaces, mounts, control
//! groups, folders, processes. A run takes its own back at its end; a later run, or `procs --cleanup`,
//! takes back what one left behind that was killed. Nothing that is not written down is touched, and a
//! process only if it is still the same one.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{shell, user};

/// One thing to take back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leftover {
    /// In the sequence in which they are taken back: what is frozen can be neither killed nor unmounted.
    Frozen(PathBuf),
    Process {
        pid: i32,
        began: u64,
    },
    Mount(PathBuf),
    Cgroup(PathBuf),
    Namespace(String),
    Folder(PathBuf),
}

/// The first line of a ledger.
#[derive(Serialize, Deserialize)]
struct Owner {
    pid: i32,
    began: u64,
}

/// The ledger of one cluster. Dropping it takes everything back.
pub struct Ledger {
    path: PathBuf,
    name: String,
    written: Mutex<(File, Vec<Leftover>)>,
}

/// How long what is busy may take to become free.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Ledger {
    /// A new one; its name is not used by any other on this machine.
    pub fn open() -> io::Result<Arc<Ledger>> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let pid = std::process::id() as i32;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("onsale-{pid}-{number}");
        let path = own_shelf()?.join(format!("{name}.ledger"));
        let mut file = File::create(&path)?;
        let began = began(pid).unwrap_or(0);
        writeln!(file, "{}", serde_json::to_string(&Owner { pid, began })?)?;
        file.sync_data()?;
        Ok(Arc::new(Ledger {
            path,
            name,
            written: Mutex::new((file, Vec::new())),
        }))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// To be called before the thing is made; of a process, right after.
    pub fn note(&self, leftover: Leftover) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(written.0, "{}", serde_json::to_string(&leftover)?)?;
        written.1.push(leftover);
        Ok(())
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let left = take_back(&mut written.1);
        for what in &left {
            eprintln!("procs: cannot take back {what}; try `procs --cleanup`");
        }
        if left.is_empty() {
            // It is empty; should it stay, the next run finds nothing in it to do.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Takes back what dead runs left behind; says what was done, one line a ledger.
pub fn sweep() -> io::Result<Vec<String>> {
    let mut said = Vec::new();
    for entry in fs::read_dir(own_shelf()?)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "ledger") {
            said.extend(sweep_one(&path)?);
        }
    }
    Ok(said)
}

fn sweep_one(path: &Path) -> io::Result<Option<String>> {
    let mut lines = BufReader::new(File::open(path)?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    if let Ok(Owner { pid, began: born }) = serde_json::from_str(&first)
        && began(pid) == Some(born)
    {
        return Ok(None);
    }
    // The last line may be torn: then what it was to announce was not made.
    let mut found: Vec<Leftover> = lines
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str(&line).ok())
        .collect();
    let count = found.len();
    let left = take_back(&mut found);
    if left.is_empty() {
        fs::remove_file(path)?;
    }
    Ok(Some(match left.is_empty() {
        true => format!("{}: {count} things taken back", path.display()),
        false => format!("{}: left: {}", path.display(), left.join(", ")),
    }))
}

/// What could not be taken back.
fn take_back(leftovers: &mut Vec<Leftover>) -> Vec<String> {
    leftovers.sort();
    leftovers.dedup();
    let until = Instant::now() + PATIENCE;
    let mut left = Vec::new();
    for leftover in leftovers.drain(..) {
        while !take_one_back(&leftover) {
            if Instant::now() > until {
                left.push(format!("{leftover:?}"));
                break;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
    left
}

/// Whether it is gone.
fn take_one_back(leftover: &Leftover) -> bool {
    match leftover {
        Leftover::Frozen(mount) => {
            if is_mounted(mount) {
                // It fails if the file system is not frozen any more.
                let _ = super::disk::thaw(mount);
            }
            true
        }
        Leftover::Process { pid, began: born } => {
            if began(*pid) != Some(*born) {
                return true;
            }
            // SAFETY: the call takes two integers; the process is the one that was started.
            unsafe { libc::kill(*pid, libc::SIGKILL) };
            // A child of this process stays until it is waited for; it holds nothing any more.
            is_zombie(*pid)
        }
        Leftover::Mount(mount) => {
            if is_mounted(mount) {
                // Busy until the last process in it has ended.
                let _ = super::disk::unmount(mount);
            }
            !is_mounted(mount)
        }
        Leftover::Cgroup(folder) => match fs::remove_dir(folder) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        },
        Leftover::Namespace(name) => {
            let path = Path::new("/run/netns").join(name);
            if path.exists() {
                let _ = shell::run("ip", &["netns", "delete", name]);
            }
            !path.exists()
        }
        Leftover::Folder(folder) => match fs::remove_dir_all(folder) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        },
    }
}

/// Where the ledgers lie: each user has a folder of their own, which others may read.
pub fn shelf() -> PathBuf {
    let name = match user() {
        0 => "onsale-procs".to_owned(),
        user => format!("onsale-procs-{user}"),
    };
    std::env::temp_dir().join(name)
}

/// What somebody else wrote down is not to be carried out.
fn own_shelf() -> io::Result<PathBuf> {
    let shelf = shelf();
    fs::create_dir_all(&shelf)?;
    let found = fs::symlink_metadata(&shelf)?;
    match found.is_dir() && found.uid() == user() {
        true => Ok(shelf),
        false => Err(io::Error::other(format!(
            "{} is somebody else's",
            shelf.display()
        ))),
    }
}

/// When a process began, in ticks since the machine did; its id may be given again to another.
pub fn began(pid: i32) -> Option<u64> {
    field_of_stat(pid, 19)?.parse().ok()
}

fn is_zombie(pid: i32) -> bool {
    matches!(field_of_stat(pid, 0).as_deref(), Some("Z" | "X") | None)
}

/// Counted behind the name, which may hold anything; the state is number 0.
fn field_of_stat(pid: i32, number: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = stat.rsplit_once(')')?.1;
    rest.split_ascii_whitespace().nth(number).map(str::to_owned)
}

fn is_mounted(folder: &Path) -> bool {
    let Ok(mounts) = fs::read_to_string("/proc/self/mounts") else {
        return false;
    };
    let folder = folder.to_string_lossy();
    mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == Some(&folder))
}
