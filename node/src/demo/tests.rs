//! What the demo refuses before anything is started.

use clap::Parser as _;

use super::*;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn args(line: &str) -> Result<Args, clap::Error> {
    Line::try_parse_from(format!("demo {line}").split_whitespace()).map(|line| line.args)
}

#[test]
fn our_bowl_and_generated_ones_are_for_sale() {
    assert_eq!(venue(&args("").unwrap()).unwrap().places, 20_000);
    assert_eq!(venue(&args("--seats 700").unwrap()).unwrap().places, 700);
}

#[test]
fn bad_flags_and_files_end_with_one_line() {
    assert!(args("--seats 5").is_err());
    assert!(args("--seats 200000").is_err());
    assert!(args("--seats 500 --plan x.json").is_err());
    assert!(args("--dedupe").is_err());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let refused = |line: String| match venue(&args(&line).unwrap()) {
        Ok(_) => panic!("{line} was accepted"),
        Err(error) => format!("{error:#}"),
    };
    let text = refused(format!("--plan {}", path("none.json")));
    assert!(text.contains("cannot read the plan"), "{text}");
    std::fs::write(path("bad.json"), "{\"zones\": 7}").unwrap();
    let text = refused(format!("--plan {}", path("bad.json")));
    assert!(text.contains("is not usable"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn kills_take_their_time() {
    let long = args("--kills 20").unwrap();
    assert_eq!(pace(&long), Duration::from_secs(60));
    assert_eq!(kill_plan(&long), Plan::Random(20));
    assert_eq!(kill_plan(&args("").unwrap()), Plan::LeaderHalfway);
}
