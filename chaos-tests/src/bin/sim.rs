//! `sim`: whole clusters by seed. Prints what each seed does before it runs, and for a failure one
//! command that repeats it and the end of its trace.

use std::io::Read;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chaos_tests::sim::fault::Kind;
use chaos_tests::sim::plan::Plan;
use chaos_tests::sim::run::{Outcome, run};
use chaos_tests::sim::sum::Sum;
use clap::Parser;

/// Real nodes on simulated links, disks and clocks, by seed.
#[derive(Parser)]
struct Args {
    /// One seed.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// A range of seeds, `A..B`, without B.
    #[arg(long, value_parser = range, default_value = "0..20")]
    seeds: Range<u64>,
    /// Where the figures go.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where the whole trace of the one seed goes.
    #[arg(long, value_name = "FILE", requires = "seed")]
    trace: Option<PathBuf>,
    /// These faults instead of those drawn, by name, with commas between.
    #[arg(long, value_parser = kind, value_delimiter = ',')]
    faults: Option<Vec<Kind>>,
    /// The plan of power cuts of all nodes at once, instead of the drawn one.
    #[arg(long)]
    power_cuts: bool,
    /// A waiting room before every sale, instead of where it is drawn.
    #[arg(long)]
    rooms: bool,
    /// Nobody runs the waiting rooms while faults strike.
    #[arg(long)]
    no_operators: bool,
    /// Each seed in two processes, which must leave the same trace.
    #[arg(long, conflicts_with = "trace")]
    twice: bool,
    /// Seeds run at once; as many as there are processors unless said.
    #[arg(long)]
    jobs: Option<usize>,
    /// Shows the nodes' own logs, by this filter.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Tells the parent process the figures of the one seed.
    #[arg(long, hide = true, requires = "seed")]
    child: bool,
}

/// One seed may take so long; they take seconds.
const SEED_LIMIT: Duration = Duration::from_secs(900);
/// Between two looks whether one has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Before the figures that a child tells.
const FIGURES: &str = "figures ";
/// Before the hash of its trace.
const TRACE: &str = "trace of all ";

fn range(text: &str) -> Result<Range<u64>, String> {
    let parts = text.split_once("..").ok_or("not A..B")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
    Ok(number(parts.0)?..number(parts.1)?)
}

fn kind(name: &str) -> Result<Kind, String> {
    let known = || {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        format!("no such fault; there are {}", names.join(", "))
    };
    Kind::by_name(name).ok_or_else(known)
}

