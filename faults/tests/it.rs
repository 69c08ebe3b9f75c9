//! The program as people start it.
#![expect(
    clippy::unwrap_used,
    reason = "a test may; clippy sees only the functions that are marked as tests"
)]

use std::process::{Command, Output};

fn faults(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_faults")).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn it_says_which_scenarios_there_are() {
    let output = faults(&["--list"]);
    assert!(output.status.success());
    let said = said(&output);
    for name in ["service-killed", "power-cut-mariadb", "redis-failed-over", "simulation"] {
        assert_eq!(
            said.lines().filter(|line| line.split(' ').next() == Some(name)).count(),
            1,
            "{name}: {said}"
        );
    }
}

#[test]
fn it_refuses_a_scenario_that_there_is_not() {
    let output = faults(&["service-kissed"]);
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("there is no scenario service-kissed"), "{words}");
}

#[test]
fn a_scenario_is_told_in_one_line_with_its_seed_and_comes_to_the_same_with_that_seed() {
    let play = || {
        let output = faults(&["simulation", "--seed", "7"]);
        assert!(output.status.success(), "{}", said(&output));
        let said = said(&output);
        let line = said.lines().next().unwrap();
        assert!(line.starts_with("ok simulation") && line.ends_with(", seed 7)"), "{said}");
        // How long it took is chance.
        line.rsplit_once(" (").unwrap().0.to_owned()
    };
    assert_eq!(play(), play());
}
