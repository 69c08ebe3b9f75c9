//! The whole tool on real servers, with fewer clients. Its verdict must hold, and must be able to fail.
#![expect(
    clippy::unwrap_used,
    reason = "a test may; clippy sees only the functions that are marked as tests"
)]

use oversell::{Claim, Method, Report, Rules, Servers, Trial, View, play};
use srv_config::LockStrategy;
use std::{fs, process::Command};

/// Enough to oversell in any run, and few enough to be quick.
const RULES: Rules = Rules { clients: 16, stock: 100 };

#[test]
fn the_program_tells_draws_and_writes_that_only_the_naive_methods_oversell() {
    let folder = tempfile::tempdir().unwrap();
    let (json, svg) = (folder.path().join("table.json"), folder.path().join("table.svg"));
    let mut program = Command::new(env!("CARGO_BIN_EXE_oversell"));
    program.args(["--clients", "16", "--stock", "100"]);
    let output = program.arg("--json").arg(&json).arg("--svg").arg(&svg).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("each of ours sold exactly what was there"), "{said}");
    assert!(!said.contains('\x1b'), "off a terminal there are plain lines: {said:?}");

    let json: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!(json["holds"], true);
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3 + LockStrategy::ALL.len());
    let svg = fs::read_to_string(svg).unwrap();
    for row in rows {
        let name = row["method"].as_str().unwrap();
        assert_eq!(said.lines().filter(|line| line.starts_with(name)).count(), 1, "{name}: {said}");
        assert!(svg.contains(&format!(">{name}</text>")), "{name} is not drawn");
        assert_eq!(row["failed"], 0, "{row}");
        if name.starts_with("ours") {
            let figures = (&row["acknowledged"], &row["deducted"], &row["oversold"]);
            assert_eq!(figures, (&100.into(), &100.into(), &0.into()), "{row}");
        } else {
            assert!(row["oversold"].as_u64().unwrap() > 0, "{row}");
        }
    }
}

async fn one(method: Method, claim: Claim) -> Report {
    let servers = Servers::start().unwrap();
    play(&[Trial { method, claim }], RULES, &servers, View::plain()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correct_method_in_the_place_of_a_naive_one_fails_the_verdict() {
    let report = one(Method::Ours(LockStrategy::RowLock), Claim::Oversells).await;
    assert!(!report.holds);
    assert!(report.words().contains("it was to oversell and did not"), "{}", report.words());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_naive_method_in_the_place_of_one_of_ours_fails_the_verdict() {
    for method in [Method::NoLock, Method::FreedBeforeCommit, Method::LapsedInPause] {
        let report = one(method, Claim::SellsExactly).await;
        assert!(!report.holds, "{report:?}");
        assert!(
            report.words().contains("was to sell exactly 100 and did not"),
            "{}",
            report.words()
        );
    }
}
