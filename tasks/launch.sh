#!/bin/sh
# Starts the agent under exactly the permissions its configuration needs: launch.sh start|once|doctor [--config PATH], and
# the reference listener likewise: launch.sh listener [options].
# DENO names the deno to use; without it, the one on PATH or the one whose `deno task` runs this script. The agent
# replaces this shell, so signals reach it.
tasks=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd) || exit 1
deno=${DENO:-$(command -v deno || readlink "/proc/$PPID/exe")}
# What install has put on a server brings Deno and its packages along and fetches nothing.
cached=
if [ -x "$tasks/../bin/deno" ]; then
  deno=$(dirname -- "$tasks")/bin/deno
  export DENO_DIR="${deno%/bin/deno}/deno-cache"
  cached=--cached-only
fi
if [ "$1" = doctor ]; then
  LAUNCHED_BY=$(id -un 2>/dev/null) || LAUNCHED_BY=${USER:-}
  export LAUNCHED_BY
fi
# What a large document leaves behind goes back to the system: without these, glibc raises its threshold to the largest
# block it has seen, keeps as much in an arena of each thread, and the agent grows to twice its size in hours of faults.
export MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=131072
case "$1" in
  listener) launcher=$tasks/listener/launch.ts ;;
  *) launcher=$tasks/launch.ts ;;
esac
command=$("$deno" run $cached --no-prompt --allow-read --allow-env "$launcher" "$@") || exit $?
eval "exec $command"
