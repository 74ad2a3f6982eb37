#!/bin/sh
# Makes a folder with a small Debian root that holds a MySQL server, for the tests to run with chroot:
#   ${RAFT_DM_CACHE:-$HOME/.cache/raft-dm}/mysql-root
# Does nothing when it is there. A root that is cut short is never left under that name.
set -eu

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
suite=${RAFT_DM_MYSQL_SUITE:-sid}
cache=${RAFT_DM_CACHE:-$HOME/.cache/raft-dm}
root=$cache/mysql-root
mkdir -p "$cache"

# One at a time: two runs side by side would build into the same folder.
exec 9>"$cache/mysql-root.lock"
flock 9

as_root=''
[ "$(id -u)" -eq 0 ] || as_root='sudo'

if [ -x "$root/usr/sbin/mysqld" ]; then
    exit 0
fi

# The machine's own Debian mirror: RAFT_DM_MIRROR, else the first http(s) archive of its apt configuration whose
# path ends in /debian. Both forms of apt's source files are read, and a mirror list file is followed.
mirror_from_apt() {
    {
        # .sources: "URIs: a b"; a stanza that says "Enabled: no" is rare enough to be tried last by order.
        cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed -n 's/^URIs:[[:space:]]*//p' | tr ' \t' '\n\n'
        # .list: "deb [options] uri suite components"
        cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null \
            | sed -n 's/^deb[[:space:]]\{1,\}\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]*\).*/\2/p'
    } | while read -r uri; do
        case $uri in
            mirror+file:*) cat "${uri#mirror+file:}" 2>/dev/null | sed 's/[[:space:]].*//' ;;
            *) echo "$uri" ;;
        esac
    done | sed 's:/*$::' | grep -E '^https?://.*/debian$' | head -n 1
}
mirror=${RAFT_DM_MIRROR:-$(mirror_from_apt)}
if [ -z "$mirror" ]; then
    echo "no Debian mirror in the apt configuration; set RAFT_DM_MIRROR to one" >&2
    exit 1
fi

partial=$root.partial
$as_root rm -rf "$partial"
echo "building a MySQL root ($suite) in $root"
if ! $as_root debootstrap --variant=minbase --include=mysql-server "$suite" "$partial" "$mirror" \
    >"$cache/mysql-root.log" 2>&1; then
    tail -n 30 "$cache/mysql-root.log" >&2
    [ ! -f "$partial/debootstrap/debootstrap.log" ] || tail -n 30 "$partial/debootstrap/debootstrap.log" >&2
    echo "debootstrap failed; its log is $cache/mysql-root.log" >&2
    exit 1
fi
# Checked before it gets its name.
$as_root chroot "$partial" /usr/sbin/mysqld --no-defaults --version
if [ -n "$as_root" ]; then
    # The tests, run by this user, write data folders into it.
    $as_root install -d -o "$(id -u)" -g "$(id -g)" "$partial/var/lib/raft-dm-templates"
    $as_root chmod 1777 "$partial/tmp"
fi
$as_root rm -rf "$partial/var/cache/apt/archives" "$partial/var/lib/mysql"
if [ -e "$root" ]; then
    $as_root rm -rf "$root"
fi
$as_root mv "$partial" "$root"
