//! What one sees while the house sells: bars on a terminal, a line every other second elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::report::grouped;

/// One look at the sale.
#[derive(Clone, Debug, Default)]
pub struct Glance {
    pub sold: u64,
    pub held: u64,
    pub free: u64,
    pub for_sale: u64,
    pub per_s: f64,
    pub hold_p50_ms: f64,
    pub hold_p99_ms: f64,
    pub leader: Option<u64>,
    pub leftovers: bool,
}

pub enum Screen {
    Bars {
        all: MultiProgress,
        sold: ProgressBar,
        figures: ProgressBar,
    },
    Lines {
        said: Option<Instant>,
    },
}

const LINE_EVERY: Duration = Duration::from_secs(2);

impl Screen {
    pub fn new(for_sale: u64) -> Screen {
        if !std::io::stderr().is_terminal() {
            return Screen::Lines { said: None };
        }
        let all = MultiProgress::new();
        let sold = all.add(ProgressBar::new(for_sale));
        let figures = all.add(ProgressBar::new_spinner());
        // The templates are constants; should indicatif not like one, its own style will do.
        if let Ok(style) = ProgressStyle::with_template("  {bar:46.green/white.dim} {msg}") {
            sold.set_style(style.progress_chars("█▓░"));
        }
        if let Ok(style) = ProgressStyle::with_template("  {msg}") {
            figures.set_style(style);
        }
        Screen::Bars { all, sold, figures }
    }

    pub fn show(&mut self, glance: &Glance) {
        match self {
            Screen::Bars { sold, figures, .. } => {
                sold.set_position(glance.sold);
                sold.set_message(seats(glance));
                figures.set_message(rates(glance));
            }
            Screen::Lines { said } => {
                if said.is_none_or(|said| said.elapsed() >= LINE_EVERY) {
                    *said = Some(Instant::now());
                    let percent = glance.sold * 100 / glance.for_sale.max(1);
                    eprintln!("  {percent:3} %  {}  |  {}", seats(glance), rates(glance));
                }
            }
        }
    }

    /// Something happened.
    pub fn tell(&self, text: &str) {
        match self {
            Screen::Bars { all, .. } => {
                // A line that cannot be shown is no reason to stop a sale.
                let _ = all.println(format!("  {text}"));
            }
            Screen::Lines { .. } => eprintln!("  {text}"),
        }
    }

    pub fn close(self) {
        if let Screen::Bars { all, sold, figures } = self {
            sold.finish_and_clear();
            figures.finish_and_clear();
            // As above.
            let _ = all.clear();
        }
    }
}

fn seats(glance: &Glance) -> String {
    format!(
        "{} sold, {} held, {} free",
        grouped(glance.sold),
        grouped(glance.held),
        grouped(glance.free)
    )
}

fn rates(glance: &Glance) -> String {
    let leader = match glance.leader {
        Some(node) => format!("node {node} leads"),
        None => "nobody leads".to_owned(),
    };
    let what = if glance.leftovers {
        ", single places left"
    } else {
        ""
    };
    format!(
        "{:.0} seats/s, holds p50 {:.1} ms p99 {:.1} ms, {leader}{what}",
        glance.per_s, glance.hold_p50_ms, glance.hold_p99_ms
    )
}
