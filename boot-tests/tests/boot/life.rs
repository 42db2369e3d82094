//! `bootwright test` with a machine's life: the real client upgrades from a repository that the test serves, goes back and
//! upgrades again.

use std::time::Duration;

use bootwright::smoke::{self, Accel, Arch, Event, Firmware, Life as Asked, Request, Upgrade};
use qemu_tests::test_os;

use boot_tests::guest::saved;
use boot_tests::life::{BRANCH, Life, Machine, Repository};

#[test]
fn a_life_of_upgrade_rollback_and_second_upgrade_on_a_larger_drive_is_told_step_by_step() {
    let repository = Repository::of(&test_os().unwrap().rootfs_tar);
    let machine = Machine { name: "life".into(), arch: Arch::X86_64, firmware: Firmware::Bios, more: 0 };
    let mut life = Life::new(machine, repository, |_| {});
    life.repository.publish_second();
    let asked = Asked {
        reboots: 0,
        upgrade: Some(Upgrade::Repository {
            directory: life.repository.path(),
            branch: BRANCH.to_owned(),
            commit: life.repository.second.clone(),
        }),
        cut_power: false,
    };
    let before = std::fs::read(&life.disk.path).unwrap();
    let request = Request {
        accel: Accel::Tcg,
        log: Some(saved("life.log")),
        timeout: Some(Duration::from_secs(600)),
        grow_to: Some(life.disk.report.disk.bytes + (1 << 30)),
        ..Request::new(&life.disk.path, Arch::X86_64, Firmware::Bios).unwrap()
    };
    let verdict = smoke::live(&request, &asked, &mut |event| {
        if let Event::Step(step) = event {
            println!("{}: {} ({:.0} s)", step.name, step.found, step.seconds);
        }
    })
    .unwrap_or_else(|error| panic!("{error}"));
    assert!(verdict.passed, "{}\n{}", verdict.reason, verdict.last_lines.join("\n"));
    let steps: Vec<&str> = verdict.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(
        steps,
        [
            "first boot",
            "root shell",
            "growth",
            "next version",
            "upgrade",
            "upgrade started",
            "rollback",
            "rollback started",
            "second upgrade",
            "second upgrade started",
            "afterwards"
        ]
    );
    assert_eq!(smoke::junit(&verdict, "disk").matches("<testcase ").count(), steps.len());
    assert!(std::fs::read(&life.disk.path).unwrap() == before, "the disk is not changed");
}
