#!/usr/bin/env bash
# What tests need from the system beside Python: installed where it is missing and this user may install it, else
# named; a test that lacks it skips and says so, and in CI fails. It asks nothing and needs no terminal.
set -euo pipefail
exec </dev/null

missing=()
# The database tests run on the embedded server and on the distribution's (PostgreSQL 15 on Debian 12).
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
# The verifier page runs in a real browser.
command -v chromium >/dev/null || missing+=(chromium)
# The independent verifier is a Go program on the Go team's own note and tree.
command -v go >/dev/null || missing+=(golang-go)
[[ -d /usr/share/gocode/src/golang.org/x/mod/sumdb ]] || missing+=(golang-golang-x-mod-dev)
# The gate's second engine, Apache Spark, runs on Java.
command -v java >/dev/null || missing+=(openjdk-17-jre-headless)
# The relay publishes to a real NATS server.
command -v nats-server >/dev/null || missing+=(nats-server)
missing+=("$@") # what the caller found missing besides

((${#missing[@]})) || exit 0

# Root installs. Whoever may become root without being asked does so in CI alone: nobody's machine is changed by surprise.
as_root=()
if ((EUID != 0)); then as_root=(sudo -n); fi
if ! command -v apt-get >/dev/null || { ((EUID != 0)) && [[ ${CI:-} != true ]]; } || ! "${as_root[@]}" true 2>/dev/null; then
    echo "== missing, and not to be installed by this user with apt-get: ${missing[*]}; what needs them is left out" >&2
    exit 0
fi

echo "== installing ${missing[*]}"
# The tests start servers of their own: the package shall not create and start a cluster.
dropin=/etc/postgresql-common/createcluster.d/consent-ledger-tests.conf
trap '"${as_root[@]}" rm -f "$dropin"' EXIT
"${as_root[@]}" mkdir -p "${dropin%/*}"
"${as_root[@]}" tee "$dropin" <<<'create_main_cluster = false' >/dev/null

apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300)
"${apt[@]}" update
"${apt[@]}" install --no-install-recommends "${missing[@]}"
