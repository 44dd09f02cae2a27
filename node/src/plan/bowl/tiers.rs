//! How a number of rows is parted into tiers.

/// From one row to the next.
pub(super) const ROW_PITCH: f64 = 8.0;

#[derive(Clone, Copy, Debug)]
pub(super) struct Tier {
    /// 0 is the lowest.
    pub level: usize,
    pub name: &'static str,
    pub rows: usize,
    /// Of the first row, outside the oval's inner edge.
    pub depth: f64,
}

impl Tier {
    pub fn row_depth(&self, row: usize) -> f64 {
        self.depth + row as f64 * ROW_PITCH
    }

    /// Behind the last row.
    pub fn depth_end(&self) -> f64 {
        self.row_depth(self.rows)
    }
}

/// Small houses have a lower tier and a balcony, large ones a narrow club tier between them.
pub(super) fn tiers(rows: usize) -> Vec<Tier> {
    let balcony = if rows < 6 { 0 } else { rows * 2 / 5 };
    let club = if rows < 16 { 0 } else { rows / 6 };
    // The names, and the width of the walkway before each.
    let parts = [
        ("Lower", rows - balcony - club, 20.0),
        ("Club", club, 30.0),
        ("Balcony", balcony, 40.0),
    ];
    let mut depth = 0.0;
    let mut tiers = Vec::new();
    for (level, (name, rows, walkway)) in parts.into_iter().enumerate() {
        if rows > 0 {
            let tier = Tier {
                level,
                name,
                rows,
                depth: depth + walkway,
            };
            depth = tier.depth_end();
            tiers.push(tier);
        }
    }
    tiers
}
