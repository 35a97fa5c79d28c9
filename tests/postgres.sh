#!/usr/bin/env bash
# Install PostgreSQL if there is none (apt-get, as root), and run a new cluster in the foreground, until it is killed:
#   tests/postgres.sh FOLDER PORT USER PASSWORD    makes the database USER, which that user owns
set -euo pipefail
folder=$1 port=$2 user=$3 password=$4

programs() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1; }
if [ -z "$(programs)" ] && ! command -v initdb >/dev/null; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql >&2
fi
PATH=$(programs):$PATH
as=()
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to be root
    as=(setpriv --reuid=postgres --regid=postgres --clear-groups env HOME="$folder")
    install -d -o postgres "$folder" "$folder/sockets"
else
    mkdir -p "$folder/sockets"
fi
cd "$folder"
"${as[@]}" bash -c "umask 077 && cat >'$folder/password'" <<<"$password"
"${as[@]}" initdb -D "$folder/cluster" -U postgres -A scram-sha-256 --pwfile="$folder/password" >&2
printf "CREATE ROLE %s LOGIN PASSWORD '%s';\nCREATE DATABASE %s OWNER %s;\n" "$user" "$password" "$user" "$user" |
    while IFS= read -r line; do printf '%s\n\n' "$line"; done |
    "${as[@]}" postgres --single -j -D "$folder/cluster" postgres >&2
exec "${as[@]}" postgres -D "$folder/cluster" -p "$port" -h 127.0.0.1 -k "$folder/sockets"
