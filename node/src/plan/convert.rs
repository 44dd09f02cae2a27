//! A read plan into the venue of a sale and the layout for partners. All checks that need more than
//! one field happen here; whatever is found, nothing leaves half.

mod categories;
mod section;

use domain::venue::Venue;
use proto::channel::v1::SeatMap;

use super::fault::PlanFault;
use super::model::{Plan, Point};
use super::report::{Report, Warnings};
use super::{Imported, Options, convention, identity};
use categories::Categories;
use section::Sections;

/// Places in rows and standing areas together: what a sale can hold.
const PLACES_MAX: u32 = 10_000_000;

pub(super) fn convert(
    plan: &Plan,
    mut warnings: Warnings,
    options: &Options,
) -> Result<Imported, PlanFault> {
    let mut report = Report {
        name: plan.name.clone(),
        ..Report::default()
    };
    let categories = Categories::of(plan, &mut warnings)?;
    let ids = identity::identify(plan, options.dedupe, &mut report)?;
    let mut sections = Sections {
        options,
        focal: options.focal.unwrap_or_else(|| focal(plan)),
        categories: &categories,
        ids: ids.into_iter(),
        report: &mut report,
        warnings: &mut warnings,
        made: Vec::new(),
        blocked: Vec::new(),
    };
    for (index, zone) in plan.zones.iter().enumerate() {
        sections.take(index, zone)?;
    }
    let Sections { made, blocked, .. } = sections;
    if report.seats == 0 && report.standing == 0 {
        return Err(PlanFault::Empty);
    }
    let places = report.seats.saturating_add(report.standing);
    if places > PLACES_MAX {
        return Err(invalid(
            "plan",
            format!("{places} places, more than {PLACES_MAX}"),
        ));
    }
    report.sections = made.len() as u32;
    report.categories = categories.layout.len() as u32;
    report.blocked = blocked.len() as u32;
    report.warnings = warnings.listed;
    report.warnings_left_out = warnings.left_out;
    let (sections, plans) = made.into_iter().unzip();
    let size = Point {
        x: plan.size.width,
        y: plan.size.height,
    };
    let size = size.rounded();
    Ok(Imported {
        venue: Venue { sections: plans },
        seat_map: SeatMap {
            name: plan.name.clone(),
            categories: categories.layout,
            sections,
            width: size.x,
            height: size.y,
        },
        blocked,
        report,
    })
}

fn invalid(place: impl Into<String>, what: impl Into<String>) -> PlanFault {
    PlanFault::Invalid {
        place: place.into(),
        what: what.into(),
    }
}

/// What the audience looks at; see the top of `plan.rs`.
fn focal(plan: &Plan) -> Point {
    for zone in &plan.zones {
        for area in &zone.areas {
            let text = area.text.as_ref().map_or("", |text| text.text.as_str());
            let standing = convention::standing(text).is_some();
            if !standing && (convention::is_focal(text) || convention::is_focal(&zone.name)) {
                return zone.position.plus(area.centre());
            }
        }
    }
    Point {
        x: plan.size.width / 2.0,
        y: plan.size.height / 2.0,
    }
}

#[cfg(test)]
mod tests;
