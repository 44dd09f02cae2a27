//! What this machine offers, found out by trying. What is missing makes scenarios SKIPPED, with the
//! reason, never passed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::Disk;
use super::filter::{Filter, Rule};
use super::leftovers::{Ledger, Leftover};
use super::limits::Controller;
use super::network::Network;
use super::{Trouble, shell, user};

/// What a kind of fault cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Nothing,
    /// Network namespaces and `nft`.
    Namespaces,
    /// `tc … tbf`.
    Shaper,
    /// ext4 in a file, mounted.
    Disks,
    /// Disks, and the control group that slows writes.
    Throttle,
    Memory,
    Cpu,
    FakeTime,
    SecondBinary,
}

#[derive(Clone, Debug, Default)]
pub struct Facilities {
    pub namespaces: bool,
    pub filter: bool,
    pub shaper: bool,
    pub disks: bool,
    pub controllers: Vec<Controller>,
    /// The library that shows a process another time.
    pub fake_time: Option<PathBuf>,
    pub second_binary: bool,
}

const FAKE_TIME: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
];

impl Facilities {
    /// Tries each; `work` is where disks would lie.
    pub fn find(work: &Path, second_binary: bool) -> Result<Facilities, Trouble> {
        let mut found = Facilities {
            fake_time: FAKE_TIME
                .map(PathBuf::from)
                .into_iter()
                .find(|path| path.exists()),
            second_binary,
            ..Facilities::default()
        };
        if user() != 0 {
            return Ok(found);
        }
        let ledger = Ledger::open()?;
        if let Ok(mut network) = Network::make(&ledger)
            && network.add().is_ok()
        {
            found.namespaces = true;
            found.shaper = network
                .shape(0, 1000, std::time::Duration::from_millis(50))
                .is_ok();
            found.filter = filters(&network).is_ok();
        }
        found.disks = mounts(&ledger, &work.join(ledger.name())).is_ok();
        found.controllers = Controller::ALL.to_vec();
        found.controllers.retain(|controller| controller.is_there());
        Ok(found)
    }

    /// Whether nodes get namespaces of their own; else they stand on loopback.
    pub fn isolates(&self) -> bool {
        self.namespaces && self.filter
    }

    /// What is missing for a need.
    pub fn lacks(&self, need: Need) -> Option<&'static str> {
        let (is_there, what) = match need {
            Need::Nothing => (true, ""),
            Need::Namespaces => (self.isolates(), "no root, no network namespaces, or no nft"),
            Need::Shaper => (self.isolates() && self.shaper, "no root, or no tbf"),
            Need::Disks => (self.disks, "no root, or no loop mounts of ext4"),
            Need::Throttle => (
                self.disks && self.has(Controller::Blkio),
                "no root, no loop mounts, or no blkio control group (version 1)",
            ),
            Need::Memory => (
                self.has(Controller::Memory),
                "no root, or no memory control group (version 1)",
            ),
            Need::Cpu => (
                self.has(Controller::Cpu),
                "no root, or no cpu control group (version 1)",
            ),
            Need::FakeTime => (self.fake_time.is_some(), "no libfaketime"),
            Need::SecondBinary => (self.second_binary, "no --second-binary"),
        };
        (!is_there).then_some(what)
    }

    fn has(&self, controller: Controller) -> bool {
        self.controllers.contains(&controller)
    }
}

fn filters(network: &Network) -> Result<(), Trouble> {
    let mut filter = Filter::default();
    filter.add(0, Rule::Reset(Network::address(1)));
    filter.add(0, Rule::Loss(1));
    filter.apply(0, network.node(0))?;
    filter.lift(0, network.node(0))?;
    Ok(())
}

fn mounts(ledger: &Arc<Ledger>, work: &Path) -> Result<(), Trouble> {
    shell::run("mkfs.ext4", &["-V"])?;
    ledger.note(Leftover::Folder(work.to_owned()))?;
    std::fs::create_dir_all(work)?;
    let disk = Disk::make(ledger, &work.join("disk"), 16)?;
    disk.cut_power()?;
    disk.restore_power()
}
