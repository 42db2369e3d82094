//! A root shell on the guest's second console without a change of its disk: systemd takes credentials from the firmware's
//! tables (`systemd.system-credentials(7)`: SMBIOS type 11 strings), and drop-ins for units among them since version 256.
//!
//! An older system needs a root shell of its own on hvc0.

use std::ffi::OsString;

use base64ct::{Base64, Encoding as _};

/// systemd-getty-generator starts this unit where there is a virtio console.
const CREDENTIAL: &str = "systemd.unit-dropin.serial-getty@hvc0.service";
const DROP_IN: &str = "\
[Service]
Type=simple
ExecStart=
ExecStart=/bin/sh -c 'stty sane -echo -onlcr cols 200 rows 50; echo ROOT-SHELL-READY; PS1= PS2= exec /bin/sh'
Environment=HOME=/root USER=root LOGNAME=root SHELL=/bin/sh TERM=dumb LANG=C.UTF-8
TTYReset=no
TimeoutStopSec=5
";

/// QEMU's arguments.
pub(super) fn arguments() -> [OsString; 2] {
    let text = Base64::encode_string(DROP_IN.as_bytes());
    // QEMU's option parser reads two commas as one; base64 has none.
    let value = format!("type=11,value=io.systemd.credential.binary:{CREDENTIAL}={text}");
    ["-smbios".into(), value.into()]
}
