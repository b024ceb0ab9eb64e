#!/bin/sh
# bitville-postgres-agent TASK [ARGUMENT…]: runs a task of the installed agent, such as doctor. Without a task it lists
# them.
root=/usr/lib/bitville-postgres-agent
export DENO_DIR="$root/deno-cache" DENO="$root/bin/deno" DENO_NO_UPDATE_CHECK=1
exec "$DENO" task --quiet --config "$root/deno.json" "$@"
