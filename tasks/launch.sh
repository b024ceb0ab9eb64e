#!/bin/sh
# Starts the agent under exactly the permissions its configuration needs: launch.sh start|once [--config PATH].
# DENO names the deno to use if it is not on PATH. The agent replaces this shell, so signals reach it.
tasks=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd) || exit 1
command=$("${DENO:-deno}" run --no-prompt --allow-read --allow-env "$tasks/launch.ts" "$@") || exit $?
eval "exec $command"
