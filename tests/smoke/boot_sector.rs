//! A disk without an operating system: one BIOS boot sector that writes to the disk, speaks on COM1 and echoes.

/// Behind this byte: 0 echoes what is typed on COM1 (`!` powers off), 1 powers off at once.
const MODE: usize = 0xff;
const PACKET: usize = 0x100;
const TEXT: usize = 0x110;

/// Assembled from (GNU as, `.code16`):
/// ```text
///         xor %ax, %ax;  mov %ax, %ds;  mov %ax, %ss;  mov $0x7c00, %sp;  cld
///         mov $0x7d00, %si            # disk address packet: this sector to LBA 1
///         mov $0x4300, %ax;  int $0x13
///         mov $0x7d10, %si            # text, NUL-terminated
/// say:    lodsb;  test %al, %al;  jz told
///         call put;  jmp say
/// told:   cmpb $0, 0x7cff;  jne off   # MODE
/// echo:   mov $0x3fd, %dx;  in (%dx), %al;  test $1, %al;  jz echo
///         mov $0x3f8, %dx;  in (%dx), %al
///         cmp $'!', %al;  je off
///         call put;  jmp echo
/// off:    mov $0x604, %dx             # PM1a_CNT of q35 under SeaBIOS: S5
///         mov $0x2000, %ax;  out %ax, (%dx);  hlt
/// put:    mov %al, %ah;  mov $0x3fd, %dx
/// full:   in (%dx), %al;  test $0x20, %al;  jz full
///         mov $0x3f8, %dx;  mov %ah, %al;  out %al, (%dx);  ret
/// ```
const CODE: [u8; 84] = [
    0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xfc, 0xbe, 0x00, 0x7d, 0xb8, 0x00, 0x43, 0xcd, 0x13, 0xbe,
    0x10, 0x7d, 0xac, 0x84, 0xc0, 0x74, 0x05, 0xe8, 0x26, 0x00, 0xeb, 0xf6, 0x80, 0x3e, 0xff, 0x7c, 0x00, 0x75, 0x15,
    0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf8, 0xba, 0xf8, 0x03, 0xec, 0x3c, 0x21, 0x74, 0x05, 0xe8, 0x0a, 0x00,
    0xeb, 0xeb, 0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4, 0x88, 0xc4, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74,
    0xfb, 0xba, 0xf8, 0x03, 0x88, 0xe0, 0xee, 0xc3,
];

/// Size 16, one sector, from 0000:7c00, to LBA 1 (INT 13h AH=43h).
const DISK_ADDRESS_PACKET: [u8; 16] = [16, 0, 1, 0, 0x00, 0x7c, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];

/// A disk of 1 MiB that says `text` and then echoes.
pub fn saying(text: &str) -> Vec<u8> {
    let mut disk = vec![0; 1 << 20];
    disk[..CODE.len()].copy_from_slice(&CODE);
    disk[PACKET..][..16].copy_from_slice(&DISK_ADDRESS_PACKET);
    assert!(text.len() < 510 - TEXT, "the text has {} bytes", text.len());
    disk[TEXT..][..text.len()].copy_from_slice(text.as_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// A disk that says `text` and powers off.
pub fn saying_and_leaving(text: &str) -> Vec<u8> {
    let mut disk = saying(text);
    disk[MODE] = 1;
    disk
}
