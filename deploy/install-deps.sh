#!/bin/sh
# Installs what building, testing and the demo need from the system's packages, when it is missing.
# Starts no service. Safe to run again. Uses sudo when not root.
#   --demo   only what the demo needs
set -eu

# command that shows the package is there : package
needed='mariadbd:mariadb-server mariadb:mariadb-client sysbench:sysbench mydumper:mydumper
pt-online-schema-change:percona-toolkit faketime:faketime mkfs.ext4:e2fsprogs
debootstrap:debootstrap ip:iproute2 ps:procps setpriv:util-linux cc:gcc flock:util-linux'
[ "${1:-}" != --demo ] || needed='mariadbd:mariadb-server mariadb:mariadb-client setpriv:util-linux cc:gcc flock:util-linux'

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
missing=''
for pair in $needed; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=''
elif command -v sudo >/dev/null 2>&1; then
    as_root='sudo'
else
    echo "missing packages:$missing; install them as root" >&2
    exit 1
fi

# Debian asks this program whether a freshly installed service may be started; 101 says no. It is put there only for
# the time of the installation, and never over one that the machine has already.
policy=/usr/sbin/policy-rc.d
placed=''
remove_policy() {
    [ -z "$placed" ] || $as_root rm -f "$policy"
}
trap remove_policy EXIT
trap 'exit 1' HUP INT TERM
if [ ! -e "$policy" ]; then
    placed=1
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
fi

echo "installing:$missing"
$as_root apt-get update -q
# shellcheck disable=SC2086 # words on purpose
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
