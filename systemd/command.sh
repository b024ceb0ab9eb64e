#!/bin/sh
# bitville-postgres-agent TASK [ARGUMENT…]: runs a task of the installed agent, such as doctor. Without a task, and for
# --help, it lists them.
name=bitville-postgres-agent
root=/usr/lib/$name
export DENO_DIR="$root/deno-cache" DENO="$root/bin/deno" DENO_NO_UPDATE_CHECK=1

case "${1-}" in -h | --help) shift ;; esac

# The doctor looks as the service: with its user, its secrets and its sandbox. What root may do says nothing.
if [ "${1-}" = doctor ] && [ "$(id -u)" -eq 0 ] && [ -d /run/systemd/system ]; then
  shift
  set -- "$DENO" task --quiet doctor "$@"
  # Each goes before those that are there already, so the last comes first.
  settings=$(systemctl cat "$name.service" | awk '
    /^\[/ { service = $0 == "[Service]" }
    service && /^[A-Z][A-Za-z]*=/ && !/^(Type|NotifyAccess|Exec(Start|Reload|Stop)|Restart|Timeout|Kill|Watchdog|Success)/ {
      lines[++count] = $0
    }
    END { while (count > 0) print lines[count--] }')
  while IFS= read -r setting; do
    set -- "--property=$setting" "$@"
  done <<EOF
$settings
EOF
  # The folder below /run is that of the running agent, too.
  exec systemd-run --quiet --pipe --wait --collect --property=RuntimeDirectoryPreserve=yes "$@"
fi
exec "$DENO" task --quiet --config "$root/deno.json" "$@"
