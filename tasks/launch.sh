#!/bin/sh
# Starts the agent under exactly the permissions its configuration needs: launch.sh start|once|doctor [--config PATH], and
# the reference listener likewise: launch.sh listener [options].
# DENO names the deno to use; without it, the one on PATH or the one whose `deno task` runs this script. The agent
# replaces this shell, so signals reach it.
self=$0
# Only where it has to: each program that is started here is a millisecond of every start.
[ ! -L "$self" ] || self=$(readlink -f -- "$self")
case "$self" in */*) ;; *) self=./$self ;; esac
tasks=$(CDPATH='' cd -- "${self%/*}" && pwd -P) || exit 1
root=${tasks%/*}
deno=${DENO:-$(command -v deno || readlink "/proc/$PPID/exe")}
# What install has put on a server brings Deno and its packages along and fetches nothing.
cached=
if [ -x "$root/bin/deno" ]; then
  deno=$root/bin/deno
  export DENO_DIR="$root/deno-cache"
  cached=--cached-only
fi
if [ "$1" = doctor ]; then
  LAUNCHED_BY=$(id -un 2>/dev/null) || LAUNCHED_BY=${USER:-}
  export LAUNCHED_BY
fi
# What a large document leaves behind goes back to the system: without these, glibc raises its threshold to the largest
# block it has seen, keeps as much in an arena of each thread, and the agent grows to twice its size in hours of faults.
export MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=131072
# An agent does not look on the internet whether there is a newer Deno, nor hold what that takes.
export DENO_NO_UPDATE_CHECK=1
case "$1" in
  listener) launcher=$tasks/listener/launch.ts ;;
  *) launcher=$tasks/launch.ts ;;
esac
command=$("$deno" run $cached --no-prompt --allow-read --allow-env "$launcher" "$@") || exit $?
eval "exec $command"
