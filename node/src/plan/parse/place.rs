//! Where in the file reading stands, what was counted so far, and what was odd. Shared by all the
//! seeds of one read; when a read fails, the place stays where it failed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use super::super::fault::PlanFault;
use super::super::report::Warnings;

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Field(&'static str),
    Index(usize),
}

/// What there may only be so many of in a whole plan.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counted {
    Seats,
    Rows,
    Zones,
    Areas,
    Categories,
    Points,
}

impl Counted {
    const ALL: usize = 6;

    fn word(self) -> &'static str {
        match self {
            Counted::Seats => "seats",
            Counted::Rows => "rows",
            Counted::Zones => "zones",
            Counted::Areas => "areas",
            Counted::Categories => "categories",
            Counted::Points => "points of polygons",
        }
    }

    fn max(self, seats_max: u32) -> u32 {
        match self {
            Counted::Seats | Counted::Rows => seats_max,
            Counted::Zones | Counted::Areas => 20_000,
            Counted::Categories => 1_000,
            Counted::Points => 200_000,
        }
    }
}

pub(super) struct Place {
    steps: RefCell<Vec<Step>>,
    warnings: RefCell<Warnings>,
    /// Set when a read is ended for a reason that is not about JSON.
    fault: RefCell<Option<PlanFault>>,
    counts: [Cell<u32>; Counted::ALL],
    seats_max: u32,
    /// One copy of each category name.
    names: RefCell<BTreeSet<Arc<str>>>,
}

impl Place {
    pub fn new(seats_max: u32) -> Place {
        Place {
            steps: RefCell::default(),
            warnings: RefCell::default(),
            fault: RefCell::default(),
            counts: Default::default(),
            seats_max,
            names: RefCell::default(),
        }
    }

    pub fn enter(&self, step: Step) {
        self.steps.borrow_mut().push(step);
    }

    pub fn leave(&self) {
        self.steps.borrow_mut().pop();
    }

    /// Counts one more; an error when that is one too many.
    pub fn count<E: serde::de::Error>(&self, counted: Counted) -> Result<(), E> {
        let count = &self.counts[counted as usize];
        let max = counted.max(self.seats_max);
        count.set(count.get().saturating_add(1));
        if count.get() <= max {
            return Ok(());
        }
        *self.fault.borrow_mut() = Some(PlanFault::TooMany {
            place: self.text(),
            what: counted.word(),
            max,
        });
        Err(E::custom("too many"))
    }

    /// The one copy of a category's name.
    pub fn name<E: serde::de::Error>(&self, name: &str) -> Result<Arc<str>, E> {
        let mut names = self.names.borrow_mut();
        if let Some(known) = names.get(name) {
            return Ok(known.clone());
        }
        self.count::<E>(Counted::Categories)?;
        let name: Arc<str> = name.into();
        names.insert(name.clone());
        Ok(name)
    }

    pub fn warn(&self, what: impl FnOnce() -> String) {
        let mut warnings = self.warnings.borrow_mut();
        warnings.add(|| format!("{}: {}", self.text(), what()));
    }

    pub fn take_fault(&self) -> Option<PlanFault> {
        self.fault.borrow_mut().take()
    }

    pub fn into_warnings(self) -> Warnings {
        self.warnings.into_inner()
    }

    /// As in `zones[2].rows[5].seats[3].category`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for step in self.steps.borrow().iter() {
            // Writing into a string does not fail.
            let _ = match step {
                Step::Field(name) if text.is_empty() => write!(text, "{name}"),
                Step::Field(name) => write!(text, ".{name}"),
                Step::Index(index) => write!(text, "[{index}]"),
            };
        }
        match text.is_empty() {
            true => "plan".to_owned(),
            false => text,
        }
    }
}
