# Runs after customize.sh. Debian's policy knows neither links where ostree has them (/root, /srv, /usr/local) nor ostree's
# generator, which mounts /var; systemd 257's of networks fails under it.
cat > "$1/tmp/ostree.cil" <<'CIL'
(allow domain file_type (lnk_file (getattr read)))
(allow systemd_tmpfiles_t file_type (lnk_file (create unlink)))
(typepermissive systemd_generator_t)
(typepermissive systemd_networkd_t)
CIL
chroot "$1" semodule -n -s default -i /tmp/ostree.cil
rm "$1/tmp/ostree.cil"