fn main() -> ExitCode {
    let args = Args::parse();
    match listen(&args).and_then(|()| simulate(&args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sim: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Somebody always listens, if only to say no: spans that nobody was ever asked about would be offered to
/// the `log` crate, one by one, a fourteenth of a run.
fn listen(args: &Args) -> std::io::Result<()> {
    let Some(filter) = &args.log else {
        let nobody = tracing::subscriber::NoSubscriber::new();
        return tracing::subscriber::set_global_default(nobody).map_err(std::io::Error::other);
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .init();
    Ok(())
}

fn simulate(args: &Args) -> std::io::Result<bool> {
    let sum = match args.seed {
        Some(seed) if args.twice => many(args, seed..seed + 1)?,
        Some(seed) => one(args, seed)?,
        None => many(args, args.seeds.clone())?,
    };
    if args.child {
        println!("{FIGURES}{}", sum.figures());
    } else {
        println!("{sum}");
    }
    if let Some(file) = &args.json {
        std::fs::write(file, sum.json())?;
    }
    Ok(sum.is_good())
}

fn one(args: &Args, seed: u64) -> std::io::Result<Sum> {
    let plan = plan(args, seed);
    let began = Instant::now();
    let outcome = run(plan.clone(), args.trace.as_deref())?;
    tell(args, &plan, &outcome, began.elapsed());
    if args.child {
        println!("{TRACE}{:016x} {}", outcome.hash, outcome.events);
    }
    let mut sum = Sum::default();
    sum.add(&plan, &outcome, began.elapsed());
    Ok(sum)
}

/// Each seed in a process of its own: libraries keep counters for the whole process, and a seed that
/// failed must fail again when it is run alone.
fn many(args: &Args, seeds: Range<u64>) -> std::io::Result<Sum> {
    let next = AtomicU64::new(seeds.start);
    let sum = Mutex::new(Sum::default());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.unwrap_or(processors).max(1);
    let work = || -> std::io::Result<()> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return Ok(());
            }
            let told = child(args, seed)?;
            print!("{}", told.text);
            let is_same = match args.twice {
                true => Some(is_told_again(args, seed, &told)?),
                false => None,
            };
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            match told.sum {
                Some(told) => sum.merge(&told),
                None => sum.add_lost(seed),
            }
            if let Some(is_same) = is_same {
                sum.add_twin(seed, is_same);
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| worker.join());
        ended
            .map(|ended| ended.unwrap_or_else(|_| Err(std::io::Error::other("a worker panicked"))))
            .collect::<std::io::Result<Vec<()>>>()
    })?;
    Ok(sum.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// What a process told of its seed.
struct Child {
    text: String,
    /// Hash and length.
    trace: Option<String>,
    /// `None` of one that ended, or had to be ended, before it told what it came to.
    sum: Option<Sum>,
}

fn child(args: &Args, seed: u64) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--child", "--seed", &seed.to_string()]);
    command.args(choices(args));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (said, complained) = (child.stdout.take(), child.stderr.take());
    let (said, complained) = (read_aside(said), read_aside(complained));
    let began = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if began.elapsed() > SEED_LIMIT => child.kill()?,
            None => {}
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let said = said.join().unwrap_or_default();
    let (said, figures) = said.rsplit_once(FIGURES).unwrap_or((&said, ""));
    let (text, trace) = match said.rsplit_once(TRACE) {
        Some((text, trace)) => (text, Some(trace.trim().to_owned())),
        None => (said, None),
    };
    let mut text = text.to_owned();
    let sum = Sum::read(figures);
    if sum.is_none() {
        let why = complained.join().unwrap_or_default();
        text.push_str(&format!(
            "--- seed {seed} FAILED: {status}, it told no figures: {why}\n"
        ));
    }
    Ok(Child { text, trace, sum })
}

/// Whether another process leaves the same trace of this seed.
fn is_told_again(args: &Args, seed: u64, first: &Child) -> std::io::Result<bool> {
    let second = child(args, seed)?;
    let is_same = first.trace.is_some() && first.trace == second.trace;
    if !is_same {
        let (one, other) = (&first.trace, &second.trace);
        let choices = choices(args).join(" ");
        println!(
            "--- seed {seed} FAILED: two processes leave two traces, {one:?} and {other:?}\n    \
             again, each to a file: sim --seed {seed} {choices} --trace FILE"
        );
    }
    Ok(is_same)
}

/// All that comes through a pipe, read beside whatever else goes on.
fn read_aside(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What came until then is told.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// What changes the plan, as arguments.
fn choices(args: &Args) -> Vec<String> {
    let mut choices = Vec::new();
    if args.power_cuts {
        choices.push("--power-cuts".to_owned());
    }
    if args.rooms {
        choices.push("--rooms".to_owned());
    }
    if args.no_operators {
        choices.push("--no-operators".to_owned());
    }
    if let Some(faults) = &args.faults {
        let names: Vec<_> = faults.iter().map(|kind| kind.name()).collect();
        choices.extend(["--faults".to_owned(), names.join(",")]);
    }
    choices
}

fn plan(args: &Args, seed: u64) -> Plan {
    let mut plan = if args.power_cuts {
        Plan::power_cuts(seed)
    } else {
        Plan::draw(seed)
    };
    if args.rooms {
        plan = plan.with_rooms();
    }
    if args.no_operators {
        plan = plan.without_operators();
    }
    if let Some(faults) = &args.faults {
        plan.faults = faults.clone();
    }
    plan
}

/// One piece, so that seeds that run at once do not mix.
fn tell(args: &Args, plan: &Plan, outcome: &Outcome, took: Duration) {
    let Outcome {
        seed,
        violations,
        simulated,
        commands,
        hash,
        last,
        ..
    } = outcome;
    let mut text = format!(
        "{plan}\n    {:.1} s simulated in {:.1} s, {commands} calls, trace {hash:016x}",
        simulated.as_secs_f64(),
        took.as_secs_f64()
    );
    if !violations.is_empty() {
        text.push_str("\n--- the end of its trace:\n");
        text.push_str(&last.join("\n"));
        text.push_str("\n--- seed ");
        text.push_str(&seed.to_string());
        text.push_str(" FAILED:");
        for violation in violations {
            text.push_str("\n    ");
            text.push_str(violation);
        }
        let mut again =
            format!("cargo run -p chaos-tests --release --bin sim -- --seed {seed} --trace t.txt");
        for choice in choices(args) {
            again.push(' ');
            again.push_str(&choice);
        }
        text.push_str(&format!("\n    again: {again}"));
    }
    println!("{text}");
}
