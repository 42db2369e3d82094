# Runs after customize.sh. Debian's policy knows neither links where ostree has them (/root, /srv, /usr/local) nor ostree's
# generator, which mounts /var; systemd 257's of networks fails under it.
cat > "$1/tmp/ostree.cil" <<'CIL'
(allow domain file_type (lnk_file (getattr read)))
(allow systemd_tmpfiles_t file_type (lnk_file (create unlink)))
(typepermissive systemd_generator_t)
(typepermissive systemd_networkd_t)
CIL
# libostree rebuilds the policy of a new deployment where there is no /var: the modules have to be in /etc, as Fedora has them.
echo 'store-root = /etc/selinux' >> "$1/etc/selinux/semanage.conf"
mv "$1/var/lib/selinux/default/active" "$1/etc/selinux/default/active"
chroot "$1" semodule -n -s default -i /tmp/ostree.cil
rm "$1/tmp/ostree.cil"
