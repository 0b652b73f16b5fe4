# Real servers for tests, demo and benchmarks. Sourced by `dev` and by tests/support/servers.
# Everything runs on 127.0.0.1 and free ports; PostgreSQL as user postgres when we are root. Whoever starts a server
# keeps its directory and stops it through it.

cache_home() {
    printf '%s\n' "${KEYSHIFT_CACHE:-$HOME/.cache/keyshift}"
}

# postgres_home MAJOR: Debian's, or the one that `./dev setup MAJOR` fetched. Root's home is closed to user postgres.
postgres_home() {
    local cache
    cache=$(cache_home)
    [ -d "/usr/lib/postgresql/$1" ] && printf '/usr/lib/postgresql/%s\n' "$1" && return
    [ "$(id -u)" != 0 ] || cache=${KEYSHIFT_CACHE:-/var/cache/keyshift}
    printf '%s/postgres-%s\n' "$cache" "$1"
}

debian_postgres() {
    find /usr/lib/postgresql -maxdepth 1 -mindepth 1 -type d 2>/dev/null | sort -V | tail -1
}

# pg_bin [N]: the programs of shared server N of the homes in PG_BIN_DIR, colon-separated; the last is also for all beyond.
pg_bin() {
    local homes number=${1:-1}
    IFS=: read -ra homes <<<"${PG_BIN_DIR:-$(debian_postgres)}"
    printf '%s/bin\n' "${homes[number - 1]:-${homes[-1]}}"
}

