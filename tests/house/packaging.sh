#!/usr/bin/env bash
# packaging.sh CHECK ROOT [BINARY]: the files that operators use, looked at by the tools that will read them.
set -euo pipefail
check=$1
root=$2

case "$check" in
    unit)
        # The unit names the installed program; here it is the one that was built.
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        sed "s|/usr/bin/keyshift|$3|" "$root/packaging/systemd/keyshift.service" >"$work/keyshift.service"
        complaints=$(systemd-analyze verify "$work/keyshift.service" 2>&1 | grep 'keyshift' || true)
        if [ -n "$complaints" ]; then
            printf '%s\n' "$complaints"
            exit 1
        fi
        systemd-analyze security --offline=true --threshold=20 --no-pager "$work/keyshift.service" | tail -1
        ;;
    config)
        "$3" --config "$root/packaging/keyshift.toml" config check
        "$3" --config "$root/compose/keyshift/keyshift.toml" config check
        ;;
    compose)
        docker-compose -f "$root/compose/docker-compose.yml" config >/dev/null
        ;;
    prometheus)
        promtool check config "$root/compose/prometheus/prometheus.yml"
        promtool check rules "$root/compose/prometheus/alerts.yml"
        promtool test rules "$root/compose/prometheus/alerts_test.yml"
        ;;
    shell)
        cd "$root"
        shellcheck -x -P SCRIPTDIR dev .ci/run tests/support/servers tests/house/*.sh compose/keyshift/setup.sh
        ;;
    *)
        echo "usage: packaging.sh unit|config|compose|prometheus|shell ROOT [BINARY]" >&2
        exit 2
        ;;
esac
