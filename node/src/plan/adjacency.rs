//! Who sits beside whom, from where the seats are and not from their numbers: odd and even numbers
//! on either side of a stair, gaps in the numbering and curved rows must not matter.
//!
//! *Sequence*: a row is taken as listed, unless walking its seats along the row's long axis is
//! clearly shorter than walking them as listed (a row bent by more than a half circle has to be
//! listed in sequence). *Aisle*: a gap wider than 1.6 times the row's pitch, the median of its
//! spacings; rows with fewer than four seats take their section's pitch.

use super::model::Point;

const AISLE_PITCHES: f64 = 1.6;
/// Fewest spacings whose median is a pitch to go by.
const SPACINGS_MIN: usize = 3;
/// How much shorter the walk along the axis must be than the one listed.
const CLEARLY_SHORTER: f64 = 0.999;

/// The indices of the seats in the sequence they stand in.
pub(super) fn sequence(seats: &[Point]) -> Vec<usize> {
    let listed: Vec<usize> = (0..seats.len()).collect();
    if seats.len() < 3 {
        return listed;
    }
    let along = along_axis(seats);
    match walk(seats, &along) < walk(seats, &listed) * CLEARLY_SHORTER {
        true => along,
        false => listed,
    }
}

/// Spacings between successive seats of a row.
pub(super) fn spacings(seats: &[Point]) -> Vec<f64> {
    seats
        .windows(2)
        .map(|pair| distance(pair[0], pair[1]))
        .collect()
}

/// The pitch of a section: the median of the spacings of all its rows.
pub(super) fn pitch(spacings: impl Iterator<Item = f64>) -> Option<f64> {
    // Seats that stand on one point say nothing about how far neighbours are apart.
    let mut spacings: Vec<f64> = spacings.filter(|spacing| *spacing > 0.0).collect();
    spacings.sort_by(f64::total_cmp);
    spacings.get(spacings.len().saturating_sub(1) / 2).copied()
}

/// For each spacing of a row, whether it is an aisle.
pub(super) fn aisles(spacings: &[f64], section_pitch: Option<f64>) -> Vec<bool> {
    let own = match spacings.len() >= SPACINGS_MIN {
        true => pitch(spacings.iter().copied()),
        false => section_pitch,
    };
    let widest = own.map_or(f64::INFINITY, |pitch| pitch * AISLE_PITCHES);
    spacings.iter().map(|spacing| *spacing > widest).collect()
}

fn distance(a: Point, b: Point) -> f64 {
    let between = b.minus(a);
    between.x.hypot(between.y)
}

fn walk(seats: &[Point], sequence: &[usize]) -> f64 {
    let step = |pair: &[usize]| distance(seats[pair[0]], seats[pair[1]]);
    sequence.windows(2).map(step).sum()
}

/// Along the axis of most variance. The axis is computed from integers, so that it does not depend
/// on the sequence the seats are listed in.
fn along_axis(seats: &[Point]) -> Vec<usize> {
    let tenths = |value: f64| (value * 10.0).round() as i128;
    let n = seats.len() as i128;
    let (mut x, mut y, mut xx, mut yy, mut xy) = (0, 0, 0, 0, 0);
    for seat in seats {
        let at = (tenths(seat.x), tenths(seat.y));
        x += at.0;
        y += at.1;
        xx += at.0 * at.0;
        yy += at.1 * at.1;
        xy += at.0 * at.1;
    }
    let across = 2 * (n * xy - x * y);
    let along = (n * xx - x * x) - (n * yy - y * y);
    let angle = 0.5 * (across as f64).atan2(along as f64);
    let (sin, cos) = angle.sin_cos();
    let key = |index: &usize| {
        let seat = seats[*index];
        (seat.x * cos + seat.y * sin, seat.x, seat.y)
    };
    let mut sequence: Vec<usize> = (0..seats.len()).collect();
    sequence.sort_by(|a, b| {
        let (a, b) = (key(a), key(b));
        let axis = a.0.total_cmp(&b.0);
        axis.then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
    });
    // The end that is listed first is the row's start.
    if sequence.last() < sequence.first() {
        sequence.reverse();
    }
    sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_line(xs: &[f64]) -> Vec<Point> {
        xs.iter().map(|x| Point { x: *x, y: 5.0 }).collect()
    }

    /// A row of seats 25 apart on a circle.
    fn on_a_curve(seats: usize, radius: f64) -> Vec<Point> {
        let angle = |n: usize| n as f64 * 25.0 / radius;
        let at = |n| Point {
            x: radius * angle(n).sin(),
            y: radius * angle(n).cos(),
        };
        (0..seats).map(at).collect()
    }

    #[test]
    fn a_gap_wider_than_one_and_six_tenths_pitches_is_an_aisle() {
        let spacings = spacings(&on_a_line(&[0.0, 25.0, 50.0, 91.0, 116.0, 155.0]));
        assert_eq!(aisles(&spacings, None), [false, false, true, false, false]);
    }

    #[test]
    fn a_short_row_goes_by_its_sections_pitch() {
        let spacings = spacings(&on_a_line(&[0.0, 100.0]));
        assert_eq!(aisles(&spacings, Some(25.0)), [true]);
        assert_eq!(aisles(&spacings, None), [false]);
    }

    #[test]
    fn odd_numbers_listed_before_even_ones_are_put_in_sequence() {
        let listed = on_a_line(&[0.0, 50.0, 100.0, 25.0, 75.0]);
        assert_eq!(sequence(&listed), [0, 3, 1, 4, 2]);
    }

    #[test]
    fn a_curved_row_listed_in_sequence_stays_as_it_is() {
        for seats in [3, 40, 60] {
            let row = on_a_curve(seats, 300.0);
            assert_eq!(sequence(&row), (0..seats).collect::<Vec<_>>());
            assert!(!aisles(&spacings(&row), None).contains(&true));
        }
    }

    #[test]
    fn seats_on_one_point_are_no_pitch() {
        let spacings = spacings(&on_a_line(&[0.0, 0.0, 0.0, 25.0, 50.0]));
        assert_eq!(aisles(&spacings, None), [false, false, false, false]);
    }
}