# psql and friends, which the fetched servers lack.
pg_client_bin() {
    printf '%s/bin\n' "$(debian_postgres)"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Runs a command as the user that PostgreSQL may run as.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && exec runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

# pg_start DIR PORT [setting=value ...]: a fresh cluster in DIR (which must not exist), superuser postgres, trust.
pg_start() {
    local dir=$1 port=$2
    shift 2
    mkdir -p "$dir"
    [ "$(id -u)" != 0 ] || chown postgres "$dir"
    as_postgres "$(pg_bin)/initdb" -N -E UTF8 --locale=C.UTF-8 -A trust -U postgres -D "$dir/data" >"$dir/initdb.log" 2>&1 || {
        cat "$dir/initdb.log" >&2
        return 1
    }
    as_postgres tee -a "$dir/data/postgresql.conf" >/dev/null <<CONF
port = $port
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
wal_level = logical
max_wal_senders = 60
max_replication_slots = 200
max_connections = 300
max_prepared_transactions = 10
shared_buffers = 128MB
max_wal_size = 4GB
fsync = ${PG_FSYNC:-off}
log_min_messages = warning
CONF
    local setting
    for setting in "$@"; do
        printf '%s\n' "$setting" | as_postgres tee -a "$dir/data/postgresql.conf" >/dev/null
    done
    as_postgres "$(pg_bin)/pg_ctl" -D "$dir/data" -l "$dir/server.log" -w -t 60 start >/dev/null || {
        cat "$dir/server.log" >&2
        return 1
    }
}

# pg_stop DIR [mode]
pg_stop() {
    [ -f "$1/data/postmaster.pid" ] || return 0
    as_postgres "$(pg_bin)/pg_ctl" -D "$1/data" -m "${2:-immediate}" -w stop >/dev/null 2>&1 || true
}

# Where the Kafka jars are: the cache that `./dev setup` fills.
kafka_jars() {
    printf '%s/kafka\n' "$(cache_home)"
}

# kafka_start DIR PORT [setting=value ...]: one broker in KRaft mode with its data in DIR; its pid in DIR/pid.
kafka_start() {
    local dir=$1 port=$2 controller jars id
    shift 2
    controller=$(free_port)
    jars=$(kafka_jars)
    mkdir -p "$dir"
    cat >"$dir/server.properties" <<CONF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
log.dirs=$dir/data
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
CONF
    printf '%s\n' "$@" >>"$dir/server.properties"
    printf '%s\n' 'log4j.rootLogger=WARN, s' 'log4j.appender.s=org.apache.log4j.ConsoleAppender' \
        'log4j.appender.s.layout=org.apache.log4j.PatternLayout' >"$dir/log4j.properties"
    id=$(python3 -c 'import base64, os; print("A" + base64.urlsafe_b64encode(os.urandom(16)).decode()[1:22])')
    java -XX:TieredStopAtLevel=1 -cp "$jars/*" kafka.tools.StorageTool format -t "$id" -c "$dir/server.properties" >"$dir/format.log" 2>&1 || {
        cat "$dir/format.log" >&2
        return 1
    }
    kafka_resume "$dir" "$port"
}

# kafka_resume DIR PORT: the same broker again, with the data it had. A broker that lives for minutes spends half of its
# processor time on compiling itself well: only where its throughput is measured (KAFKA_JVM) is that worth it.
kafka_resume() {
    local dir=$1 port=$2 try
    # shellcheck disable=SC2086
    java ${KAFKA_JVM:--XX:TieredStopAtLevel=1 -XX:+UseSerialGC} -Xms256m -Xmx1g -Dlog4j.configuration="file:$dir/log4j.properties" -cp "$(kafka_jars)/*" kafka.Kafka "$dir/server.properties" \
        >>"$dir/server.log" 2>&1 </dev/null &
    printf '%s\n' "$!" >"$dir/pid"
    for try in $(seq 120); do
        if kcat -b "127.0.0.1:$port" -L -m 2 >/dev/null 2>&1; then
            return 0
        fi
        kill -0 "$(cat "$dir/pid")" 2>/dev/null || break
        sleep 0.25
    done
    printf 'Kafka did not start (try %s):\n' "$try" >&2
    tail -20 "$dir/server.log" >&2
    return 1
}

# kafka_stop DIR: a broker or a Kafka Connect worker.
kafka_stop() {
    local pid
    [ -f "$1/pid" ] || return 0
    pid=$(cat "$1/pid")
    # After an aborted run the number may belong to somebody else.
    if grep -qsF "$1/" "/proc/$pid/cmdline"; then
        kill -9 "$pid" 2>/dev/null || true
        while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    fi
    rm -f "$1/pid"
}

# Where the jars of the real Debezium and of Kafka Connect are: the cache that `./dev test --oracle` fills.
debezium_jars() {
    printf '%s/debezium\n' "$(cache_home)"
}

# connect_start DIR KAFKA_PORT REST_PORT: one Kafka Connect worker without connectors, on that broker; its pid in DIR/pid.
connect_start() {
    local dir=$1 kafka=$2 rest=$3
    mkdir -p "$dir"
    cat >"$dir/worker.properties" <<CONF
bootstrap.servers=127.0.0.1:$kafka
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
offset.storage.file.filename=$dir/offsets
offset.flush.interval.ms=500
connector.client.config.override.policy=All
listeners=http://127.0.0.1:$rest
plugin.discovery=service_load
CONF
    printf '%s\n' 'log4j.rootLogger=WARN, s' 'log4j.appender.s=org.apache.log4j.ConsoleAppender' \
        'log4j.appender.s.layout=org.apache.log4j.PatternLayout' \
        'log4j.appender.s.layout.ConversionPattern=%d %p %m (%c)%n' >"$dir/log4j.properties"
    java -Xms256m -Xmx1500m -Dlog4j.configuration="file:$dir/log4j.properties" -cp "$(debezium_jars)/*" \
        org.apache.kafka.connect.cli.ConnectStandalone "$dir/worker.properties" >>"$dir/server.log" 2>&1 </dev/null &
    printf '%s\n' "$!" >"$dir/pid"
    for _ in $(seq 480); do
        if (: >"/dev/tcp/127.0.0.1/$rest") 2>/dev/null; then
            return 0
        fi
        kill -0 "$(cat "$dir/pid")" 2>/dev/null || break
        sleep 0.25
    done
    printf 'Kafka Connect did not start:\n' >&2
    tail -20 "$dir/server.log" >&2
    return 1
}

# oracle_start DATA: the real Debezium, on a broker of its own so that its topics may have the names of ours.
oracle_start() {
    local data=$1 port rest
    port=$(free_port)
    kafka_start "$data/oracle-kafka" "$port" || return 1
    rest=$(free_port)
    connect_start "$data/oracle-connect" "$port" "$rest" || return 1
    printf 'ORACLE_KAFKA=127.0.0.1:%s\nORACLE_CONNECT=%s\n' "$port" "$rest"
}

# servers_start DIR: three PostgreSQL servers (or PG_SERVERS, with the settings of PG_SETTINGS) and one broker, with KEYSHIFT_ORACLE the real Debezium too on a broker of its own,
# with KEYSHIFT_BESIDE_DEBEZIUM a Kafka Connect worker that can run it on this one; DIR/env says where they are. The data is in a
# directory of its own below /tmp, since user postgres may not be able to enter DIR.
servers_start() {
    local dir=$1 data number port broker rest settings
    servers_stop "$dir"
    mkdir -p "$dir"
    data=$(mktemp -d "${TMPDIR:-/tmp}/keyshift-servers.XXXXXX")
    chmod 755 "$data"
    printf '%s\n' "$data" >"$dir/data"
    broker=$(free_port)
    kafka_start "$data/kafka" "$broker" &
    local kafka=$!
    {
        printf 'KAFKA=127.0.0.1:%s\n' "$broker"
        printf 'PG_BIN=%s\n' "$(pg_bin)"
        printf 'PG_CLIENT_BIN=%s\n' "$(pg_client_bin)"
        printf 'PGUSER=postgres\n'
        printf 'DATA=%s\n' "$data"
    } >"$dir/env"
    read -ra settings <<<"${PG_SETTINGS:-}"
    for number in $(seq "${PG_SERVERS:-3}"); do
        port=$(free_port)
        PG_BIN_DIR=$(dirname "$(pg_bin "$number")") pg_start "$data/pg$number" "$port" "${settings[@]}" || return 1
        printf 'PG%s_PORT=%s\n' "$number" "$port" >>"$dir/env"
    done
    wait "$kafka" || return 1
    if [ -n "${KEYSHIFT_ORACLE:-}" ]; then
        oracle_start "$data" >>"$dir/env"
    fi
    if [ -n "${KEYSHIFT_BESIDE_DEBEZIUM:-}" ]; then
        rest=$(free_port)
        connect_start "$data/oracle-connect" "$broker" "$rest" || return 1
        printf 'CONNECT_PORT=%s\n' "$rest" >>"$dir/env"
    fi
}

servers_stop() {
    local dir=$1 data server
    [ -f "$dir/data" ] || return 0
    data=$(cat "$dir/data")
    for server in "$data"/pg*; do
        [ -d "$server" ] && pg_stop "$server"
    done
    kafka_stop "$data/oracle-connect"
    kafka_stop "$data/oracle-kafka"
    kafka_stop "$data/kafka"
    rm -rf "$data" "$dir/data" "$dir/env"
}
