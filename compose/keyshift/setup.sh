#!/bin/sh
# What a user types once: the catalog, the first node, the three tables. Running it again changes nothing.
set -eu

keyshift init

if ! keyshift node show n1 >/dev/null 2>&1; then
    keyshift node add n1 --dsn 'host=n1 port=5432 dbname=app user=keyshift'
fi

distribute() {
    table=$1
    shift
    keyshift table show "$table" >/dev/null 2>&1 || keyshift table distribute "$table" "$@" --offline
}
distribute users --key user_id
distribute posts --key user_id --with users
distribute interactions --key post_id
