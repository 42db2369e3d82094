# Two commands for a fresh Debian machine with cargo and make: `make demo` and `make test`.
# Both install what they need (with sudo when not root) and print the command before they run it.

# What the build of the test OS and `bootwright test` need.
DEMO_PACKAGES := mmdebstrap qemu-system-x86 qemu-utils ovmf gcc libc6-dev
# The judges of the tests. The loaders are Debian's own signed ones, to tell EFI programs apart.
TEST_PACKAGES := $(DEMO_PACKAGES) acl apache2-utils attr buildah docker-registry dosfstools e2fsprogs erofs-utils fdisk file fsverity gdisk gpg gpg-agent grub-common grub-pc-bin \
	extlinux grub-efi-amd64-bin grub-efi-amd64-signed libarchive-tools libxml2-utils mount mtools nginx-light openssl ostree passwd podman policycoreutils python3 selinux-policy-default selinux-utils shim-signed skopeo \
	syslinux syslinux-common syslinux-efi systemd systemd-boot-efi tar util-linux

# What the boot matrix needs beside: arm64 machines, and an emulator for the scripts of arm64 packages.
MATRIX_PACKAGES := $(TEST_PACKAGES) arch-test binfmt-support qemu-efi-aarch64 qemu-system-arm qemu-user-static

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# Tests are compiled as this user and run as root: some of the judges are the kernel's own filesystems.
ifneq ($(SUDO),)
AS_ROOT := --config 'target."cfg(all())".runner=["sudo","-E"]'
endif
OUT := target/demo

.PHONY: help demo test test-os lint test-large test-boot-matrix bench packages-demo packages-test packages-matrix

help:
	@echo 'make demo        build a test OS, a qcow2 disk from it as this user, boot it, show it'
	@echo 'make test        all tests; those whose judge is the kernel run with sudo'
	@echo 'make test-large  boots an image of 2 GB'
	@echo 'make test-boot-matrix  every firmware, loader and client; hours, goes on where it was stopped'
	@echo 'make bench       the table of numbers in the README'

demo: packages-demo
	cargo build --release
	cargo build --release -p qemu-tests
	os=$$(target/release/qemu-tests os) && target/release/bootwright build "$$os" --type qcow2 --type raw --config qemu-tests/demo.toml --output $(OUT)
	target/release/bootwright inspect $(OUT)/qcow2/disk.qcow2
	target/release/bootwright test $(OUT)/qcow2/disk.qcow2 --screenshot $(OUT)/screen.png
	@echo "the disk: $(OUT)/qcow2/disk.qcow2 (user demo, password demo); its screen: $(OUT)/screen.png"

# The test OS is built by programs that use one processor, most of the time.
test: packages-test
	$(MAKE) --jobs=2 lint test-os
	cargo $(AS_ROOT) test --workspace --no-fail-fast

test-os: packages-test
	cargo run -p qemu-tests -- os

lint:
	@cargo fmt --version && cargo clippy --version || { echo 'missing: rustup component add rustfmt clippy'; exit 1; }
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

test-large: packages-test
	cargo $(AS_ROOT) test -p boot-tests --features large --test boot_large -- --nocapture

test-boot-matrix: packages-matrix
	cargo $(AS_ROOT) test -p boot-tests --features matrix --test boot_rare -- --nocapture
	cargo $(AS_ROOT) test -p boot-tests --features matrix --test boot_matrix

bench: packages-test
	cargo $(AS_ROOT) bench --bench build

# apt-get is only called when something is missing. Twice, because installing QEMU takes away a qemu-utils of another
# version, which the second round puts back in the version that fits.
define install
	@for round in 1 2; do \
		missing=; for package in $(1); do \
			dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed || missing="$$missing $$package"; \
		done; \
		[ -n "$$missing" ] || break; \
		echo "+ $(SUDO) apt-get update && $(SUDO) apt-get install -y --no-install-recommends$$missing"; \
		$(SUDO) apt-get update -q && \
			$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing || exit 1; \
	done
endef

packages-demo:
	$(call install,$(DEMO_PACKAGES))

packages-test:
	$(call install,$(TEST_PACKAGES))

packages-matrix:
	$(call install,$(MATRIX_PACKAGES))
	[ -e /proc/sys/fs/binfmt_misc/register ] || $(SUDO) mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
	[ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] || $(SUDO) update-binfmts --enable qemu-aarch64
