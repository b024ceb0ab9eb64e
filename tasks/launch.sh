#!/bin/sh
# Starts the agent under exactly the permissions its configuration needs: launch.sh start|once [--config PATH], and the
# reference listener likewise: launch.sh listener [options].
# DENO names the deno to use; without it, the one on PATH or the one whose `deno task` runs this script. The agent
# replaces this shell, so signals reach it.
tasks=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd) || exit 1
deno=${DENO:-$(command -v deno || readlink "/proc/$PPID/exe")}
command=$("$deno" run --no-prompt --allow-read --allow-env "$tasks/launch.ts" "$@") || exit $?
eval "exec $command"
