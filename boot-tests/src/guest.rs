//! A running guest, asked through the root shell on its second console.

use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs};

use bootwright::smoke::{Accelerator, Arch, Console, Drive, Error, Firmware, Machine, MachineConfig, Network, Regex};

use qemu_tests::oracle;

/// A boot took 40 to 200 s in emulation, depending on what else the host did.
const BOOTS_WITHIN: Duration = Duration::from_secs(600);
/// `ostree fsck` of the large system reads 2 GB; everything else takes seconds.
const ANSWERS_WITHIN: Duration = Duration::from_secs(600);
const NETWORK_WITHIN: Duration = Duration::from_secs(150);
const OFF_WITHIN: Duration = Duration::from_secs(180);

pub struct Guest {
    machine: Machine,
    name: String,
    network: Network,
}

impl Guest {
    /// Starts a machine and waits until systemd has started everything.
    pub fn boot(name: &str, firmware: Firmware, drives: Vec<Drive>) -> Guest {
        Guest::boot_in(Network::Isolated, name, firmware, drives)
    }

    /// As [`Guest::boot`]; in an open network the host is 10.0.2.2.
    pub fn boot_in(network: Network, name: &str, firmware: Firmware, drives: Vec<Drive>) -> Guest {
        Guest::boot_on(Arch::X86_64, network, name, firmware, drives)
    }

    /// As [`Guest::boot_in`], on a machine of any architecture.
    pub fn boot_on(arch: Arch, network: Network, name: &str, firmware: Firmware, drives: Vec<Drive>) -> Guest {
        let mut guest = Guest::start(arch, network, name, firmware, drives);
        guest.is_up();
        guest
    }

    /// Starts a machine and does not wait.
    pub fn start(arch: Arch, network: Network, name: &str, firmware: Firmware, drives: Vec<Drive>) -> Guest {
        match arch {
            Arch::X86_64 => oracle::tool("qemu-system-x86_64", "qemu-system-x86 ovmf"),
            Arch::Aarch64 => oracle::tool("qemu-system-aarch64", "qemu-system-arm qemu-efi-aarch64"),
        };
        let log = saved(&format!("{name}.log"));
        // A log is appended to, and this one is of this boot alone.
        let _ = std::fs::remove_file(&log);
        let config = MachineConfig {
            arch,
            firmware,
            // Not KVM: where this host is itself a guest, it may open and hang.
            accelerator: Accelerator::Tcg,
            memory_mib: 2048,
            drives,
            network,
            shell_console: true,
            extra_args: Vec::new(),
            log: Some(log.clone()),
        };
        let machine = Machine::start(&config).unwrap_or_else(|error| missing(&error));
        Guest { machine, name: name.to_owned(), network }
    }

    /// Waits until systemd has started everything, and until an open network has given an address.
    pub fn is_up(&mut self) {
        let started = Instant::now();
        self.wait_for_root_shell();
        let (_, state) = self
            .machine
            .shell_within("systemctl is-system-running --wait", BOOTS_WITHIN)
            .unwrap_or_else(|error| panic!("{} does not come up: {error}", self.name));
        println!("{}: {} after {:.0} s", self.name, state.trim(), started.elapsed().as_secs_f64());
        if self.network == Network::Open {
            let came =
                self.machine.wait_for_route(NETWORK_WITHIN).unwrap_or_else(|error| panic!("{}: {error}", self.name));
            assert!(came, "{} gets no default route", self.name);
        }
    }

    /// Waits for words on the serial console.
    pub fn sees(&mut self, pattern: &str) {
        let waited = self.machine.console().expect(&Regex::new(pattern).unwrap(), BOOTS_WITHIN);
        waited.unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Not a byte is typed before: a guest whose second console had been typed at all through the boot once never opened its
    /// shell there.
    fn wait_for_root_shell(&mut self) {
        self.sees("Started serial-getty@hvc0");
    }

    /// Output of a command that has to succeed.
    pub fn says(&mut self, command: &str) -> String {
        let (status, output) = self.run(command);
        assert_eq!(status, 0, "{command}:\n{output}");
        output
    }

    /// Exit status and output.
    pub fn run(&mut self, command: &str) -> (i32, String) {
        let (status, output) =
            self.machine.shell_within(command, ANSWERS_WITHIN).unwrap_or_else(|e| panic!("{command}: {e}"));
        (status, output.trim().to_owned())
    }

    /// The serial console.
    pub fn console(&mut self) -> &mut Console {
        self.machine.console()
    }

    /// Saves the screen and says where.
    pub fn screenshot(&mut self, name: &str) -> PathBuf {
        let picture = saved(name);
        self.machine.screendump(&picture).unwrap();
        println!("screen: {}", picture.display());
        picture
    }

    /// The power fails: nothing more is written.
    pub fn cut_power(self) {
        drop(self.machine);
    }

    /// Begins to shut the system down; the power fails `after` that long.
    pub fn cut_power_while_shutting_down(mut self, after: Duration) {
        let _ = self.machine.shell_within("systemctl poweroff --no-block", Duration::from_secs(5));
        let _ = self.machine.wait_exit(after);
    }

    /// Shuts the system down; everything it wrote is on its disk afterwards.
    pub fn power_off(mut self) {
        // The shell may be gone before it can answer.
        let _ = self.machine.shell_within("systemctl poweroff --no-block", Duration::from_secs(5));
        let status = self.machine.wait_exit(OFF_WITHIN).unwrap();
        assert!(status.success(), "{status}");
    }
}

/// QEMU or its firmware is missing: the error names both, this names the packages.
fn missing(error: &Error) -> ! {
    panic!("{error}\n(sudo apt-get install qemu-system-x86 ovmf)")
}

/// A file that stays after the test, in `target/tmp`.
pub fn saved(name: &str) -> PathBuf {
    // Tests are programs in target/debug/deps.
    let test = env::current_exe().unwrap();
    let directory = test.ancestors().nth(3).unwrap().join("tmp");
    fs::create_dir_all(&directory).unwrap();
    directory.join(name)
}
